"""Logs as chunks of plain values: tables in memory, CSV, JSONL and Parquet files."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from prompt_bandits.logs.report import Problem

CHUNK = 8192
_LONGEST_FIELD = 1 << 26  # characters of a value in CSV; an embedding may be long


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows of a log."""

    first: int  # the number of the first row
    values: Mapping[str, list[Any]]  # by column, None where missing
    problems: list[Problem] = field(default_factory=list)  # rows that could not be read

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))


@dataclass(frozen=True)
class Source:
    """A log that can be read again and again."""

    columns: tuple[str, ...]
    chunks: Callable[[Sequence[str]], Iterator[Chunk]]  # of these columns


def open_source(log: Any) -> Source:
    """A log: a pandas or polars DataFrame, a pyarrow Table, a dict of columns, or a file by its ending.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file of another kind, or without columns.
    """
    if not isinstance(log, (str, Path)):
        return _table(log)
    file = Path(log)
    if not file.is_file():
        raise FileNotFoundError(f"{file}: expected a file with a log, found none")
    opener = _FILES.get(file.suffix.lower())
    if opener is None:
        raise ValueError(f"{file}: expected a file that ends in {', '.join(_FILES)}, got {file.suffix!r}")
    return opener(file)


def _table(table: Any) -> Source:
    columns = list(next((getattr(table, a) for a in ("column_names", "columns") if hasattr(table, a)), table))

    def chunks(names: Sequence[str]) -> Iterator[Chunk]:
        lists = {name: _as_list(table[name]) for name in names}
        lengths = {name: len(column) for name, column in lists.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns: expected one length, got {lengths}")
        for first in range(0, max(lengths.values()), CHUNK):
            yield Chunk(first, {name: lists[name][first : first + CHUNK] for name in names})

    return Source(tuple(columns), chunks)


def _as_list(column: Any) -> list[Any]:
    if isinstance(column, np.ndarray) and column.dtype.kind == "M":
        column = column.astype("datetime64[us]")  # finer ones come as bare integers
    for method in ("to_pylist", "to_list", "tolist"):
        if hasattr(column, method):
            values: list[Any] = getattr(column, method)()
            return values
    return list(column)


def _csv(file: Path) -> Source:
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_FIELD))

    def rows() -> Iterator[list[str]]:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            yield from csv.reader(stream)

    def records() -> Iterator[Any]:
        with _decoded(file):
            for row in islice(rows(), 1, None):
                if len(row) == len(columns):
                    yield {name: value or None for name, value in zip(columns, row, strict=True)}
                elif row:
                    yield f"{len(columns)} values", row

    with _decoded(file):
        columns = next(rows(), [])
    if not columns:
        raise ValueError(f"{file}: expected a header, the file is empty")
    return Source(tuple(columns), lambda names: _records(records(), names))


@contextmanager
def _decoded(file: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: expected UTF-8, got byte {error.object[error.start]:#x}") from error
    except csv.Error as error:
        raise ValueError(f"{file}: no readable CSV: {error}") from error


def _jsonl(file: Path) -> Source:
    def records() -> Iterator[Any]:
        with _decoded(file), file.open(encoding="utf-8-sig") as stream:
            for line in stream:
                if not line.strip():
                    continue
                try:
                    record = json.loads(line)
                except (ValueError, RecursionError):
                    record = None
                yield record if isinstance(record, dict) else ("a JSON object", line.rstrip("\n"))

    columns: dict[str, None] = {}
    for record in records():  # all of them: a key may come late
        columns |= dict.fromkeys(record if isinstance(record, dict) else ())
    return Source(tuple(columns), lambda names: _records(records(), names))


def _records(records: Iterator[Any], names: Sequence[str]) -> Iterator[Chunk]:
    """Chunks of records, each a dict, or a pair (expected, got) where it is none."""
    first = 0
    while some := list(islice(records, CHUNK)):
        problems = [
            Problem(first + i, "the row", record[0], record[1])
            for i, record in enumerate(some)
            if not isinstance(record, dict)
        ]
        values = {name: [r.get(name) if isinstance(r, dict) else None for r in some] for name in names}
        yield Chunk(first, values, problems)
        first += len(some)


def _parquet(file: Path) -> Source:
    import pyarrow.parquet as pq

    from prompt_bandits.datasets.shards import readable

    with readable(file):
        columns = tuple(pq.ParquetFile(file).schema_arrow.names)

    def chunks(names: Sequence[str]) -> Iterator[Chunk]:
        first = 0
        with readable(file):
            for batch in pq.ParquetFile(file).iter_batches(CHUNK, columns=list(names)):
                yield Chunk(first, {name: batch.column(name).to_pylist() for name in names})
                first += len(batch)

    return Source(columns, chunks)


_FILES = {".csv": _csv, ".jsonl": _jsonl, ".ndjson": _jsonl, ".parquet": _parquet}
