"""CSV columns of numbers and of categories as features."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prompt_bandits.types import FloatArray


def read(file: Path, beginnings: Sequence[str]) -> Any:
    """The columns whose names begin so, as a pyarrow.Table; ValueError where it is no CSV."""
    import pyarrow as pa
    import pyarrow.csv as pc

    try:
        with pc.open_csv(file) as reader:
            names = [name for name in reader.schema.names if name.startswith(tuple(beginnings))]
        return pc.read_csv(file, convert_options=pc.ConvertOptions(include_columns=names))
    except pa.ArrowInvalid as error:
        raise ValueError(f"{file}: expected CSV with a header: {error}") from error


def refuse_missing(file: Path, table: Any, names: Sequence[str]) -> None:
    """Raises a ValueError that names the columns that are not there."""
    missing = [name for name in names if name not in table.column_names]
    if missing:
        raise ValueError(f"{file}: expected columns {', '.join(missing)}, found {', '.join(table.column_names)}")


def features_of(table: Any, beginnings: Sequence[str]) -> FloatArray:
    """(n, d) of the columns whose names begin so: numbers as they are, of texts one column a value but the first."""
    columns: list[NDArray[Any]] = []
    for name in table.column_names:
        if name.startswith(tuple(beginnings)):
            values = table[name]
            columns += _dummies(values) if str(values.type) == "string" else [values.to_numpy()]
    empty = np.empty((table.num_rows, 0), np.float32)
    return np.stack(columns, axis=1).astype(np.float32) if columns else empty


def _dummies(values: Any) -> list[NDArray[Any]]:
    """A column for each distinct text but the first in order; a missing text has 0 in all of them."""
    import pyarrow.compute as pc

    distinct = sorted(value for value in values.unique().to_pylist() if value is not None)
    return [pc.fill_null(pc.equal(values, value), False).to_numpy() for value in distinct[1:]]
