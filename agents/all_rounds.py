"""Rounds in memory: all of them, for what has to see them together, or a part at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prompt_bandits.datasets import BanditDataset

from .protocols import LoggedData

_ROWS = 1 << 16  # of a folder, in memory at a time


def all_rounds(
    data: LoggedData, memory_mb: int, purpose: str, *, columns: Sequence[str] | None = None
) -> BanditDataset:
    """The rounds; a folder is read, where it fits.

    Args:
        data: rounds in memory, which are given back as they are, or a folder.
        memory_mb: what the rounds of a folder may take.
        purpose: what they are needed for, to say so.
        columns: which to read from a folder; those that learners look at unless given.

    Raises:
        ValueError: a folder that takes more.
    """
    if isinstance(data, BanditDataset):
        return data
    names = data.learnable_columns() if columns is None else columns
    needed = len(data) * data.row_bytes(names)
    if needed > memory_mb << 20:
        raise ValueError(
            f"data: {purpose} needs all rounds in memory; expected a folder of at most memory_mb={memory_mb}, got one "
            f"of {needed / (1 << 20):.1f} MB. Raise memory_mb, or give some of the rounds, such as "
            "next(data.batches(100_000, seed=0))"
        )
    return data.load(names)


def in_parts(data: LoggedData) -> Iterator[BanditDataset]:
    """The rounds in the order of the data: all of a dataset, or a folder's a part at a time.

    Raises:
        ValueError: there are none.
    """
    if not len(data):
        raise ValueError("data: expected at least one round, got none")
    return iter([data]) if isinstance(data, BanditDataset) else data.batches(_ROWS, columns=data.learnable_columns())
