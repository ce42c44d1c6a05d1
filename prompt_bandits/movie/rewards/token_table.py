"""Tokenised texts, and batches of them that need little padding. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prompt_bandits.types import BoolArray, IntArray

_MIXED_BATCHES = 50  # so many batches' texts are sorted by length together


@dataclass(frozen=True, eq=False)
class TokenTable:
    """Token ids of texts, one text after the other."""

    ids: IntArray  # (sum of lengths,)
    start: IntArray  # (n + 1,) where each text begins, and where the last ends
    pad_id: int = 0

    @classmethod
    def of(cls, texts: Sequence[str] | NDArray[Any], tokenizer: Any, max_length: int | None = None) -> TokenTable:
        """Texts as a transformers tokenizer reads them: with its special tokens, cut at `max_length` tokens."""
        limits = {} if max_length is None else {"truncation": True, "max_length": max_length}
        rows = tokenizer(list(texts), **limits)["input_ids"] if len(texts) else []
        ids = np.fromiter((token for row in rows for token in row), np.int64)
        start = np.concatenate([[0], np.cumsum([len(row) for row in rows], dtype=np.int64)])
        pad_id = tokenizer.pad_token_id
        return cls(ids, start, 0 if pad_id is None else int(pad_id))

    def __len__(self) -> int:
        return len(self.start) - 1

    @property
    def length(self) -> IntArray:
        """(n,) tokens of each text."""
        return np.diff(self.start)

    def take(self, index: IntArray) -> TokenTable:
        """The texts at `index`, in that order."""
        length = self.length[index]
        start = np.concatenate([[0], np.cumsum(length)])
        position = np.arange(start[-1]) + np.repeat(self.start[index] - start[:-1], length)
        return TokenTable(self.ids[position], start, self.pad_id)

    def padded(self, index: IntArray) -> tuple[IntArray, BoolArray]:
        """Token ids (k, longest) of the texts at `index`, padded on the right, and where they are no padding."""
        length = self.length[index]
        column = np.arange(length.max(initial=0))
        mask = column < length[:, None]
        position = np.where(mask, self.start[index][:, None] + column, 0)
        return np.where(mask, self.ids[position], self.pad_id), mask


@dataclass(frozen=True, eq=False)
class Corruption:
    """Some tokens become other ones, or the mask, so that a model cannot lean on single words.

    The first and the last token and special ones stay.
    """

    random_rate: float
    mask_rate: float
    mask_id: int
    special: IntArray  # ids of special tokens
    ordinary: IntArray  # ids of all others

    @classmethod
    def of(cls, tokenizer: Any, random_rate: float, mask_rate: float) -> Corruption | None:
        """With this tokenizer's tokens; None where both rates are 0.

        Raises:
            ValueError: a mask rate, and a tokenizer without a mask token.
        """
        if not random_rate and not mask_rate:
            return None
        if mask_rate and tokenizer.mask_token_id is None:
            raise ValueError(f"mask_rate: expected 0 for a tokenizer without a mask token, got {mask_rate}")
        special = np.array(sorted(set(tokenizer.all_special_ids)), dtype=np.int64)
        ordinary = np.setdiff1d(np.arange(len(tokenizer)), special)
        return cls(random_rate, mask_rate, int(tokenizer.mask_token_id or 0), special, ordinary)

    def apply(self, ids: IntArray, mask: BoolArray, generator: np.random.Generator) -> IntArray:
        """Corrupted token ids, (k, L); `mask` is where they are no padding."""
        column, last = np.arange(ids.shape[1]), mask.sum(axis=1, keepdims=True) - 1
        free = (column > 0) & (column < last) & ~np.isin(ids, self.special)
        drawn = np.where(free, generator.random(ids.shape), 1.0)
        other = self.ordinary[generator.integers(len(self.ordinary), size=ids.shape)]
        masked = np.where(drawn < self.random_rate + self.mask_rate, self.mask_id, ids)
        return np.where(drawn < self.random_rate, other, masked)


def batches_by_length(length: IntArray, index: IntArray, batch_size: int) -> list[IntArray]:
    """`index` into `length` (n,) in batches, the longest first."""
    return _cut(index[np.argsort(-length[index], kind="stable")], batch_size)


def shuffled_batches(
    length: IntArray, index: IntArray, batch_size: int, generator: np.random.Generator
) -> list[IntArray]:
    """`index`, which is in random order, in batches of about one length each; the batches in random order."""
    batches: list[IntArray] = []
    for some in _cut(index, batch_size * _MIXED_BATCHES):
        batches += batches_by_length(length, some, batch_size)
    return [batches[i] for i in generator.permutation(len(batches))]


def permutation_in_groups(group: IntArray, size: int, generator: np.random.Generator) -> IntArray:
    """(n,) a random order in which up to `size` random rows of one group (n,) stand side by side."""
    rows = generator.permutation(len(group))
    rows = rows[np.argsort(group[rows], kind="stable")]
    ordered = group[rows]
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    rank = np.arange(len(rows)) - np.maximum.accumulate(np.where(first, np.arange(len(rows)), 0))
    piece = np.cumsum(rank % size == 0) - 1
    key = generator.permutation(piece[-1] + 1)[piece]
    return np.asarray(rows[np.argsort(key, kind="stable")])


def _cut(index: IntArray, size: int) -> list[IntArray]:
    return [index[begin : begin + size] for begin in range(0, len(index), size)]
