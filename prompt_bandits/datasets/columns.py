"""Rows and prompts as named columns, and those as Arrow tables, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prompt_bandits.datasets.dataset import OWN_COLUMNS, BanditDataset
from prompt_bandits.datasets.kinds import Kind
from prompt_bandits.protocols import Policy
from prompt_bandits.types import Observation, Output, Prompts

Columns = dict[str, NDArray[Any]]
EXTRAS, ORACLE = "extras.", "oracle."
REQUIRED = ("seed", "round_id", "policy_id", "action", "reward", "context")
"""What every row has."""


def row_columns(data: BanditDataset) -> Columns:
    """All columns of a dataset by their names on disk."""
    columns: dict[str, Any] = {name: getattr(data, name) for name in OWN_COLUMNS}
    if data.policy_id is None:
        columns["policy_id"] = np.zeros(len(data), np.int64)
    columns |= {name: getattr(data.obs, name) for name in Observation.row_fields}
    if data.output is not None:
        columns |= {"output": data.output.embedding, "sentence": data.output.text}
    columns |= {EXTRAS + name: column for name, column in data.extras.items()}
    columns |= {ORACLE + name: column for name, column in data.oracle.items()}
    return {name: column for name, column in columns.items() if column is not None}


def rows_of(
    columns: Columns, prompts: Prompts, policies: tuple[Policy, ...] = (), spec: Mapping[str, Any] | None = None
) -> BanditDataset:
    """The dataset with these columns."""
    seen: dict[str, Any] = {name: columns.get(name) for name in Observation.row_fields}
    own = {name: columns[name] for name in OWN_COLUMNS if name in columns}
    if len(policies) <= 1 and "policy_id" in own and not own["policy_id"].any():
        del own["policy_id"]
    return BanditDataset(
        obs=Observation(prompts=prompts, **seen),
        output=Output.or_none(columns.get("output"), columns.get("sentence")),
        policies=policies,
        extras=_with_prefix(columns, EXTRAS),
        oracle=_with_prefix(columns, ORACLE),
        spec=spec,
        **own,
    )


def _with_prefix(columns: Columns, prefix: str) -> Columns:
    return {name.removeprefix(prefix): column for name, column in columns.items() if name.startswith(prefix)}


def take(columns: Columns, index: slice | NDArray[Any]) -> Columns:
    """The rows at `index`."""
    return {name: column[index] for name, column in columns.items()}


def concat(parts: Sequence[Columns]) -> Columns:
    """The rows of all parts, which have the same columns."""
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def n_rows(columns: Columns) -> int:
    """How many rows there are."""
    return len(next(iter(columns.values())))


def kinds_of(columns: Columns) -> dict[str, Kind]:
    """The kind of each column, by its name."""
    return {name: Kind.of(name, column) for name, column in columns.items()}


def conforming(columns: Columns, expected: Mapping[str, Kind]) -> Columns:
    """The columns of new rows, of the kinds of those so far.

    Raises:
        ValueError: other columns, or one that cannot be cast without loss.
    """
    if columns.keys() != expected.keys():
        missing, unknown = sorted(expected.keys() - columns.keys()), sorted(columns.keys() - expected.keys())
        raise ValueError(
            f"columns: expected {', '.join(sorted(expected))} as in the rows so far; missing {missing}, "
            f"unknown {unknown}"
        )
    return {name: expected[name].cast(name, columns[name]) for name in expected}


def column_of(name: str, value: Any, n: int) -> NDArray[Any]:
    """Numbers or texts, (n,) or (n, d), from what a user gave.

    Raises:
        ValueError: neither, or not `n` of them.
    """
    try:
        column = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name}: expected numbers or texts of one shape, got {value!r}") from error
    if column.dtype.kind == "U":
        column = column.astype(object)
    if column.ndim == 0 or len(column) != n:
        raise ValueError(f"{name}: expected {n} values, one a row, got {1 if column.ndim == 0 else len(column)}")
    Kind.of(name, column)
    return column


def to_table(columns: Columns) -> Any:
    """A pyarrow.Table; vectors are lists of fixed size."""
    import pyarrow as pa

    def to_arrow(column: NDArray[Any]) -> Any:
        if column.dtype == object:
            return pa.array(column.tolist(), pa.string())
        if column.ndim == 1:
            return pa.array(np.ascontiguousarray(column))
        return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(column).ravel()), column.shape[1])

    return pa.table({name: to_arrow(column) for name, column in columns.items()})


def to_columns(table: Any) -> Columns:
    """What `to_table` was given; arrays of one's own."""
    import pyarrow as pa

    def to_numpy(column: Any) -> NDArray[Any]:
        if pa.types.is_fixed_size_list(column.type):
            width = column.type.list_size
            values = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
            flat = np.concatenate(values) if values else np.empty(0, column.type.value_type.to_pandas_dtype())
            return flat.reshape(-1, width)
        values = column.to_numpy()
        return np.array(values, dtype=object) if pa.types.is_string(column.type) else np.array(values)

    return {name: to_numpy(table[name]) for name in table.column_names}
