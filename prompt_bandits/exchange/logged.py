"""What is exchanged: rounds in memory, or a folder of them; and the libraries that are needed for it."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from prompt_bandits.datasets.dataset import BanditDataset
from prompt_bandits.datasets.stored import StoredDataset

LoggedData: TypeAlias = BanditDataset | StoredDataset
"""Rounds in memory, or a folder, of which some are in memory at a time."""

ROWS = 8192
"""Rounds of a folder that are in memory at a time."""


def in_parts(
    data: LoggedData, columns: Sequence[str] | None = None, size: int = ROWS, *, without: Sequence[str] = ()
) -> Iterator[BanditDataset]:
    """All rounds in the order of the data, `size` at a time.

    Args:
        data: rounds.
        columns: which to read from a folder (those that are there, and what every row has); None: all.
        size: rounds a part.
        without: columns not to read from a folder.
    """
    if isinstance(data, StoredDataset):
        yield from data.batches(size, columns=_present(data, columns, without))
    else:
        for begin in range(0, len(data), size):
            yield data.take(slice(begin, begin + size))


def in_memory(data: LoggedData, columns: Sequence[str] | None = None, *, without: Sequence[str] = ()) -> BanditDataset:
    """All rounds together; arguments as in `in_parts`."""
    return data if isinstance(data, BanditDataset) else data.load(_present(data, columns, without))


def _present(data: StoredDataset, columns: Sequence[str] | None, without: Sequence[str]) -> list[str]:
    return [name for name in data.columns if name not in without and (columns is None or name in columns)]


def require(module: str, extra: str, purpose: str) -> Any:
    """An optional library.

    Args:
        module: its name as it is imported.
        extra: of prompt_bandits that installs it.
        purpose: what needs it, as the subject of a sentence: "a Minari dataset".

    Raises:
        ImportError: it is not installed; the message says how.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f'{purpose} needs {module.split(".")[0]}: pip install "prompt_bandits[{extra}]"') from error
