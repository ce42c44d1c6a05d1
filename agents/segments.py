"""What training steps draw rounds from: all of a dataset, or so much of a folder as fits into memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

import numpy as np

from prompt_bandits.datasets import BanditDataset
from prompt_bandits.datasets.stored import StoredDataset

from .folds import fold_of
from .protocols import LoggedData
from .training import TrainingConfig

_SHARES = 10_000
T = TypeVar("T")


@dataclass(frozen=True)
class Segment:
    """Rounds in memory, and for how many steps."""

    data: BanditDataset
    steps: float


@dataclass(frozen=True)
class Segments:
    """Endless segments, and rounds that are in none of them."""

    like: BanditDataset  # one of the rounds, to see what they are like
    parts: Iterator[Segment]
    held_out: BanditDataset | None  # of a large folder, those of the first segment only


def segments(data: LoggedData, config: TrainingConfig, seed: int) -> Segments:
    """Rounds to train on.

    A dataset in memory is one segment, and so is a folder that fits into `config.memory_mb`. A larger folder comes in
    random parts of that size, each for as many steps as draw its rounds once on average, over and over in another
    order.

    Raises:
        ValueError: fewer than two rounds, or values that cannot be learned from.
    """
    require_rounds(data)
    if isinstance(data, StoredDataset):
        columns = data.learnable_columns()
        rows = max(config.batch_size, (config.memory_mb << 20) // data.row_bytes(columns))
        if rows < len(data):
            return _streamed(data, columns, rows, config, seed)
        data = data.load(columns)
    data.check()
    train, held_out = hold_out(data, config.validation_fraction, seed)
    return Segments(train.take(slice(0, 1)), iter([Segment(train, np.inf)]), held_out)


def require_rounds(data: LoggedData) -> None:
    """Raises a ValueError unless there are two rounds, to learn from one and to doubt it by the other."""
    if len(data) < 2:
        raise ValueError(f"data: expected at least 2 rounds to learn from, got {len(data)}")


def in_memory(data: LoggedData, memory_mb: int, seed: int) -> BanditDataset:
    """All rounds; of a folder that is larger, so many at random as fit into `memory_mb`.

    Raises:
        ValueError: fewer than two rounds, or values that cannot be learned from.
    """
    require_rounds(data)
    if isinstance(data, BanditDataset):
        data.check()
        return data
    columns = data.learnable_columns()
    rows = max(1, (memory_mb << 20) // data.row_bytes(columns))
    if rows >= len(data):
        return data.load(columns)
    return next(iter(data.batches(rows, columns=columns, seed=seed)))


def hold_out(data: BanditDataset, fraction: float, seed: int) -> tuple[BanditDataset, BanditDataset | None]:
    """Rounds to train on, and `fraction` of them held out (None for 0)."""
    if fraction == 0:
        return data, None
    train, held_out = data.split(1 - fraction, seed)
    return train, held_out


def _streamed(data: StoredDataset, columns: Sequence[str], rows: int, config: TrainingConfig, seed: int) -> Segments:
    def parts() -> Iterator[tuple[BanditDataset, BanditDataset]]:
        epoch = 0
        while True:
            for part in data.batches(rows, columns=columns, seed=seed, epoch=epoch):
                # by round, so that what is held out once is never trained on
                apart = fold_of(part, _SHARES, seed) < _SHARES * config.validation_fraction
                if not apart.all():
                    yield part.take(~apart), part.take(apart)
            epoch += 1

    stream = parts()
    first, held_out = next(stream)
    kept = chain([first], (part for part, _ in stream))
    with_steps = (Segment(part, max(1, len(part) // config.batch_size)) for part in kept)
    return Segments(first.take(np.zeros(1, np.int64)), with_steps, held_out if len(held_out) else None)


def per_step(parts: Iterator[Segment], prepare: Callable[[BanditDataset], T]) -> Iterator[T]:
    """What `prepare` makes of the rounds in memory, once for each step."""
    for segment in parts:
        prepared, left = prepare(segment.data), segment.steps
        while left:
            left -= 1
            yield prepared
        del segment, prepared  # before the next ones are read
