"""Where a world's matrices come from: every part draws from a stream of its own, named after it."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from prompt_bandits.rounds import named_generator
from prompt_bandits.types import FloatArray


class Draws(Protocol):
    """The numbers that one part is made of, in the order that it asks for them."""

    def normal(self, *shape: int) -> FloatArray: ...
    def uniform(self, *shape: int) -> FloatArray: ...


class IndependentDraws:
    """A stream for each (world_seed, part): parts share nothing."""

    def __init__(self, world_seed: int, part: str) -> None:
        self._generator = named_generator(world_seed, "world", part)

    def normal(self, *shape: int) -> FloatArray:
        return self._generator.standard_normal(shape)

    def uniform(self, *shape: int) -> FloatArray:
        return self._generator.random(shape)


class PublishedDraws:
    """The streams of the published experiments: each part starts the same PyTorch generator anew at `world_seed`.

    So the output's matrices equal the reward's, as they do there; our figures then stand beside the published ones,
    world by world.
    """

    def __init__(self, world_seed: int, part: str) -> None:
        import torch  # the only use of PyTorch in the synthetic worlds

        self._torch: Any = torch
        self._generator = torch.Generator().manual_seed(world_seed)

    def normal(self, *shape: int) -> FloatArray:
        return np.asarray(self._torch.randn(shape, generator=self._generator).numpy())

    def uniform(self, *shape: int) -> FloatArray:
        return np.asarray(self._torch.rand(shape, generator=self._generator).numpy())


WORLDS: dict[str, type[IndependentDraws] | type[PublishedDraws]] = {
    "independent": IndependentDraws,
    "published": PublishedDraws,
}


def random_covariance(draws: Draws, dim: int) -> FloatArray:
    """G·Gᵀ with G ~ U(−1, 1), (dim, dim)."""
    g = 2 * draws.uniform(dim, dim) - 1
    return g @ g.T


def gaussian_prompts(draws: Draws, n_actions: int, dim: int) -> FloatArray:
    """e ~ N(0, I), (n_actions, dim)."""
    return draws.normal(n_actions, dim)


def mixture_prompts(draws: Draws, n_actions: int, dim: int, n_clusters: int, spread: float = 0.1) -> FloatArray:
    """Centres ~ N(0, I) and e ~ N(centre, spread²); prompt a belongs to cluster a mod n_clusters. (n_actions, dim).

    Raises:
        ValueError: not 1 … n_actions clusters.
    """
    if not 1 <= n_clusters <= n_actions:
        raise ValueError(f"n_clusters: expected 1 … {n_actions} (n_actions), got {n_clusters}")
    centers = draws.normal(n_clusters, dim)
    return centers[np.arange(n_actions) % n_clusters] + spread * draws.normal(n_actions, dim)
