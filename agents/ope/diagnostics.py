"""Whether an estimate can be believed: what its weights, its models and the log say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from prompt_bandits.types import Estimate, FloatArray

from . import plain_words

if TYPE_CHECKING:
    from ..calibration import Calibration
    from .intervals import Interval


@dataclass(frozen=True)
class Diagnostics:
    """Beside every estimate. What does not apply to an estimator, or is unknown, is None."""

    n: int  # rounds
    effective_rounds: float | None = None  # (Σw)² / Σw² of the weights as they are used
    largest_weight: float | None = None
    largest_share: float | None = None  # of the largest in Σw
    mean_weight: Estimate | None = None  # of the importance weights before anything is done to them; should be 1
    mean_weight_interval: Interval | None = None
    removed_weight: float | None = None  # 1 − Σ(as used) / Σ(before)
    unsupported_mass: float | None = None  # how often the policy would do what the logging policy never does
    unlogged_mass: float = 0.0  # how often it would take prompts that no logged round took
    gap: Estimate | None = None  # the unbiased estimate less this one: of DM mean(w·(r − q̂)), of weights that were made
    # smaller mean((w − as used)·(r − q̂))
    calibration: Calibration | None = None  # of the propensities
    propensity_gap: float | None = (
        None  # largest |p / π0(a_i|x_i) − 1| of logged p and the logging policy carried along
    )
    propensities_estimated: bool = False
    needs_model: bool = False  # rests on a reward model
    doubts: tuple[str, ...] = ()  # the estimator's own

    def grave(self) -> tuple[str, ...]:
        """Why the estimate should not be believed, in plain words; none where it may."""
        return plain_words.grave(self)

    def notes(self) -> tuple[str, ...]:
        """What to know besides."""
        return plain_words.notes(self)

    def warnings(self) -> tuple[str, ...]:
        """All of it, the grave first."""
        return (*self.grave(), *self.notes())


def effective_rounds(weight: FloatArray) -> float:
    """(Σw)² / Σw² (Kish, 1965): how many equally weighted rounds are as good; 0 where all weights are."""
    squares = float((weight**2).sum())
    return float(weight.sum() ** 2 / squares) if squares > 0 else 0.0


def largest_share(weight: FloatArray) -> float:
    """max(w) / Σw; 0 where all weights are."""
    total = float(weight.sum())
    return float(weight.max()) / total if total > 0 else 0.0


def removed_share(used: FloatArray, weight: FloatArray) -> float:
    """1 − Σ(as used) / Σw, at least 0."""
    total = float(weight.sum())
    return max(0.0, 1 - float(used.sum()) / total) if total > 0 else 0.0


def mean_weight_interval(weight: FloatArray, level: float) -> Interval | None:
    """Where E[w] lies, by Student's t; None of a single round."""
    from .intervals import interval

    return interval(weight, "student_t", level) if len(weight) > 1 else None
