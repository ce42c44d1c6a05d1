"""Rows and sentences on their way into a fit: batches, losses, and what the base model says of a sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from prompt_bandits.movie.rewards.settings import Ratings, RewardFitting, SentenceRewardFitting, held_out_rows
from prompt_bandits.movie.rewards.token_table import Corruption, TokenTable, permutation_in_groups, shuffled_batches
from prompt_bandits.rounds import named_generator
from prompt_bandits.types import IntArray

if TYPE_CHECKING:
    from torch import Tensor

    from prompt_bandits.movie.rewards.nets import TransformerRewardNet

_ROWS = 65_536  # held-out rows judged at a time
_TEXTS = 256  # sentences read at a time


class RatingRows:
    """Ratings as tensors, and which of them are held out."""

    def __init__(self, ratings: Ratings, settings: RewardFitting, seed: int) -> None:
        import torch

        self._steps, self._loss = settings.steps_per_epoch, settings.loss
        self.held_out = held_out_rows(len(ratings), settings.validation_fraction, seed)
        self.train = np.flatnonzero(~self.held_out)
        columns = (ratings.user_id, ratings.query_id, ratings.reward)
        self.user, self.item, self.reward = (torch.from_numpy(column).to(settings.device) for column in columns)

    def epoch(self, batches: Iterable[IntArray]) -> Iterator[IntArray]:
        """As many of one epoch's batches as the settings allow."""
        return islice(batches, self._steps)

    def loss(self, logit: Tensor, some: IntArray) -> Tensor:
        """The mean over these rows."""
        from torch.nn import functional

        if self._loss == "bce":
            return functional.binary_cross_entropy_with_logits(logit, self.reward[some])
        return functional.mse_loss(logit.sigmoid(), self.reward[some])

    def held_out_loss(self, logits: Callable[[IntArray], Tensor]) -> float:
        """The mean over all held-out rows."""
        rows = np.flatnonzero(self.held_out)
        parts = [rows[begin : begin + _ROWS] for begin in range(0, len(rows), _ROWS)]
        return float(sum(float(self.loss(logits(some), some)) * len(some) for some in parts) / len(rows))


class SentenceReading:
    """Sentences going through the base model."""

    def __init__(
        self,
        net: TransformerRewardNet,
        tokens: TokenTable,
        number: IntArray,
        corruption: Corruption | None,
        seed: int,
    ) -> None:
        self.net, self.tokens, self.number, self.corruption = net, tokens, number, corruption
        self._noise = named_generator(seed, "corruption")

    def states(self, some: IntArray) -> Tensor:
        """(B, d_cls) of the sentences of these rows, each read once, corrupted if asked."""
        from prompt_bandits.movie.rewards.nets import cls_states, device_of, to_device

        distinct, place = np.unique(self.number[some], return_inverse=True)
        ids, mask = self.tokens.padded(distinct)
        if self.corruption is not None:
            ids = self.corruption.apply(ids, mask, self._noise)
        states = cls_states(self.net.base, *to_device(ids, mask, device_of(self.net.base)))
        return states[place]

    def all_states(self, index: IntArray | None = None) -> Tensor:
        """(k, d_cls) of distinct sentences, all unless told, as they are."""
        from prompt_bandits.movie.rewards.nets import encode_cls

        tokens = self.tokens if index is None else self.tokens.take(index)
        return encode_cls(self.net.base, tokens, _TEXTS)


def plain_batches(train: IntArray, settings: RewardFitting, seed: int, epoch: int) -> Iterator[IntArray]:
    """The rows `train` in random order."""
    rows = named_generator(seed, "batches", str(epoch)).permutation(train)
    return (rows[begin : begin + settings.batch_size] for begin in range(0, len(rows), settings.batch_size))


def length_batches(
    reading: SentenceReading, train: IntArray, settings: SentenceRewardFitting, seed: int, epoch: int
) -> Iterable[IntArray]:
    """The rows `train` in random order, sentences of about one length, and rows of one sentence, side by side."""
    generator = named_generator(seed, "batches", str(epoch))
    rows = train[permutation_in_groups(reading.number[train], settings.shared_rows, generator)]
    return shuffled_batches(reading.tokens.length[reading.number], rows, settings.batch_size, generator)
