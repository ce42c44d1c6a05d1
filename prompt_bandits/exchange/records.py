"""Rounds as flat records of plain values, the rows of CSV and JSONL files.

Columns are named as in a dataset's folder, with two differences: `prompt` is the text of the prompt that was chosen,
for people (reading looks at `action`), and `candidates` lists the actions that could be chosen in place of
`action_mask`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prompt_bandits.datasets.columns import ORACLE, row_columns
from prompt_bandits.datasets.dataset import BanditDataset
from prompt_bandits.exchange.logged import LoggedData, in_parts

Record = Mapping[str, Any]
_ORDER = (
    "round_id",
    "seed",
    "policy_id",
    "user_id",
    "query_id",
    "query_text",
    "action",
    "prompt",
    "propensity",
    "reward",
)
_LAST = ("sentence", "context", "query", "output", "candidates")


def records(data: LoggedData, *, oracle: bool = False) -> Iterator[Record]:
    """The rounds in their order, a folder's a part at a time; all records have the same names.

    A float32 becomes the shortest number that is read as the same float32; NaN is None.

    Args:
        data: rounds.
        oracle: with the columns that are for judging only.

    Raises:
        ValueError: an infinite number.
    """
    for part in in_parts(data):
        columns = _columns(part, oracle)
        yield from (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))


def names(data: LoggedData, *, oracle: bool = False) -> list[str]:
    """The names in every record."""
    rows = data.take(slice(0, 0)) if isinstance(data, BanditDataset) else next(data.batches(1), None) or data.load()
    return list(_columns(rows, oracle))


def _columns(rows: BanditDataset, oracle: bool) -> dict[str, list[Any]]:
    columns = {name: plain(name, c) for name, c in row_columns(rows).items() if name != "action_mask"}
    if rows.prompts.text is not None:
        columns["prompt"] = rows.prompts.text[rows.action].tolist()
    if rows.obs.action_mask is not None:
        columns["candidates"] = [np.flatnonzero(mask).tolist() for mask in rows.obs.action_mask]
    others = [name for name in columns if name not in _ORDER + _LAST and (oracle or not name.startswith(ORACLE))]
    return {name: columns[name] for name in (*_ORDER, *others, *_LAST) if name in columns}


def plain(name: str, column: NDArray[Any]) -> list[Any]:
    """Values that JSON knows: NaN is None; ValueError for infinite ones."""
    if column.dtype.kind != "f":
        return list(column.tolist())
    if np.isinf(column).any():
        raise ValueError(
            f"{name}: expected no infinite numbers, which JSON cannot write, found {np.isinf(column).sum()}"
        )
    values = _shortest(column) if column.dtype == np.float32 else column
    if np.isnan(values).any():
        values = values.astype(object)
        values[np.isnan(column)] = None
    return list(values.tolist())


def _shortest(column: NDArray[Any]) -> NDArray[Any]:
    """float64 numbers with the fewest digits that make the same float32: 0.1, not 0.10000000149011612."""
    import pyarrow as pa

    written = pa.array(np.ascontiguousarray(column).ravel()).cast(pa.string())
    return np.asarray(written.cast(pa.float64()).to_numpy(zero_copy_only=False)).reshape(column.shape)
