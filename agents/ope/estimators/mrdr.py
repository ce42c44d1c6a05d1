"""DR with the reward model that makes it vary least."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from prompt_bandits.datasets import BanditDataset
from prompt_bandits.rounds import named_generator
from prompt_bandits.types import FloatArray, IntArray

from ..columns import Propensity, Weight, columns_of
from ..models import Fitter, ModelSpec
from .doubly_robust import DR

if TYPE_CHECKING:
    from ...cross_fitting import CrossFittedActionReward

_EXTRA = "mrdr_weight"


@dataclass(frozen=True)
class MRDRQHat:
    """q̂ by regression weighted by w·(1 − π0) / π0, cross-fitted.

    The weights are those of the variance of DR for a deterministic policy (Farajtabar et al., 2018), taken
    for stochastic ones too as Open Bandit Pipeline does. They enter by resampling the rounds.
    """

    name: ClassVar[str] = "mrdr_q_hat"
    of_policy: ClassVar[bool] = True

    def fit(self, fitter: Fitter) -> CrossFittedActionReward:
        """Raises:
        ValueError: no propensities, or weights that are all 0.
        """
        from ...cross_fitting import CrossFittedActionReward, fit_folds
        from ...reward_models import fit_action_reward_model

        def fitted(data: BanditDataset, *, seed: int) -> object:
            chosen = resampled(np.asarray(data.extras[_EXTRA]), seed)
            return fit_action_reward_model(data.take(chosen), fitter.training, seed=seed)

        rounds = fitter.rounds()
        found = columns_of(rounds, fitter.policy, [Weight(), Propensity()], fitter.models, memory_mb=fitter.memory_mb)
        weight = mrdr_weight(found[Weight()], found[Propensity()])
        weighted = replace(rounds, extras={_EXTRA: weight})
        models = fit_folds(fitted, weighted, fitter.folds, fitter.seed)
        return CrossFittedActionReward(models, fitter.seed)  # type: ignore[arg-type]


def mrdr_weight(weight: FloatArray, propensity: FloatArray) -> FloatArray:
    """π·(1 − π0) / π0² = w·(1 − π0) / π0 of logged actions, (n,)."""
    assert weight.shape == propensity.shape
    return weight * (1 - propensity) / propensity


def resampled(weight: FloatArray, seed: int) -> IntArray:
    """(n,) row numbers, each about n·w / Σw times (stratified resampling: never two more or fewer).

    Raises:
        ValueError: weights that are all 0.
    """
    total = float(weight.sum())
    if not total > 0:
        raise ValueError("mrdr: the policy takes none of the logged actions, or the logging policy was certain of all")
    n = len(weight)
    points = (np.arange(n) + named_generator(seed, "mrdr").random(n)) / n
    return np.minimum(np.searchsorted(np.cumsum(weight) / total, points, side="right"), n - 1).astype(np.int64)


@dataclass(frozen=True)
class MRDR(DR):
    """More robust doubly robust: DR with a q̂ fitted for this policy so that the estimate varies least (Farajtabar et
    al., 2018).

    Raises:
        ValueError: as `DR`.
    """

    short: ClassVar[str] = "mrdr"
    model: ClassVar[ModelSpec] = MRDRQHat()
