"""Kernels on outputs: how alike two sentences are.

The distance is ‖o − o'‖₂ / d_o, and the kernels are normalised as densities in one dimension, as in the published
experiments; the constant cancels in DSO's weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from prompt_bandits.rounds import Rounds, named_generator
from prompt_bandits.types import FloatArray

from .batch import to_tensor

KernelFunction = Callable[[Tensor, float], Tensor]
"""(distance (B,), bandwidth τ) -> similarity (B,)."""


def gaussian(distance: Tensor, tau: float) -> Tensor:
    """exp(−d²/2τ²) / sqrt(2πτ²)."""
    return torch.exp(-(distance**2) / (2 * tau**2)) / math.sqrt(2 * math.pi * tau**2)


def uniform(distance: Tensor, tau: float) -> Tensor:
    """1[d ≤ τ] / 2τ."""
    return (distance <= tau).to(distance.dtype) / (2 * tau)


def laplace(distance: Tensor, tau: float) -> Tensor:
    """exp(−d/τ) / 2τ."""
    return torch.exp(-distance / tau) / (2 * tau)


def epanechnikov(distance: Tensor, tau: float) -> Tensor:
    """¾·(1 − d²/τ²)₊ / τ."""
    return 0.75 * (1 - (distance / tau) ** 2).clamp(min=0) / tau


KERNELS: dict[str, KernelFunction] = {
    "gaussian": gaussian,
    "uniform": uniform,
    "laplace": laplace,
    "epanechnikov": epanechnikov,
}


def output_distance(first: Tensor, second: Tensor, noise: Tensor | None = None) -> Tensor:
    """‖(o + ε) − (o' + ε')‖₂ / d_o, (B,); `noise` (B, 2·d_o) holds ε and ε', None for none."""
    assert first.shape == second.shape  # (B, d_o)
    dim = first.shape[1]
    difference = first - second
    if noise is not None:
        difference = difference + noise[:, :dim] - noise[:, dim:]
    distance: Tensor = torch.linalg.vector_norm(difference, dim=1) / dim
    return distance


@dataclass(frozen=True)
class OutputKernel:
    """K(o, o'), with noise on both outputs as in the published experiments.

    Raises:
        ValueError: an unknown kernel, or a level out of range.
    """

    name: str | KernelFunction = "gaussian"  # or "uniform", "laplace", "epanechnikov", or any callable
    tau: float = 1.0  # bandwidth, in units of the distance
    emb_noise: float = 1.0  # standard deviation of what is added to each of the two outputs

    def __post_init__(self) -> None:
        if isinstance(self.name, str) and self.name not in KERNELS:
            raise ValueError(f"kernel: expected one of {', '.join(KERNELS)} or a callable, got {self.name!r}")
        if not self.tau > 0 or self.emb_noise < 0:
            raise ValueError(f"tau, emb_noise: expected > 0 and >= 0, got {self.tau}, {self.emb_noise}")

    def value(self, first: Tensor, second: Tensor, rounds: Rounds) -> Tensor:
        """(B,) for outputs (B, d_o); the noise is drawn from `rounds`."""
        function = KERNELS[self.name] if isinstance(self.name, str) else self.name
        noise = None
        if self.emb_noise > 0:
            drawn = self.emb_noise * rounds.normal("kernel", 2 * first.shape[1])
            noise = to_tensor(drawn, first.device)
        return function(output_distance(first, second, noise), self.tau)


def median_bandwidth(outputs: FloatArray, emb_noise: float = 0.0, seed: int = 0, n_pairs: int = 10_000) -> float:
    """The median heuristic: the median distance that the kernel sees between outputs (n, d_o) drawn in pairs (Gretton
    et al., 2012, section 8).

    Raises:
        ValueError: half of the pairs are of equal outputs.
    """
    generator = named_generator(seed, "pairs")
    first, second = generator.integers(len(outputs), size=(2, n_pairs))
    other = first != second
    one, two = (to_tensor(outputs[side[other]]) for side in (first, second))
    noise = to_tensor(emb_noise * generator.standard_normal((int(other.sum()), 2 * outputs.shape[1])))
    tau = float(output_distance(one, two, noise).median()) if other.any() else 0.0
    if not tau > 0:
        raise ValueError("tau: the median distance between logged outputs is 0; expected a bandwidth > 0 in its place")
    return tau
