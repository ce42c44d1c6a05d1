"""Kernels on outputs: how alike two sentences are.

The distance is ‖o − o'‖₂ / d_o, and the kernels are normalised as densities in one dimension, as in the published
experiments; the constant cancels in DSO's weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

KernelFunction = Callable[[Tensor, float], Tensor]
"""(distance (B,), bandwidth τ) -> similarity (B,)."""


def gaussian(distance: Tensor, tau: float) -> Tensor:
    """exp(−d²/2τ²) / sqrt(2πτ²)."""
    return torch.exp(-(distance**2) / (2 * tau**2)) / math.sqrt(2 * math.pi * tau**2)


def uniform(distance: Tensor, tau: float) -> Tensor:
    """1[d ≤ τ] / 2τ."""
    return (distance <= tau).to(distance.dtype) / (2 * tau)


KERNELS: dict[str, KernelFunction] = {"gaussian": gaussian, "uniform": uniform}


def kernel_function(kernel: str | KernelFunction) -> KernelFunction:
    """A kernel by name, or the given callable.

    Raises:
        ValueError: an unknown name.
    """
    if not isinstance(kernel, str):
        return kernel
    if kernel not in KERNELS:
        raise ValueError(f"kernel: expected one of {', '.join(KERNELS)} or a callable, got {kernel!r}")
    return KERNELS[kernel]


def output_distance(first: Tensor, second: Tensor, noise: Tensor | None = None) -> Tensor:
    """‖(o + ε) − (o' + ε')‖₂ / d_o, (B,); `noise` (B, 2·d_o) holds ε and ε', None for none."""
    assert first.shape == second.shape  # (B, d_o)
    dim = first.shape[1]
    difference = first - second
    if noise is not None:
        difference = difference + noise[:, :dim] - noise[:, dim:]
    distance: Tensor = torch.linalg.vector_norm(difference, dim=1) / dim
    return distance
