"""Judgements as tables for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from prompt_bandits.datasets.files import whole_file
from prompt_bandits.types import Estimate

from ...ope.judging.judgement import Cell, Choices, Errors, Field, Judgement
from ...ope.judging.trials import Trial

_KEYS = ("cell", "field")


def write_tables(folder: Path, found: Judgement, errors: Sequence[Errors], choices: Sequence[Choices]) -> None:
    """`trials`, `errors` and `choices`, each as .parquet and .csv; what is absent is empty."""
    _write(folder, "trials", [asdict(one) for one in found.trials], [f.name for f in fields(Trial)])
    _write(folder, "errors", [_flat(one) for one in errors], list(Cell._fields))
    _write(folder, "choices", [_flat(one) for one in choices], list(Field._fields))


def _flat(row: Errors | Choices) -> dict[str, Any]:
    """Estimates as two columns, the key as several."""
    out: dict[str, Any] = {}
    for field in fields(row):
        value = getattr(row, field.name)
        if field.name in _KEYS:
            out |= value._asdict()
        elif isinstance(value, Estimate) or "Estimate" in str(field.type):
            out |= {field.name: value and value.value, f"{field.name}_se": value and value.se}
        else:
            out[field.name] = value
    return out


def _write(folder: Path, name: str, rows: Sequence[Mapping[str, Any]], least: Sequence[str]) -> None:
    import pyarrow as pa
    from pyarrow import csv, parquet

    names = list(rows[0]) if rows else list(least)
    table = pa.table({column: pa.array([row[column] for row in rows]) for column in names})
    with whole_file(folder / f"{name}.parquet") as stream:
        parquet.write_table(table, stream, compression="zstd")
    with whole_file(folder / f"{name}.csv") as stream:
        csv.write_csv(table, stream)
