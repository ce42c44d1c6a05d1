"""What policy learners share: data in, a network trained by the learner's own loss, a policy out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from typing_extensions import Self

from prompt_bandits.datasets import BanditDataset
from prompt_bandits.rounds import Rounds, RoundStream
from prompt_bandits.types import IntArray, Observation

from ..batch import Batch, to_tensor
from ..losses import uniform_loss
from ..networks import NETWORKS
from ..policies import NeuralPolicy, masked_log_softmax
from ..protocols import Callback, LoggedData
from ..segments import Segment, per_step, segments
from ..training import Loss, TrainingConfig, optimise
from ..weights import importance_weight, self_normalised


@dataclass(frozen=True)
class PolicyTraining(TrainingConfig):
    """How a policy network is trained. The defaults are the published values.

    With a `validation_fraction` the score is the negative self-normalised importance-sampling estimate of the
    policy's value on the held-out rounds, unless the learner says otherwise.
    """

    network: str = "mlp"  # or "scorer", f(x, q)·g(e_a), which generalises over prompts; or "pairwise"
    hidden: int = 100
    warmup_steps: int = 0  # of pulling the policy towards uniform first

    @classmethod
    def quick(cls, **changes: Any) -> Self:
        """A quarter of the published steps at larger batches and learning rate: seconds, for a first look."""
        return cls(**({"steps": 5_000, "batch_size": 128, "lr": 1e-3} | changes))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden < 1 or self.warmup_steps < 0:
            raise ValueError(f"hidden, warmup_steps: expected >= 1 and >= 0, got {self.hidden}, {self.warmup_steps}")
        if self.network not in NETWORKS:
            raise ValueError(f"network: expected one of {', '.join(NETWORKS)}, got {self.network!r}")


@dataclass(frozen=True, eq=False)
class Step:
    """What a loss gets: a minibatch, what the policy says of it, and fresh draws."""

    index: IntArray  # (B,) rows of the data
    obs: Observation  # those rows, as numpy
    batch: Batch  # those rows, as tensors
    log_probs: Tensor  # (B, |A|) log π(a|x)
    rounds: Rounds  # B fresh rounds, apart from the log's own

    def logged_log_prob(self) -> Tensor:
        """log π(a_i|x_i), (B,)."""
        return at(self.log_probs, self.batch.action)

    def draw(self) -> Tensor:
        """Actions a' ~ π, (B,)."""
        # All in float64: a draw just below 1 would be 1 in float32, and take an action that cannot be.
        cumulative = self.log_probs.detach().double().exp().cumsum(dim=1)
        uniform = torch.tensor(self.rounds.uniform("action"), device=cumulative.device)
        action: Tensor = (cumulative <= (uniform * cumulative[:, -1])[:, None]).sum(dim=1)
        return action


def at(values: Tensor, action: Tensor) -> Tensor:
    """values[i, action_i], (B,)."""
    return values.gather(1, action[:, None])[:, 0]


StepLoss = Callable[[Step], Loss]
MakeLoss = Callable[[BanditDataset], StepLoss]
"""Given the rounds that the steps' rows come from: those trained on that are in memory, or those held out."""


def fit_policy(
    config: PolicyTraining,
    data: LoggedData,
    make_loss: MakeLoss,
    *,
    name: str,
    seed: int,
    callback: Callback | None,
    make_score: MakeLoss | None = None,
) -> NeuralPolicy:
    """Trains a new policy.

    Args:
        config: network and optimisation.
        data: logged rounds, in memory or a folder.
        make_loss: what to minimise.
        name: of the learner, for its streams and its progress bar.
        seed: of the initial weights, the minibatches and all other draws.
        callback: called at every log.
        make_score: what to judge held-out rounds by, lower is better; `snips_score` unless given.

    Raises:
        ValueError: fewer than two rounds.
    """
    if len(data) < 2:
        raise ValueError(f"data: expected at least 2 rounds to learn from, got {len(data)}")
    rounds = segments(data, config, seed)
    policy = NeuralPolicy.initial(config.network, rounds.like.obs, config.hidden, seed)
    policy.network.to(config.device)
    steps = _Steps(policy, rounds.parts, make_loss, RoundStream(seed, f"fit/{name}"), config)
    validate = None
    if rounds.held_out is not None:
        validate = _validation(policy, rounds.held_out, config, (make_score or _snips)(rounds.held_out))
    if config.warmup_steps:
        warmup = replace(config, steps=config.warmup_steps, validation_fraction=0.0, patience=None)
        optimise(policy.network, lambda _: _uniform(steps.next()), warmup, label=f"{name} warm-up")

    def step_loss(_: int) -> Loss:
        step = steps.next()
        value = steps.loss(step)
        return Loss(value.value, {**value.metrics, "logged_action_prob": step.logged_log_prob().exp().mean()})

    optimise(
        policy.network,
        step_loss,
        config,
        label=name,
        validate=validate,
        callback=callback,
        policy=policy,
    )
    return policy


def _snips(held_out: BanditDataset) -> StepLoss:
    held_out.require_propensity()
    return snips_score


def snips_score(step: Step) -> Loss:
    """Minus the self-normalised importance-sampling estimate of the policy's value on logged rounds."""
    assert step.batch.propensity is not None
    weight = importance_weight(step.logged_log_prob().exp(), step.batch.propensity)
    return Loss(-(self_normalised(weight) * step.batch.reward).mean())


class _Rows:
    """Logged rounds in memory, and the policy's opinion of them."""

    def __init__(self, policy: NeuralPolicy, data: BanditDataset, config: PolicyTraining) -> None:
        self.policy, self.device = policy, config.device
        self.obs, self.batch = data.obs, Batch.of(data, config.device)
        self.prompts = to_tensor(data.obs.prompts.embedding, config.device)

    def at(self, index: IntArray, rounds: Rounds) -> Step:
        batch = self.batch.take(to_tensor(index, self.device))
        log_probs = masked_log_softmax(self.policy.network(batch.features, self.prompts), batch.action_mask)
        return Step(index, self.obs.take(index), batch, log_probs, rounds)


class _Steps:
    """Minibatches of logged rounds, with replacement, and the loss that belongs to those in memory."""

    loss: StepLoss

    def __init__(
        self,
        policy: NeuralPolicy,
        parts: Iterator[Segment],
        make_loss: MakeLoss,
        stream: RoundStream,
        config: PolicyTraining,
    ) -> None:
        self._stream, self._size = stream, config.batch_size
        self._prepared = per_step(parts, lambda data: (_Rows(policy, data, config), make_loss(data)))

    def next(self) -> Step:
        rows, self.loss = next(self._prepared)
        rounds = self._stream.next(self._size)
        return rows.at(rounds.integers("row", len(rows.batch)), rounds)


def _uniform(step: Step) -> Loss:
    return Loss(uniform_loss(step.log_probs, step.batch.action_mask))


_VALIDATION_ROWS = 4096


def _validation(
    policy: NeuralPolicy, held_out: BanditDataset, config: PolicyTraining, score: StepLoss
) -> Callable[[], float]:
    """The score of the held-out rounds, always with the same draws."""
    rows = _Rows(policy, held_out, config)
    index = np.arange(min(len(held_out), _VALIDATION_ROWS))
    return lambda: float(score(rows.at(index, Rounds(0, 0, len(index), "fit/validation"))).value)
