"""Tables for programs: a row a cell, and a row a mean."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from prompt_bandits.datasets.files import whole_file
from prompt_bandits.types import Estimate

from .published import published_beside
from .results import NUMBERS, SEEDS, Cell, Run, Summary, summarise

_NESTED = ("config", "environment", "curve", "versions")


def write_cells(folder: Path, run: Run) -> None:
    """`results.parquet` and `results.csv`: the fields of `Cell` and its gain, nested ones as JSON text."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv
    from pyarrow import parquet

    kinds = {**dict.fromkeys(SEEDS, pa.int64()), **dict.fromkeys(("value", "gain", *NUMBERS), pa.float64())}
    names = [*(f.name for f in fields(Cell)), "gain"]
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in names])
    nested = [{name: json.dumps(getattr(cell, name)) for name in _NESTED} for cell in run.cells]
    rows = [{**asdict(c), **texts, "gain": c.gain} for c, texts in zip(run.cells, nested, strict=True)]
    table = pa.Table.from_pylist(rows, schema=schema)
    with whole_file(folder / "results.parquet") as stream:
        parquet.write_table(table, stream, compression="zstd")
    with whole_file(folder / "results.csv") as stream:
        arrow_csv.write_csv(table, stream)


def write_means(folder: Path, run: Run) -> None:
    """`table.csv`: means ± s.e. over worlds with all their digits; what is absent is empty."""
    rows = [_mean(run, row) for row in summarise(run.cells)]
    names = list(rows[0]) if rows else list(_mean(run, Summary(None, "", "", None, None, None, None, 0, 0)))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with whole_file(folder / "table.csv") as stream:
        stream.write(text.getvalue().encode())


def _mean(run: Run, row: Summary) -> dict[str, Any]:
    mean = published_beside(run, row.value, row.method)
    return {
        "setting": run.setting,
        "parameter": run.parameter,
        "value": row.value,
        "method": row.method,
        "label": row.label,
        "worlds": row.n_ok,
        "failed": row.n_failed,
        **_columns("optimality", row.optimality),
        "published_optimality": mean and mean.optimality,
        "published_optimality_se": mean and mean.se,
        "published_is_lower_bound": mean and mean.lower_bound,
        **_columns("policy_value", row.policy_value),
        **_columns("gain", row.gain),
        "wall_s": row.wall_s,
        "peak_mb": row.peak_mb,
    }


def _columns(name: str, value: Estimate | None) -> dict[str, float | None]:
    if value is None:
        return {name: None, f"{name}_se": None}
    return {name: value.value, f"{name}_se": value.se if math.isfinite(value.se) else None}
