"""Unknown propensities: a model of the logging policy, cross-fitted and calibrated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from prompt_bandits.acting import prob
from prompt_bandits.datasets import BanditDataset
from prompt_bandits.policies import Mixture, Softmax, Uniform
from prompt_bandits.protocols import Policy
from prompt_bandits.rounds import named_generator
from prompt_bandits.types import BoolArray, FloatArray, IntArray, Observation

from .all_rounds import all_rounds
from .cross_fitting import by_fold, fit_folds
from .ensemble_training import member_seeds
from .learners.behaviour_cloning import BehaviourCloning
from .policies import NeuralPolicy
from .protocols import LoggedData

_CELLS = 1 << 23  # logits that the temperature is fitted to
_FEWEST = 500  # but those of so many rounds at least
_LOG_BETA = (np.log(1e-3), np.log(1e2))  # inverse temperatures that are tried


@dataclass(frozen=True)
class PropensityTraining(BehaviourCloning):
    """How propensities are learned: maximum likelihood on logged actions, by networks that are validated on rounds
    held out.

    Raises:
        ValueError: a number out of range.
    """

    lr: float = 1e-3
    weight_decay: float = 1e-4
    steps: int = 5_000
    batch_size: int = 256
    log_every: int = 100
    validation_fraction: float = 0.1
    patience: int | None = 5
    network: str = "scorer"
    floor: float = 1e-4  # share of the uniform policy mixed in: no allowed prompt has less than floor / |A|

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.floor < 1:
            raise ValueError(f"floor: expected in (0, 1), got {self.floor}")


@dataclass(frozen=True, eq=False)
class PropensityModel:
    """An estimate of the logging policy; itself a policy.

    `action_dist` is that of the model of all rounds. For the propensities of those rounds themselves use
    `out_of_fold`: a model that has seen a round thinks its action likelier than it was.
    """

    policy: Policy  # fitted on all rounds
    folds: Sequence[Policy]  # each fitted without its fold, calibrated alike
    beta: float  # inverse temperature of all of them; 1: the networks were calibrated
    seed: int  # of the folds
    saved_as: ClassVar[str] = "propensity_model"

    def action_dist(self, obs: Observation) -> FloatArray:
        return self.policy.action_dist(obs)

    def unseen(self, data: BanditDataset) -> Iterator[tuple[IntArray, Policy]]:
        """Row numbers, and the policy fitted without those rows: all rows of `data`, a fold at a time."""
        return by_fold(self.folds, data, self.seed)

    def out_of_fold(self, data: BanditDataset) -> FloatArray:
        """π̂0(a_i|x_i) of logged actions, (n,), each by the policy that has not seen the row."""
        out = np.empty(len(data))
        for rows, policy in self.unseen(data):
            out[rows] = prob(policy, data.obs.take(rows), data.action[rows])
        return out


def fit_propensity_model(
    data: LoggedData, training: PropensityTraining | None = None, *, folds: int = 5, seed: int
) -> PropensityModel:
    """The logging policy from (context, query, action).

    A network is fitted without each fold, and one on all rounds. One inverse temperature, common to all of them,
    maximises the likelihood of the actions under the networks that have not seen them (temperature scaling; Guo et
    al., 2017), and a little of the uniform policy is mixed in.

    Args:
        data: logged rounds; a folder is read where it fits into `training.memory_mb`.
        training: of the networks.
        folds: how many.
        seed: of the folds, the initial weights and the minibatches.

    Raises:
        ValueError: fewer than two folds, one without rounds, or a folder that is too large.
    """
    training = training or PropensityTraining()
    rounds = all_rounds(data, training.memory_mb, "a propensity model")
    networks = fit_folds(training.fit, rounds, folds, seed)
    beta = _inverse_temperature(networks, rounds, seed)
    whole = training.fit(rounds, seed=member_seeds(seed, "whole", 1)[0])
    calibrated = [_calibrated(network, beta, training.floor) for network in (whole, *networks)]
    return PropensityModel(calibrated[0], calibrated[1:], beta, seed)


def estimate_propensities(
    data: LoggedData,
    training: PropensityTraining | None = None,
    *,
    folds: int = 5,
    seed: int,
    model: PropensityModel | None = None,
) -> BanditDataset:
    """The rounds with estimated propensities, for every learner that needs some.

    Each round's is by the model that has not seen it, and at least floor / |A| (1e-6 for a hundred prompts, see
    `PropensityTraining.floor`). As logging policy the dataset carries the model of all rounds: what asks for
    probabilities of other prompts than the logged one (POTEC's clusters, DSO's densities, `kl_to_logging`) gets answers
    of a model that has seen the round. What was known of either is replaced.

    Args:
        data: logged rounds, those that `model` was fitted on if one is given; a folder is read, all of its columns,
            where it fits into `training.memory_mb`.
        training: of the model, unless one is given.
        folds: of the model.
        seed: of the model.
        model: a fitted one, to look at and to share.

    Raises:
        ValueError: as `fit_propensity_model`.
    """
    training = training or PropensityTraining()
    every = None if isinstance(data, BanditDataset) else data.columns
    rounds = all_rounds(data, training.memory_mb, "estimating propensities", columns=every)
    model = model or fit_propensity_model(rounds, training, folds=folds, seed=seed)
    return replace(rounds, propensity=model.out_of_fold(rounds), policies=(model.policy,), policy_id=None)


def _calibrated(network: NeuralPolicy, beta: float, floor: float) -> Policy:
    return Mixture([Softmax(network, beta), Uniform()], [1 - floor, floor])


def _inverse_temperature(networks: Sequence[NeuralPolicy], data: BanditDataset, seed: int) -> float:
    """argmax_β Σ log softmax(β·logits)[a_i], the logits being those of the network that has not seen the row."""
    from scipy.optimize import minimize_scalar

    asked = max(_FEWEST, _CELLS // data.n_actions)
    if asked < len(data):
        data = data.take(np.sort(named_generator(seed, "temperature").choice(len(data), asked, replace=False)))
    parts = []
    for rows, network in by_fold(networks, data, seed):
        obs = data.obs.take(rows)
        parts.append((network.scores(obs), obs.action_mask, data.action[rows]))

    def loss(log_beta: float) -> float:
        beta = float(np.exp(log_beta))
        return sum(_negative_log_likelihood(beta, logits, allowed, action) for logits, allowed, action in parts)

    return float(np.exp(minimize_scalar(loss, bounds=_LOG_BETA, method="bounded").x))


def _negative_log_likelihood(beta: float, logits: FloatArray, allowed: BoolArray | None, action: IntArray) -> float:
    """−Σ log softmax(β·logits)[a_i] over rows (k, |A|)."""
    from scipy.special import logsumexp

    scaled = beta * logits.astype(np.float64)
    if allowed is not None:
        scaled = np.where(allowed, scaled, -np.inf)
    return float((logsumexp(scaled, axis=1) - scaled[np.arange(len(action)), action]).sum())
