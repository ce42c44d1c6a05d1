"""Several reward models of the same thing: their mean, and how far they are apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from prompt_bandits.types import FloatArray, IntArray, Observation

from .pair_models import OutputReward
from .protocols import QFunction


def mean_and_spread(members: Iterable[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation (ddof 1) over at least two arrays of one shape, of which one lives at a time
    (Welford, 1962).
    """
    n, mean, squares = 0, np.zeros(()), np.zeros(())
    for member in members:
        n += 1
        apart = member - mean
        mean = mean + apart / n
        squares = squares + apart * (member - mean)
    return mean, np.sqrt(squares / (n - 1))


def lower_bound(moments: tuple[FloatArray, FloatArray], penalty: float) -> FloatArray:
    """mean − penalty · spread, of the shape of both."""
    mean, spread = moments
    return mean - penalty * spread


def check_several(models: Sequence[object]) -> None:
    """Refuses fewer than two."""
    if len(models) < 2:
        raise ValueError(f"models: expected at least 2, got {len(models)}")


@dataclass(frozen=True, eq=False)
class ActionEnsemble:
    """The mean of reward models by action, and their spread.

    Raises:
        ValueError: fewer than two models.
    """

    models: Sequence[QFunction]
    saved_as: ClassVar[str] = "action_ensemble"

    def __post_init__(self) -> None:
        check_several(self.models)

    def predict(self, obs: Observation, action: IntArray) -> FloatArray:
        """Mean of q̂(x_i, a_i), (n,)."""
        return self._given(obs, action)[0]

    def scores(self, obs: Observation) -> FloatArray:
        """Mean of q̂(x_i, a), (n, |A|)."""
        return self._all(obs)[0]

    def spread(self, obs: Observation, action: IntArray) -> FloatArray:
        """Standard deviation of q̂(x_i, a_i) over the models, (n,)."""
        return self._given(obs, action)[1]

    def score_spread(self, obs: Observation) -> FloatArray:
        """Standard deviation of q̂(x_i, a) over the models, (n, |A|)."""
        return self._all(obs)[1]

    def lower(self, obs: Observation, action: IntArray, penalty: float = 1.0) -> FloatArray:
        """Mean − penalty · spread of given actions, (n,)."""
        return lower_bound(self._given(obs, action), penalty)

    def lower_scores(self, obs: Observation, penalty: float = 1.0) -> FloatArray:
        """Mean − penalty · spread of all actions, (n, |A|)."""
        return lower_bound(self._all(obs), penalty)

    def _given(self, obs: Observation, action: IntArray) -> tuple[FloatArray, FloatArray]:
        return mean_and_spread(model.predict(obs, action) for model in self.models)

    def _all(self, obs: Observation) -> tuple[FloatArray, FloatArray]:
        return mean_and_spread(model.scores(obs) for model in self.models)


@dataclass(frozen=True, eq=False)
class OutputEnsemble:
    """The mean of reward models by output, and their spread.

    Raises:
        ValueError: fewer than two models.
    """

    models: Sequence[OutputReward]
    saved_as: ClassVar[str] = "output_ensemble"

    def __post_init__(self) -> None:
        check_several(self.models)

    def predict(self, obs: Observation, output: FloatArray) -> FloatArray:
        """Mean of r̂(x_i, o_i), (n,)."""
        return self._moments(obs, output)[0]

    def spread(self, obs: Observation, output: FloatArray) -> FloatArray:
        """Standard deviation of r̂(x_i, o_i) over the models, (n,)."""
        return self._moments(obs, output)[1]

    def lower(self, obs: Observation, output: FloatArray, penalty: float = 1.0) -> FloatArray:
        """Mean − penalty · spread, (n,)."""
        return lower_bound(self._moments(obs, output), penalty)

    def _moments(self, obs: Observation, output: FloatArray) -> tuple[FloatArray, FloatArray]:
        return mean_and_spread(model.predict(obs, output) for model in self.models)


@dataclass(frozen=True, eq=False)
class PessimisticActionReward:
    """An ensemble's mean − penalty · spread as a reward model by action: believes least where the models disagree."""

    ensemble: ActionEnsemble
    penalty: float = 1.0
    saved_as: ClassVar[str] = "pessimistic_action_reward"

    def __post_init__(self) -> None:
        _check_penalty(self.penalty)

    def predict(self, obs: Observation, action: IntArray) -> FloatArray:
        """(n,)."""
        return self.ensemble.lower(obs, action, self.penalty)

    def scores(self, obs: Observation) -> FloatArray:
        """(n, |A|)."""
        return self.ensemble.lower_scores(obs, self.penalty)


@dataclass(frozen=True, eq=False)
class PessimisticOutputReward:
    """An ensemble's mean − penalty · spread as a reward model by output."""

    ensemble: OutputEnsemble
    penalty: float = 1.0
    saved_as: ClassVar[str] = "pessimistic_output_reward"

    def __post_init__(self) -> None:
        _check_penalty(self.penalty)

    def predict(self, obs: Observation, output: FloatArray) -> FloatArray:
        """(n,)."""
        return self.ensemble.lower(obs, output, self.penalty)


def _check_penalty(penalty: float) -> None:
    if not 0 <= penalty < np.inf:
        raise ValueError(f"penalty: expected a finite number >= 0, got {penalty}")
