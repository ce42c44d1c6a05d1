"""Empirical-likelihood intervals for a mean."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from prompt_bandits.types import FloatArray

from .interval_type import Interval, check_level, checked_values

_SMALLEST = 1e-300


def empirical_likelihood(values: ArrayLike, level: float = 0.95) -> Interval:
    """Means that a reweighting p of the rounds can have at log Π n·p_i ≥ −c/2 (Owen, 1988; 2001, chapter 2).

    No shape is assumed, and the interval leans to the side of the long tail by itself. c is the quantile of F(1, n−1),
    for which Owen (2001, 3.3) speaks; it tends to that of χ²(1). An end solves one equation in one number: the extreme
    reweightings are p_i ∝ 1/(x_i − γ), with γ below all values for the low end.

    Args:
        values: (n,), independent.

    Raises:
        ValueError: fewer than 2 values, NaN, or a level outside (0, 1).
    """
    x = checked_values(values)
    check_level(level)
    centre = float(x.mean())
    if x.min() == x.max():
        return Interval(centre, centre, level, "empirical_likelihood")
    reach = critical_value(level, len(x)) / 2
    low, high = centre - _reach_down(x - centre, reach), centre + _reach_down(centre - x, reach)
    return Interval(low, high, level, "empirical_likelihood")


def critical_value(level: float, n: int) -> float:
    """The quantile of F(1, n − 1), which is Student's t squared."""
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, (1 + level) / 2)) ** 2


def _reach_down(x: FloatArray, reach: float) -> float:
    """How far below 0, their mean, values x (n,) can have a mean at log Π n·p_i = −reach."""
    from scipy.optimize import brentq

    unit = -float(x.min())
    above = x / unit + 1  # (n,), smallest 0, mean 1

    def excess(log_gap: float) -> float:
        shifted = above + math.exp(log_gap)
        return float(np.log(shifted).mean() + np.log((1 / shifted).mean())) * len(x) - reach

    far = math.log(above.std() * math.sqrt(len(x) / (2 * reach)) + 1)  # about right where the mean is about normal
    near = far
    while excess(far) > 0:
        far += 1
    while excess(near) < 0:
        near -= 1
        if near < math.log(_SMALLEST):
            return unit
    gap = math.exp(brentq(excess, near, far, xtol=1e-10) if near < far else far)
    mean = 1 / float((1 / (above + gap)).mean()) - gap  # of `above`, under p
    return unit * (1 - mean)
