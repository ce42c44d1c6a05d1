"""Cross-fitting: every round is judged by a model that has not seen it.

A row's fold is a function of its key (seed, round_id), so that rows keep their folds through splits, minibatches,
resamples and folders, and doubled rows share one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Protocol, TypeVar, runtime_checkable

import numpy as np

from prompt_bandits.datasets import BanditDataset
from prompt_bandits.types import FloatArray, IntArray

from .all_rounds import all_rounds
from .ensemble_training import member_seeds
from .ensembles import ActionEnsemble, OutputEnsemble
from .folds import fold_of
from .pair_models import OutputReward
from .protocols import LoggedData, QFunction
from .reward_models import fit_action_reward_model, fit_output_reward_model
from .reward_training import RewardTraining

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@runtime_checkable
class KnowsUnseen(Protocol):
    """A reward model by action that is made of several, none of which has seen all rounds."""

    def unseen(self, data: BanditDataset) -> Iterator[tuple[IntArray, QFunction]]: ...


class Fit(Protocol[T_co]):
    """Fits a model to rounds: `partial(fit_action_reward_model, training=...)`."""

    def __call__(self, data: BanditDataset, *, seed: int) -> T_co: ...


def fit_folds(fit: Fit[T], data: BanditDataset, folds: int, seed: int) -> tuple[T, ...]:
    """A model for each fold, fitted on the rounds of the others.

    Raises:
        ValueError: fewer than two folds, or one without rounds.
    """
    if folds < 2:
        raise ValueError(f"folds: expected >= 2, got {folds}")
    fold = fold_of(data, folds, seed)
    sizes = np.bincount(fold, minlength=folds)
    if not sizes.all():
        raise ValueError(f"folds: expected rounds in each of {folds}, got {sizes.tolist()}; ask for fewer folds")
    seeds = member_seeds(seed, "fold", folds)
    return tuple(fit(data.take(fold != k), seed=own) for k, own in enumerate(seeds))


def by_fold(models: Sequence[T], data: BanditDataset, seed: int) -> Iterator[tuple[IntArray, T]]:
    """The rows of each fold that is among the data, and the model that has not seen them."""
    fold = fold_of(data, len(models), seed)
    for k in np.unique(fold):
        yield np.flatnonzero(fold == k), models[k]


@dataclass(frozen=True, eq=False)
class CrossFittedActionReward(ActionEnsemble):
    """Reward models by action, each fitted without its fold.

    `predict` and `scores` are the models' mean, for rounds that none of them has seen. Asked about rounds that they
    were fitted on, these know too much: `out_of_fold` and `unseen` recognise such rows by their keys.
    """

    models: Sequence[QFunction]
    seed: int  # of the folds
    saved_as: ClassVar[str] = "cross_fitted_action_reward"

    def unseen(self, data: BanditDataset) -> Iterator[tuple[IntArray, QFunction]]:
        """Row numbers, and the model that has not seen those rows: all rows of `data`, a fold at a time."""
        return by_fold(self.models, data, self.seed)

    def out_of_fold(self, data: BanditDataset) -> FloatArray:
        """q̂(x_i, a_i) of logged actions, (n,), each by the model that has not seen the row."""
        out = np.empty(len(data))
        for rows, model in self.unseen(data):
            out[rows] = model.predict(data.obs.take(rows), data.action[rows])
        return out


@dataclass(frozen=True, eq=False)
class CrossFittedOutputReward(OutputEnsemble):
    """Reward models by output, each fitted without its fold; see `CrossFittedActionReward`."""

    models: Sequence[OutputReward]
    seed: int  # of the folds
    saved_as: ClassVar[str] = "cross_fitted_output_reward"

    def unseen(self, data: BanditDataset) -> Iterator[tuple[IntArray, OutputReward]]:
        """Row numbers, and the model that has not seen those rows: all rows of `data`, a fold at a time."""
        return by_fold(self.models, data, self.seed)

    def out_of_fold(self, data: BanditDataset) -> FloatArray:
        """r̂(x_i, o_i) of logged outputs, (n,), each by the model that has not seen the row."""
        output, out = data.require_output(), np.empty(len(data))
        for rows, model in self.unseen(data):
            out[rows] = model.predict(data.obs.take(rows), output[rows])
        return out


def cross_fit_action_reward_model(
    data: LoggedData, training: RewardTraining | None = None, *, folds: int = 5, seed: int
) -> CrossFittedActionReward:
    """Reward models by action, each fitted without its fold of the rounds.

    Raises:
        ValueError: fewer than two folds, one without rounds, a folder larger than `memory_mb`, or as
            `fit_action_reward_model`.
    """
    return CrossFittedActionReward(_fit(fit_action_reward_model, data, training, folds, seed), seed)


def cross_fit_output_reward_model(
    data: LoggedData, training: RewardTraining | None = None, *, folds: int = 5, seed: int
) -> CrossFittedOutputReward:
    """Reward models by output, each fitted without its fold of the rounds. Raises as
    `cross_fit_action_reward_model`.
    """
    return CrossFittedOutputReward(_fit(fit_output_reward_model, data, training, folds, seed), seed)


def _fit(
    fit: Callable[..., T], data: LoggedData, training: RewardTraining | None, folds: int, seed: int
) -> tuple[T, ...]:
    training = training or RewardTraining()
    whole = all_rounds(data, training.memory_mb, "cross-fitting")
    return fit_folds(partial(fit, training=training), whole, folds, seed)


def logged_predictions(q_hat: QFunction, data: BanditDataset) -> FloatArray:
    """q̂(x_i, a_i) of logged actions, (n,); of a cross-fitted model those by models that have not seen the row."""
    if isinstance(q_hat, CrossFittedActionReward):
        return q_hat.out_of_fold(data)
    return q_hat.predict(data.obs, data.action)


def logged_output_predictions(r_hat: OutputReward, data: BanditDataset) -> FloatArray:
    """r̂(x_i, o_i) of logged outputs, (n,); of a cross-fitted model those by models that have not seen the row."""
    if isinstance(r_hat, CrossFittedOutputReward):
        return r_hat.out_of_fold(data)
    return r_hat.predict(data.obs, data.require_output())


def unseen_models(q_hat: QFunction, data: BanditDataset) -> Iterator[tuple[IntArray, QFunction]]:
    """Row numbers, and the model to ask about them: of one that is cross-fitted those that have not seen the rows, else
    the model itself for all rows.
    """
    if isinstance(q_hat, KnowsUnseen):
        yield from q_hat.unseen(data)
    else:
        yield np.arange(len(data)), q_hat
