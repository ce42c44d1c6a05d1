"""Off-policy cross-validation: candidates are judged by an unbiased estimate from rounds that they have not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from prompt_bandits.rounds import named_generator
from prompt_bandits.types import Estimate, FloatArray, IntArray

from ..estimators import DM, DR, IPS, SNIPS
from ..estimators.base import Estimator
from ..refusing import Refused
from .several import Inputs, OneOfSeveral, split_columns, variance_of_mean, willing

_LEAST = 2  # rounds on either side
_CANDIDATES: tuple[Estimator, ...] = (IPS(), SNIPS(), DM(), DR())
_VALIDATOR: Estimator = DR()


@dataclass(frozen=True)
class CrossValidated(OneOfSeveral):
    """The candidate with the least squared distance from an unbiased estimate on other rounds (Cief, Kompan and Kveton,
    2024, algorithm 1).

    Each split gives the candidate the share σ²/(σ² + σ²_v) of the rounds, σ² and σ²_v being the variances of the
    candidate's and the validator's round values, so that what is compared varies least. The loss is the mean over
    splits plus its standard error. Candidates may be of any class; models are shared by all splits.

    Args:
        candidates: of which one is chosen.
        validator: unbiased; DR or IPS.
        splits: how many.
        standard_errors: added to the loss, one in the paper.
        seed: of the splits.

    Raises:
        ValueError: no candidates, two of one name, or fewer than two splits.
    """

    candidates: tuple[Estimator, ...] = _CANDIDATES
    validator: Estimator = _VALIDATOR
    splits: int = 10
    standard_errors: float = 1.0
    seed: int = 0
    short: ClassVar[str] = "cross-validated"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.splits < 2:
            raise ValueError(f"splits: expected >= 2, got {self.splits}")

    def members(self) -> tuple[Estimator, ...]:
        return (*self.candidates, self.validator)

    def chosen(self, c: Mapping[str, FloatArray]) -> Inputs:
        *every, validator = split_columns(self.members(), c)
        ready = willing(every)
        losses = self.losses(ready, validator)
        return ready[int(np.argmin([loss.value + self.standard_errors * loss.se for loss in losses]))]

    def losses(self, ready: Sequence[Inputs], validator: Inputs) -> list[Estimate]:
        """Of each candidate: mean (V̂(D₁) − V_v(D₂))² over splits.

        Raises:
            Refused: fewer than four rounds.
        """
        n = len(validator)
        if n < 2 * _LEAST:
            raise Refused(f"cross-validation needs at least {2 * _LEAST} rounds, got {n}")
        orders = [named_generator(self.seed, f"ocv/{split}").permutation(n) for split in range(self.splits)]
        spread = variance_of_mean(validator.values())
        return [Estimate.from_terms(_errors(one, validator, spread, orders) ** 2) for one in ready]


def _errors(one: Inputs, validator: Inputs, spread: float, orders: Sequence[IntArray]) -> FloatArray:
    """V̂(D₁) − V_v(D₂) of each split, (splits,)."""
    k = training_rounds(len(validator), variance_of_mean(one.values()), spread)
    found = [one.take(order[:k]).values().mean() - validator.take(order[k:]).values().mean() for order in orders]
    return np.asarray(found)


def training_rounds(n: int, variance: float, validator_variance: float) -> int:
    """|D₁| of n rounds: n·σ²/(σ² + σ²_v), with two rounds on either side at least; half, where nothing varies."""
    total = variance + validator_variance
    share = variance / total if total > 0 else 0.5
    return int(np.clip(round(n * share), _LEAST, n - _LEAST))
