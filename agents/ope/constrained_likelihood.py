"""Empirical-likelihood intervals that know that importance weights have mean 1."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from prompt_bandits.types import FloatArray

from .empirical_likelihood import critical_value
from .interval_type import Interval, check_level, checked_values

_NEWTON_STEPS = 100


def constrained_empirical_likelihood(values: ArrayLike, weights: ArrayLike, level: float = 0.95) -> Interval:
    """`empirical_likelihood` under one more condition, Σ p_i·w_i = 1 (Karampatziakis, Langford and Mineiro, 2020).

    What the weights are known to average to takes the noise away that values share with them: for values w·r, it is
    narrower the further the rewards are from 0. Its centre is the mean under the likeliest such p, not the mean of the
    values.

    Args:
        values: (n,), independent; of a kind whose mean is the estimate without self-normalisation.
        weights: (n,) π/π0 of the same rounds, not clipped, since clipped ones have another mean.

    Raises:
        ValueError: shapes that differ, no weight below 1 or none above, or as `empirical_likelihood`.
    """
    from scipy.optimize import brentq

    x, w = checked_values(values), checked_values(weights, "weights")
    check_level(level)
    if x.shape != w.shape:
        raise ValueError(f"weights: expected one for each value, {x.shape}, got {w.shape}")
    if (w == 1).all():
        raise ValueError("weights: all are 1, the condition says nothing; use empirical_likelihood")
    if not w.min() < 1 < w.max():
        raise ValueError(f"weights: expected some below 1 and some above, got [{w.min():.4g}, {w.max():.4g}]")
    scale = float(np.abs(x).max())
    x = _without_part_of(w - 1, x)
    share = reweighting((w - 1)[:, None])
    centre, unit = float(share @ x), float(x.std())
    if unit <= 1e-9 * scale:
        return Interval(centre, centre, level, "constrained_empirical_likelihood")
    allowed = ratio((w - 1)[:, None]) + critical_value(level, len(x))

    def excess(mean: float) -> float:
        return ratio(np.stack([(x - mean) / unit, w - 1], axis=1)) - allowed

    step = unit * math.sqrt(critical_value(level, len(x)) / len(x))
    low, high = (brentq(excess, centre, _beyond(excess, centre, far), xtol=1e-9 * unit) for far in (-step, step))
    return Interval(low, high, level, "constrained_empirical_likelihood")


def _without_part_of(other: FloatArray, x: FloatArray) -> FloatArray:
    """x − b·other of least squares, whose mean under p is that of x where the mean of `other` is 0: easier numbers."""
    deviation = other - other.mean()
    return np.asarray(x - other * float(deviation @ x / (deviation @ deviation)))


def _beyond(excess: Callable[[float], float], start: float, step: float) -> float:
    end = start + step
    while excess(end) <= 0:
        step *= 2
        end += step
    return end


def ratio(moments: FloatArray) -> float:
    """−2·max_p log Π n·p_i over p with Σ p_i·g_i = 0, for moments g (n, d): max_λ 2·Σ log(1 + λ·g_i) (Owen,
    2001, chapter 3).

    Large and finite where no p has that.
    """
    return 2 * float(_log_star(1 + moments @ _multiplier(moments)).sum())


def reweighting(moments: FloatArray) -> FloatArray:
    """(n,) the likeliest p with Σ p_i·g_i = 0."""
    p = 1 / (1 + moments @ _multiplier(moments))
    return np.asarray(p / p.sum())


def _multiplier(moments: FloatArray) -> FloatArray:
    """λ (d,) by Newton's method with halved steps, on a logarithm that goes on below 1/n as a parabola."""
    multiplier, best = np.zeros(moments.shape[1]), 0.0
    for _ in range(_NEWTON_STEPS):
        argument = 1 + moments @ multiplier
        first, second = _log_star_derivatives(argument)
        gradient = moments.T @ first
        hessian = (moments * second[:, None]).T @ moments
        step = np.linalg.lstsq(hessian, -gradient, rcond=None)[0]
        decrement = float(gradient @ step)
        if decrement < 1e-10:
            break
        size = 1.0
        while (
            found := float(_log_star(1 + moments @ (multiplier + size * step)).sum())
        ) < best + 1e-4 * size * decrement:
            size /= 2
            if size < 1e-10:
                return multiplier
        multiplier, best = multiplier + size * step, found
    return multiplier


def _log_star(z: FloatArray) -> FloatArray:
    """log z, and below 1/n its second-order expansion there (Owen, 2001, chapter 12)."""
    n = len(z)
    inside = np.log(np.maximum(z, 1 / n))
    return np.where(z < 1 / n, -math.log(n) - 1.5 + 2 * n * z - (n * z) ** 2 / 2, inside)


def _log_star_derivatives(z: FloatArray) -> tuple[FloatArray, FloatArray]:
    n = len(z)
    inside = 1 / np.maximum(z, 1 / n)
    return np.where(z < 1 / n, 2 * n - n**2 * z, inside), np.where(z < 1 / n, -(float(n) ** 2), -(inside**2))
