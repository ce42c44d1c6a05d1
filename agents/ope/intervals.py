"""Intervals for the mean of per-round values, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from numpy.typing import ArrayLike

from .bootstrap import VARIANTS, Resamples, resample
from .closed_form import clopper_pearson, empirical_bernstein, hoeffding, student_t
from .empirical_likelihood import empirical_likelihood
from .interval_type import Bounds, Interval, check_inside, checked_values

__all__ = ["METHODS", "Bounds", "Interval", "Method", "interval"]

Free = Callable[[ArrayLike, float, int], Interval]
"""(values, level, seed) -> an interval."""
Bounded = Callable[[ArrayLike, Bounds, float], Interval]
"""(values, bounds, level) -> an interval."""


@dataclass(frozen=True)
class Method:
    """A way to make an interval: exactly one of the two functions is there."""

    free: Free | None = None
    bounded: Bounded | None = None
    any_n: bool = False  # holds at every n, not only where the mean is about normal

    @property
    def needs_bounds(self) -> bool:
        return self.bounded is not None


def _resampled(variant: Callable[[Resamples, float], Interval]) -> Free:
    return lambda values, level, seed: variant(resample(values, seed=seed), level)


METHODS: dict[str, Method] = {
    "student_t": Method(lambda values, level, seed: student_t(values, level)),
    **{name: Method(_resampled(variant)) for name, variant in VARIANTS.items()},
    "empirical_likelihood": Method(lambda values, level, seed: empirical_likelihood(values, level)),
    "clopper_pearson": Method(lambda values, level, seed: clopper_pearson(values, level), any_n=True),
    "hoeffding": Method(bounded=hoeffding, any_n=True),
    "empirical_bernstein": Method(bounded=empirical_bernstein, any_n=True),
}


def interval(
    values: ArrayLike, method: str = "student_t", level: float = 0.95, bounds: Bounds | None = None, seed: int = 0
) -> Interval:
    """Where the mean of independent values lies, two-sided.

    Bounds are what one round can give at least and at most (`weighted_bounds`, `doubly_robust_bounds`); "hoeffding" and
    "empirical_bernstein" need them, the others leave out what they exclude. They say nothing of self-normalised
    estimates, whose terms have none that are known beforehand.

    Args:
        values: (n,) whose mean is the estimate.
        method: one of `METHODS`.
        level: the probability with which the interval is to hold the mean.
        bounds: (low, high).
        seed: of the bootstrap.

    Raises:
        ValueError: an unknown method, a level outside (0, 1), fewer than 2 values, NaN, bounds missing or violated, or
            "clopper_pearson" of values other than 0 and 1.
    """
    if method not in METHODS:
        raise ValueError(f"method: expected one of {', '.join(METHODS)}, got {method!r}")
    chosen = METHODS[method]
    if bounds is not None:
        check_inside(checked_values(values), bounds)
    if chosen.free is not None:
        found = chosen.free(values, level, seed)
        return found if bounds is None else found.within(bounds)
    assert chosen.bounded is not None
    if bounds is None:
        raise ValueError(
            f"bounds: {method} expects the lowest and the highest value that a round can give, got None; "
            "weighted_bounds(reward_range, largest_weight) gives those of weighted rewards"
        )
    return chosen.bounded(values, bounds, level)
