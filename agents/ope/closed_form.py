"""Intervals for a mean that are formulas: Student t, Hoeffding, empirical Bernstein, Clopper–Pearson."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from .interval_type import Bounds, Interval, check_inside, check_level, checked_values


def student_t(values: ArrayLike, level: float = 0.95) -> Interval:
    """x̄ ± t_{n−1, (1+level)/2} · s/√n (Student, 1908): right where the mean is about normal.

    Weighted rewards with few large weights are skewed, and the interval then misses more often than it says, on the
    side of the rounds that did not come. Values that are all equal give a point: they show no error, which is no
    proof that there is none.

    Args:
        values: (n,), independent.

    Raises:
        ValueError: fewer than 2 values, NaN, or a level outside (0, 1).
    """
    from scipy.special import stdtrit

    x = checked_values(values)
    check_level(level)
    half = float(stdtrit(len(x) - 1, (1 + level) / 2)) * float(x.std(ddof=1)) / math.sqrt(len(x))
    return _around(float(x.mean()), half, level, "student_t")


def hoeffding(values: ArrayLike, bounds: Bounds, level: float = 0.95) -> Interval:
    """x̄ ± (b − a)·√(log(2/α) / (2n)), at every n (Hoeffding, 1963, Theorem 2).

    Args:
        values: (n,), independent.
        bounds: of what a round can give, not of what was seen; `weighted_bounds` for weighted rewards.

    Raises:
        ValueError: a value out of bounds, or as `student_t`.
    """
    x = checked_values(values)
    check_level(level)
    check_inside(x, bounds)
    half = (bounds[1] - bounds[0]) * math.sqrt(math.log(2 / (1 - level)) / (2 * len(x)))
    return _around(float(x.mean()), half, level, "hoeffding").within(bounds)


def empirical_bernstein(values: ArrayLike, bounds: Bounds, level: float = 0.95) -> Interval:
    """x̄ ± √(2·s²·L/n) + (b − a)·7L / (3(n − 1)) with L = log(4/α), at every n (Maurer and Pontil, 2009, Theorem 4,
    once for either side).

    Where the values vary less than their bounds let them, as weighted rewards do, far narrower than `hoeffding`.

    Args:
        values: (n,), independent.
        bounds: as for `hoeffding`.

    Raises:
        ValueError: as `hoeffding`.
    """
    x = checked_values(values)
    check_level(level)
    check_inside(x, bounds)
    n, confidence = len(x), math.log(4 / (1 - level))
    spread = math.sqrt(2 * float(x.var(ddof=1)) * confidence / n)
    rest = (bounds[1] - bounds[0]) * 7 * confidence / (3 * (n - 1))
    return _around(float(x.mean()), spread + rest, level, "empirical_bernstein").within(bounds)


def clopper_pearson(values: ArrayLike, level: float = 0.95) -> Interval:
    """The exact interval of a proportion, by quantiles of beta distributions (Clopper and Pearson, 1934).

    For rewards that are 0 or 1 and not weighted: those of the logging policy, or of rounds where both policies agree.

    Args:
        values: (n,), independent, each 0 or 1.

    Raises:
        ValueError: a value other than 0 and 1, or as `student_t`.
    """
    from scipy.special import betaincinv

    x = checked_values(values)
    check_level(level)
    if other := np.unique(x[(x != 0) & (x != 1)]).tolist():
        shown = ", ".join(f"{value:.6g}" for value in other[:3])
        raise ValueError(
            f"values: clopper_pearson expects rewards that are 0 or 1, not weighted, got {shown}; "
            "empirical_bernstein takes any bounded values"
        )
    n, ones, tail = len(x), int(x.sum()), (1 - level) / 2
    low = float(betaincinv(ones, n - ones + 1, tail)) if ones else 0.0
    high = float(betaincinv(ones + 1, n - ones, 1 - tail)) if ones < n else 1.0
    return Interval(low, high, level, "clopper_pearson")


def _around(centre: float, half: float, level: float, method: str) -> Interval:
    return Interval(centre - half, centre + half, level, method)
