"""What the LLM writes for every (query, prompt) pair, where queries are few enough to ask for all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prompt_bandits.datasets import BanditDataset
from prompt_bandits.rounds import Rounds
from prompt_bandits.types import FloatArray, IntArray

from .protocols import SamplesOutputs
from .sampling import is_costly, output_embedding, without_mask

_PAIRS = 1 << 15  # asked for at a time
_AS_OFTEN = 2  # rounds a query, for queries to count as recurrent


@dataclass(frozen=True, eq=False)
class PairMeans:
    """Means of a few outputs of every pair."""

    row: IntArray  # (m,) a logged round of each query
    query: FloatArray  # (m, d_q), all different
    mean: FloatArray  # (m, |A|, d_o)
    noise: FloatArray  # (d_o,) variance of such a mean about what it estimates

    def deviation(self, predicted: FloatArray) -> FloatArray:
        """By how much pairs differ from predictions (m, |A|, d_o): shrunken by what differences of pure chance would be
        like (Efron and Morris, 1973), so that a prediction that is right is left alone.
        """
        assert predicted.shape == self.mean.shape
        rest = self.mean - predicted
        total = np.square(rest).mean(axis=(0, 1)) + _TINY
        return np.asarray(rest * np.maximum(0, 1 - self.noise / total), dtype=np.float32)


_TINY = 1e-12


def sample_pairs(
    data: BanditDataset, queries: FloatArray, simulator: SamplesOutputs, *, n_outputs: int, most: int, seed: int
) -> PairMeans | None:
    """Asks for every logged query with every prompt; None where that is too much to ask, or queries hardly recur.

    Args:
        data: logged rounds.
        queries: (n, d_q) of these rounds.
        simulator: samples outputs; a costly one is not asked.
        n_outputs: of a pair, at least 2.
        most: outputs in all.
        seed: of what is sampled.
    """
    query, row = np.unique(queries, axis=0, return_index=True)
    shape = (len(row), data.n_actions)
    if len(row) * _AS_OFTEN > len(data) or len(row) * data.n_actions * n_outputs > most:
        return None
    if is_costly(simulator, data.obs.take(row)):
        return None
    dim = data.require_output().shape[1]
    drawn = np.stack([_outputs(data, row, simulator, f"fit/pairs/{k}", seed, dim) for k in range(n_outputs)])
    noise = drawn.var(axis=0, ddof=1, dtype=np.float64).mean(axis=0) / n_outputs
    return PairMeans(row, query, drawn.mean(axis=0).reshape(*shape, dim), noise)


def _outputs(
    data: BanditDataset, row: IntArray, simulator: SamplesOutputs, scope: str, seed: int, dim: int
) -> FloatArray:
    """One output of every pair, (m·|A|, d_o)."""
    bare, n = without_mask(data.obs), len(row) * data.n_actions
    parts = []
    for begin in range(0, n, _PAIRS):
        pair = np.arange(begin, min(begin + _PAIRS, n))
        asked, action = np.divmod(pair, data.n_actions)
        rounds = Rounds(seed, begin, len(pair), scope)
        parts.append(output_embedding(simulator, bare.take(row[asked]), action, rounds, dim))
    return np.concatenate(parts)
