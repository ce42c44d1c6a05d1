"""Rounds and prompts as pandas DataFrames in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from prompt_bandits.datasets.columns import EXTRAS, ORACLE, Columns, row_columns, rows_of
from prompt_bandits.datasets.dataset import OWN_COLUMNS, BanditDataset
from prompt_bandits.exchange.logged import LoggedData, in_memory, require
from prompt_bandits.types import Observation, Prompts

_OURS = {*OWN_COLUMNS, *Observation.row_fields, "output", "sentence"}


def to_pandas(data: LoggedData, *, oracle: bool = False) -> Any:
    """A DataFrame, one row a round, columns named as in a dataset's folder; a vector is one array a cell.

    The prompts are a table of their own, `prompts_to_pandas(data.prompts)`; logging policies and the environment's spec
    are lost.

    Args:
        data: rounds; a folder is read into memory.
        oracle: with the columns that are for judging only.
    """
    columns = row_columns(in_memory(data))
    return _frame({name: column for name, column in columns.items() if oracle or not name.startswith(ORACLE)})


def from_pandas(frame: Any, prompts: Prompts | Any | int) -> BanditDataset:
    """What `to_pandas` gave, or a DataFrame with such columns; any other column becomes an extra.

    For logs with columns of other names, and to have every row checked, there is `BanditDataset.from_dataframe`.

    Args:
        frame: columns `context`, `action` (rows of the prompts), `reward` and what else there is.
        prompts: the table, or a DataFrame of it, or the number of prompts.

    Raises:
        ValueError: a column that is missing, has missing values, or holds something else.
    """
    missing = [name for name in ("context", "action", "reward") if name not in frame.columns]
    if missing:
        raise ValueError(f"columns: expected {', '.join(missing)} in the frame, found {', '.join(map(str, frame))}")
    columns: Columns = {}
    for name in frame.columns:
        own = name in _OURS or name.startswith((EXTRAS, ORACLE))
        columns[name if own else EXTRAS + name] = _column(name, frame[name])
    return rows_of(columns, _table(prompts))


def prompts_to_pandas(prompts: Prompts) -> Any:
    """A DataFrame of `prompt_id`, `embedding` and, where there are any, `text`; one row an action."""
    columns: Columns = {"prompt_id": prompts.prompt_id, "embedding": prompts.embedding}
    return _frame(columns if prompts.text is None else columns | {"text": prompts.text})


def prompts_from_pandas(frame: Any) -> Prompts:
    """What `prompts_to_pandas` gave; without `embedding`, nothing is known of them but which is which.

    Raises:
        ValueError: neither `prompt_id`, `text` nor `embedding`.
    """
    found: Columns = {
        name: _column(name, frame[name]) for name in ("prompt_id", "embedding", "text") if name in frame.columns
    }
    if not found:
        raise ValueError(f"columns: expected prompt_id, embedding or text, found {', '.join(map(str, frame))}")
    n = len(frame)
    prompts = Prompts.from_embedding(found["embedding"]) if "embedding" in found else Prompts.one_hot(n)
    return Prompts(found.get("prompt_id", prompts.prompt_id), prompts.embedding, found.get("text"))


def _frame(columns: Columns) -> Any:
    pandas = require("pandas", "hub", "a DataFrame")
    return pandas.DataFrame({name: column if column.ndim == 1 else list(column) for name, column in columns.items()})


def _table(prompts: Prompts | Any | int) -> Prompts:
    if isinstance(prompts, int):
        return Prompts.one_hot(prompts)
    return prompts if isinstance(prompts, Prompts) else prompts_from_pandas(prompts)


def _column(name: str, series: Any) -> NDArray[Any]:
    """Texts as an object array, arrays in cells as a matrix, everything else as it is."""
    values = series.to_numpy()
    if values.dtype.kind != "O":
        return np.asarray(values)
    missing = series.isna().to_numpy()
    if missing.any():
        raise ValueError(f"{name}: expected a value in every row, row {int(missing.argmax())} has none")
    if not len(values) or isinstance(values[0], str):
        return np.array(values, object)
    try:
        return np.stack([np.asarray(value) for value in values])
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name}: expected numbers, texts, or arrays of one shape: {error}") from error
