"""Importance weights, held constant in gradients."""

from __future__ import annotations

from torch import Tensor


def importance_weight(prob: Tensor, propensity: Tensor, clip: float | None = None) -> Tensor:
    """w = π(a_i|x_i) / π0(a_i|x_i), at most `clip`. (B,)"""
    assert prob.shape == propensity.shape
    return clipped(prob.detach() / propensity, clip)


def kernel_weight(kernel: Tensor, density: Tensor, clip: float | None = None) -> Tensor:
    """w = K(s_i, s') / π0(φ(s_i)|x_i), at most `clip` (DSO; Kiyohara et al., 2025). (B,)"""
    assert kernel.shape == density.shape
    return clipped(kernel.detach() / density, clip)


def clipped(weight: Tensor, clip: float | None) -> Tensor:
    """Weights of at most `clip`; all of them with None."""
    return weight if clip is None else weight.clamp(max=clip)


def self_normalised(weight: Tensor) -> Tensor:
    """Weights that average 1 over the batch (Swaminathan and Joachims, 2015); all 0 stay so."""
    mean = weight.mean()
    return weight / mean if mean > 0 else weight
