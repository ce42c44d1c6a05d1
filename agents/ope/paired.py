"""The difference of two policies over the same logged rounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from prompt_bandits.types import Estimate, FloatArray

from .bootstrap import VARIANTS, resample
from .interval_type import Bounds, Interval, check_inside, check_level, checked_values
from .intervals import interval


@dataclass(frozen=True)
class Difference:
    """V(new) − V(old)."""

    estimate: Estimate
    interval: Interval
    probability: float  # that the new policy is better; see `difference`

    def __str__(self) -> str:
        low, high = self.interval.low, self.interval.high
        return f"{self.estimate.value:+.4f} [{low:+.4f}, {high:+.4f}], better with probability {self.probability:.3f}"


def difference(
    new_values: ArrayLike,
    old_values: ArrayLike,
    method: str = "student_t",
    level: float = 0.95,
    bounds: Bounds | None = None,
    seed: int = 0,
) -> Difference:
    """What the new policy gains over the old, in pairs: what both owe to a round cancels in its difference.

    The probability that the new one is better is, of a bootstrap, the share of resampled differences above 0 (ties
    half), and of any other method P(T < difference / s.e.) for a T of Student's with n − 1 degrees of freedom: one
    minus the one-sided p-value, or one's belief in the new policy after the rounds if before them every difference
    seemed as likely. Where two policies are picked from many, it is too high for the winner.

    Args:
        new_values: (n,) per-round values whose mean is the estimate of the new policy.
        old_values: (n,) of the old policy, over the same rounds in the same order; the rewards where it logged them.
        method: of the interval.
        level: of the interval.
        bounds: of the differences: (new's low − old's high, new's high − old's low) is always right.
        seed: of the bootstrap.

    Raises:
        ValueError: lengths that differ, or as `interval`.
    """
    new, old = checked_values(new_values, "new_values"), checked_values(old_values, "old_values")
    if new.shape != old.shape:
        raise ValueError(f"old_values: expected the same rounds as new_values, {new.shape}, got {old.shape}")
    if method == "clopper_pearson":
        raise ValueError("method: expected one for a difference, which is no proportion, got 'clopper_pearson'")
    gain = _without_rounding(new - old, new)
    estimate = Estimate.from_terms(gain)
    if bounds is not None:
        check_inside(gain, bounds)
    if method in VARIANTS:
        check_level(level)
        drawn = resample(gain, seed=seed)
        found = VARIANTS[method](drawn, level)
        return Difference(estimate, found if bounds is None else found.within(bounds), drawn.share_above(0.0))
    return Difference(estimate, interval(gain, method, level, bounds, seed), _probability(estimate))


def _without_rounding(gain: FloatArray, values: FloatArray) -> FloatArray:
    """Zeros where two computations of the same values differ in their last digits only: no gain, however sure."""
    return np.zeros_like(gain) if np.abs(gain).max() <= 1e-13 * np.abs(values).max() else gain


def _probability(estimate: Estimate) -> float:
    if estimate.se == 0:
        return 0.5 if estimate.value == 0 else float(estimate.value > 0)
    from scipy.special import stdtr

    return float(stdtr(estimate.n - 1, estimate.value / estimate.se))
