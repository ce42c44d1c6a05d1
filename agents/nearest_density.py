"""The density of outputs under the logging policy from the log alone, by nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from prompt_bandits.datasets import BanditDataset
from prompt_bandits.rounds import Rounds
from prompt_bandits.types import FloatArray, IntArray, Observation

from .batch import to_array, to_tensor
from .kernels import OutputKernel

if TYPE_CHECKING:
    from sklearn.neighbors import NearestNeighbors

_FLOOR = 1e-10
_PAIRS = 1 << 18


@dataclass(frozen=True, eq=False)
class NearestDensity:
    """mean_j K(o_i, o_j) over the outputs that were logged in the `n_neighbors` most similar rounds, by standardised
    context and query: π0(φ(s)|x) where neither the LLM nor the logging policy can be asked. A round is its own
    neighbour like any other.

    Args:
        data: logged rounds with output embeddings.
        kernel: what the density is the mean of.
        n_neighbors: at most all rounds.
        seed: of the kernel's noise.
    """

    data: BanditDataset
    kernel: OutputKernel = field(default_factory=OutputKernel)
    n_neighbors: int = 100
    seed: int = 0

    def density(self, obs: Observation, output: FloatArray) -> FloatArray:
        """(n,) at the outputs (n, d_o)."""
        logged, k = self.data.require_output(), min(self.n_neighbors, len(self.data))
        out, step = np.empty(len(obs), dtype=np.float32), max(1, _PAIRS // k)
        for begin in range(0, len(obs), step):
            rows = slice(begin, min(begin + step, len(obs)))
            near: IntArray = self._index.kneighbors(self._scaled(obs.take(rows)), k, return_distance=False)
            rounds = Rounds(self.seed, begin * k, near.size, "fit/density/nearest")
            own = to_tensor(np.repeat(output[rows], k, axis=0))
            values = self.kernel.value(own, to_tensor(logged[near.ravel()]), rounds)
            out[rows] = to_array(values).reshape(-1, k).mean(axis=1)
        return out + np.float32(_FLOOR)

    @cached_property
    def _index(self) -> NearestNeighbors:
        from sklearn.neighbors import NearestNeighbors

        return NearestNeighbors().fit(self._scaled(self.data.obs))

    def _scaled(self, obs: Observation) -> FloatArray:
        mean, deviation = self._scale
        return np.asarray((obs.features() - mean) / deviation)

    @cached_property
    def _scale(self) -> tuple[FloatArray, FloatArray]:
        features = self.data.obs.features()
        deviation = features.std(axis=0)
        return features.mean(axis=0), np.where(deviation > 0, deviation, 1)
