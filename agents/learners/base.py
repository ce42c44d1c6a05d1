"""What policy learners share: data in, a network trained by the learner's own loss, a policy out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import nn
from typing_extensions import Self

from prompt_bandits.datasets import BanditDataset
from prompt_bandits.rounds import Rounds, RoundStream, named_generator

from ..clustering import Clustering
from ..losses import entropy, kl_divergence, uniform_loss
from ..networks import NETWORKS
from ..policies import NeuralPolicy
from ..protocols import Callback, LoggedData, PlaysRounds
from ..segments import segments
from ..training import Loss, TrainingConfig, optimise
from ..weights import importance_weight, self_normalised
from .steps import Choose, ContextSteps, LoggedRows, LoggedSteps, MakeLoss, PlayedSteps, Step, StepLoss, Steps


@dataclass(frozen=True)
class PolicyTraining(TrainingConfig):
    """How a policy network is trained. The defaults are the published values.

    With a `validation_fraction` the score is the negative self-normalised importance-sampling estimate of the
    policy's value on the held-out rounds, unless the learner says otherwise.
    """

    network: str = "mlp"  # or "scorer", f(x, q)·g(e_a), which generalises over prompts; or "pairwise"
    hidden: int = 100
    warmup_steps: int = 0  # of pulling the policy towards uniform first
    entropy: float = 0.0  # weight of a bonus for the policy's entropy, H(π(·|x))
    kl_to_logging: float = 0.0  # weight of a penalty on KL(π(·|x) ‖ π0(·|x))

    @classmethod
    def quick(cls, **changes: Any) -> Self:
        """A quarter of the published steps at larger batches and learning rate: seconds, for a first look."""
        return cls(**({"steps": 5_000, "batch_size": 128, "lr": 1e-3} | changes))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden < 1 or self.warmup_steps < 0:
            raise ValueError(f"hidden, warmup_steps: expected >= 1 and >= 0, got {self.hidden}, {self.warmup_steps}")
        if not (self.entropy >= 0 and self.kl_to_logging >= 0):
            raise ValueError(f"entropy, kl_to_logging: expected >= 0, got {self.entropy}, {self.kl_to_logging}")
        if self.network not in NETWORKS:
            raise ValueError(f"network: expected one of {', '.join(NETWORKS)}, got {self.network!r}")


def fit_policy(
    config: PolicyTraining,
    data: LoggedData,
    make_loss: MakeLoss,
    *,
    name: str,
    seed: int,
    callback: Callback | None,
    make_score: MakeLoss | None = None,
    clustering: Clustering | None = None,
) -> NeuralPolicy:
    """Trains a new policy on a log.

    Args:
        config: network and optimisation.
        data: logged rounds, in memory or a folder.
        make_loss: what to minimise.
        name: of the learner, for its streams and its progress bar.
        seed: of the initial weights, the minibatches and all other draws.
        callback: called at every log.
        make_score: what to judge held-out rounds by, lower is better; `snips_score` unless given.
        clustering: given one, the policy chooses among its clusters.

    Raises:
        ValueError: fewer than two rounds, or no logging policy to stay close to.
    """
    if config.kl_to_logging:
        data.require_logging_policies()
    rounds = segments(data, config, seed)
    like = rounds.like.obs if clustering is None else clustering.observation(rounds.like.obs)
    policy = NeuralPolicy.initial(config.network, like, config.hidden, seed)
    policy.network.to(config.device)

    def rows_of(part: BanditDataset) -> LoggedRows:
        return LoggedRows(policy, part, config.device, clustering, with_logging=config.kl_to_logging > 0)

    steps = LoggedSteps(rounds.parts, rows_of, make_loss, RoundStream(seed, f"fit/{name}"), config.batch_size)
    validate = None
    if rounds.held_out is not None:
        validate = _validation(rows_of(rounds.held_out), make_score)
    _train(policy, steps, config, name, callback, validate=validate)
    return policy


def fit_online(
    config: PolicyTraining,
    simulator: PlaysRounds,
    loss: StepLoss,
    *,
    name: str,
    seed: int,
    callback: Callback | None,
    played: bool = True,
    clustering: Clustering | None = None,
    choose: Choose | None = None,
    beside: nn.Module | None = None,
) -> NeuralPolicy:
    """Trains a new policy on fresh rounds of a simulator.

    Args:
        config: network and optimisation.
        simulator: says who arrives and plays the policy's choices.
        loss: what to minimise.
        name: of the learner, for its streams and its progress bar.
        seed: of the initial weights and all draws.
        callback: called at every log.
        played: the policy's choices are played; otherwise only contexts are asked for.
        clustering: given one, the policy chooses among its clusters, and `choose` picks the prompt.
        choose: which prompt an arm stands for.
        beside: another network that the loss trains.

    Raises:
        ValueError: what only a log can give is asked for.
    """
    if config.kl_to_logging or config.validation_fraction:
        raise ValueError(
            "kl_to_logging, validation_fraction: expected 0 online, where there is no log, "
            f"got {config.kl_to_logging}, {config.validation_fraction}"
        )
    stream = RoundStream(seed, f"fit/{name}")
    like = simulator.observe(Rounds(seed, 0, 1, f"fit/{name}/like"))
    arms = like if clustering is None else clustering.observation(like)
    policy = NeuralPolicy.initial(config.network, arms, config.hidden, seed)
    policy.network.to(config.device)
    steps: Steps = ContextSteps(policy, simulator, loss, stream, config.batch_size)
    if played:
        steps = PlayedSteps(policy, simulator, loss, stream, config.batch_size, clustering, choose)
    _train(policy, steps, config, name, callback, beside=beside)
    return policy


def _train(
    policy: NeuralPolicy,
    steps: Steps,
    config: PolicyTraining,
    name: str,
    callback: Callback | None,
    *,
    validate: Callable[[], float] | None = None,
    beside: nn.Module | None = None,
) -> None:
    if config.warmup_steps:
        warmup = replace(config, steps=config.warmup_steps, validation_fraction=0.0, patience=None)
        optimise(policy.network, lambda _: _uniform(steps.next()), warmup, label=f"{name} warm-up")

    def step_loss(_: int) -> Loss:
        step = steps.next()
        return _regularised(step, steps.loss(step), config)

    module = policy.network if beside is None else nn.ModuleList([policy.network, beside])
    optimise(module, step_loss, config, label=name, validate=validate, callback=callback, policy=policy)


def _regularised(step: Step, loss: Loss, config: PolicyTraining) -> Loss:
    """The loss with the bonus and the penalty that the config asks for."""
    value, metrics = loss.value, dict(loss.metrics)
    if step.batch is not None:
        metrics["logged_action_prob"] = step.logged_log_prob().exp().mean()
    if config.entropy:
        metrics["entropy"] = entropy(step.log_probs)
        value = value - config.entropy * metrics["entropy"]
    if step.logging_probs is not None:
        metrics["kl_to_logging"] = kl_divergence(step.log_probs, step.log_probs.new_tensor(step.logging_probs))
        value = value + config.kl_to_logging * metrics["kl_to_logging"]
    return Loss(value, metrics)


def snips_score(step: Step) -> Loss:
    """Minus the self-normalised importance-sampling estimate of the policy's value on logged rounds."""
    weight = importance_weight(step.logged_log_prob().exp(), step.propensity)
    return Loss(-(self_normalised(weight) * step.logged.reward).mean())


def _uniform(step: Step) -> Loss:
    mask = None if step.batch is None else step.batch.action_mask
    return Loss(uniform_loss(step.log_probs, mask))


_VALIDATION_ROWS, _VALIDATION_CELLS = 4096, 1 << 26


def _validation(rows: LoggedRows, make_score: MakeLoss | None) -> Callable[[], float]:
    """The score of held-out rounds, always the same ones (at most 4096, fewer for very many prompts) and always with
    the same draws.
    """
    if make_score is None and rows.batch.propensity is None:
        rows.data.require_propensity()
    score = snips_score if make_score is None else make_score(rows.data)
    most = max(1, min(_VALIDATION_ROWS, _VALIDATION_CELLS // rows.data.n_actions))
    index = np.sort(named_generator(0, "validation").permutation(len(rows.data))[:most])
    return lambda: float(score(rows.at(index, Rounds(0, 0, len(index), "fit/validation"))).value)
