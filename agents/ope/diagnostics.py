"""Whether an estimate can be believed: what its weights say, in numbers and in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from prompt_bandits.types import Estimate, FloatArray

if TYPE_CHECKING:
    from .intervals import Interval

FEW_ROUNDS = 30.0  # effective: below, normal theory and every look at a tail are guesses
LARGE_SHARE = 0.1  # of all weight on one round
UNSUPPORTED = 0.01  # of the policy's choices


@dataclass(frozen=True)
class Weights:
    """What importance weights say of the estimate that rests on them."""

    effective_rounds: float  # (Σw)² / Σw²; of as many equal rounds would have this variance
    largest: float
    largest_share: float  # of Σw

    @classmethod
    def of(cls, weight: FloatArray) -> Weights:
        """Of weights (n,)."""
        total = float(weight.sum())
        if total <= 0:
            return cls(0.0, 0.0, 0.0)
        largest = float(weight.max())
        return cls(effective_rounds(weight), largest, largest / total)


def effective_rounds(weight: FloatArray) -> float:
    """(Σw)² / Σw² (Kish, 1965): how many equally weighted rounds are as good; 0 where all weights are."""
    squares = float((weight**2).sum())
    return float(weight.sum() ** 2 / squares) if squares > 0 else 0.0


@dataclass(frozen=True)
class Diagnostics:
    """Beside every estimate. What does not apply to an estimator, or is unknown, is None."""

    n: int  # rounds
    weights: Weights | None  # as the estimator uses them
    mean_weight: Estimate | None  # of the importance weights before anything is done to them: 1 if all is well
    mean_weight_interval: Interval | None
    unsupported_mass: float | None  # how often the policy would do what the logging policy never does
    unlogged_mass: float  # how often it would take prompts that no logged round took

    def grave(self) -> tuple[str, ...]:
        """Why the estimate should not be believed, in plain words; none where it may."""
        found = [self._few(), self._one_round(), self._mean_weight(), self._unsupported()]
        return tuple(told for told in found if told is not None)

    def notes(self) -> tuple[str, ...]:
        """What to know besides."""
        return ()

    def warnings(self) -> tuple[str, ...]:
        """All of it, the grave first."""
        return (*self.grave(), *self.notes())

    def _few(self) -> str | None:
        if self.weights is None or self.weights.effective_rounds >= FEW_ROUNDS:
            return None
        return (
            f"The estimate rests on about {self.weights.effective_rounds:.0f} of {self.n:,} rounds: the policy seldom "
            "does what was logged. Log more rounds, or evaluate a policy that is nearer to the logging policy."
        )

    def _one_round(self) -> str | None:
        if self.weights is None or self.weights.largest_share < LARGE_SHARE:
            return None
        return (
            f"A single round has {self.weights.largest_share:.0%} of all weight: had it gone otherwise, so would the "
            "estimate. Clip the weights, or take a doubly robust estimator."
        )

    def _mean_weight(self) -> str | None:
        mean, inside = self.mean_weight, self.mean_weight_interval
        if mean is None or inside is None or inside.low <= 1 <= inside.high:
            return None
        return (
            f"The importance weights average {mean.value:.3f} [{inside.low:.3f}, {inside.high:.3f}] and should average "
            "1: the logged propensities are wrong, or the policy does what the log hardly contains."
        )

    def _unsupported(self) -> str | None:
        mass = self.unlogged_mass if self.unsupported_mass is None else self.unsupported_mass
        if mass < UNSUPPORTED:
            return None
        return (
            f"{mass:.1%} of the time the policy would choose prompts of which the log has nothing in such rounds: what "
            "they earn is a guess of the reward model, or counted as 0."
        )


def mean_weight(weight: FloatArray, level: float) -> tuple[Estimate, Interval | None]:
    """mean(w) of importance weights (n,), which is 1 if the propensities are right and the log covers the policy; and
    its interval, by Student's t.
    """
    from .intervals import interval

    found = Estimate.from_terms(weight)
    return found, interval(weight, "student_t", level) if np.isfinite(found.se) else None
