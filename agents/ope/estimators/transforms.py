"""What may be made of importance weights to tame the large ones: pure functions (n,) -> (n,)."""

from __future__ import annotations

import numpy as np

from prompt_bandits.types import FloatArray


def clipped(weight: FloatArray, clip: float | None) -> FloatArray:
    """min(w, clip) (Ionides, 2008); the weights themselves with None."""
    return weight if clip is None else np.minimum(weight, clip)


def sub_gaussian(weight: FloatArray, lambda_: float) -> FloatArray:
    """w / (1 − λ + λ·w), at most 1/λ (Metelli et al., 2021, s = −1): λ = 0 leaves w, λ = 1 gives
    1 where w > 0.
    """
    if lambda_ == 0:
        return weight
    return np.where(weight > 0, weight / np.where(weight > 0, 1 - lambda_ + lambda_ * weight, 1), 0.0)


def sub_gaussian_lambda(weight: FloatArray, delta: float = 0.05) -> float:
    """√(2·log(1/δ) / (3·n·E[w²])), at most 1: what makes bias and concentration at level δ meet (Metelli et al.,
    2021), with the mean of the squares for their expectation.
    """
    second = float((weight**2).mean())
    return min(1.0, float(np.sqrt(2 * np.log(1 / delta) / (3 * len(weight) * second)))) if second > 0 else 1.0


def shrunk(weight: FloatArray, lambda_: float) -> FloatArray:
    """λ·w / (w² + λ), at most √λ/2 (Su et al., 2020, optimistic shrinkage): λ = ∞ leaves w, λ = 0 gives 0."""
    if np.isinf(lambda_):
        return weight
    return lambda_ * weight / (weight**2 + lambda_) if lambda_ > 0 else np.zeros(len(weight))


def switched(weight: FloatArray, tau: float) -> FloatArray:
    """w·1[w ≤ τ] (Wang et al., 2017): τ = ∞ leaves w, τ = 0 gives 0."""
    return np.where(weight <= tau, weight, 0.0)


def check_not_negative(name: str, value: float) -> None:
    """Refuses negative numbers and NaN; infinity is well."""
    if not value >= 0:
        raise ValueError(f"{name}: expected >= 0, got {value}")


def check_share(name: str, value: float | None) -> None:
    """Refuses what is not in [0, 1]; None is well."""
    if value is not None and not 0 <= value <= 1:
        raise ValueError(f"{name}: expected in [0, 1] or None, got {value}")
