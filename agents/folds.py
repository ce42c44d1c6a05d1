"""Which fold a round belongs to, wherever it turns up."""

from __future__ import annotations

import numpy as np

from prompt_bandits.datasets import BanditDataset
from prompt_bandits.types import IntArray


def fold_of(data: BanditDataset, folds: int, seed: int) -> IntArray:
    """(n,) the fold 0 … K−1 of each row, by its key: about equal shares, the same wherever the row turns up."""
    key = _scrambled(np.array([seed & (2**64 - 1)], np.uint64))
    for column in (data.seed, data.round_id):
        key = _scrambled(key ^ column.astype(np.uint64))
    return (key % np.uint64(folds)).astype(np.int64)


def _scrambled(value: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """splitmix64 (Steele et al., 2014): no generator, whose streams could change between NumPy versions and with them
    the folds of a model that was saved.
    """
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
