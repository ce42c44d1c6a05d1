"""What to believe of a reward model's error, of which weighted rounds give a noisy measurement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prompt_bandits.types import FloatArray

_STEPS = np.exp(np.linspace(-7, 7, 57))  # of the prior's variance, about its typical size


@dataclass(frozen=True)
class BiasBelief:
    """The error b after a measurement D ~ N(b, s²)."""

    share: float  # E[b | D] = share · D
    variance: float  # Var[b | D]


def believed_bias(measured: float, noise: float, typical: float, freedom: float) -> BiasBelief:
    """For b of a prior with Student's t shape: b ~ N(0, typical · g) where freedom / g is χ² with `freedom` degrees.

    Where D is small beside its noise, little of it is believed; where it is many times as large, all of it is,
    whatever the prior says of typical sizes, since the tails of t are heavy.

    Args:
        measured: D.
        noise: s², its variance; infinite where nothing was measured.
        typical: b² to be expected before the measurement; > 0.
        freedom: degrees of freedom: the fewer, the sooner is a large D believed.
    """
    size = typical * _STEPS
    prior = _density(_STEPS, freedom)
    if not np.isfinite(noise):
        return BiasBelief(0.0, float((prior * size).sum()))
    total = size + noise
    weight = prior * np.exp(_centred(-0.5 * np.log(total) - 0.5 * measured**2 / total))
    weight /= weight.sum()
    shrink = size / total
    share = float((weight * shrink).sum())
    within, between = float((weight * shrink).sum() * noise), float((weight * (shrink - share) ** 2).sum())
    return BiasBelief(share, within + between * measured**2)


def _density(size: FloatArray, freedom: float) -> FloatArray:
    """Of log g on the grid, normalised: inverse χ²."""
    weight = np.exp(_centred(-freedom / 2 * (np.log(size) + 1 / size)))
    return np.asarray(weight / weight.sum())


def _centred(log: FloatArray) -> FloatArray:
    return np.asarray(log - log.max())
