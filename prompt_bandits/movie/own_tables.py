"""Somebody's table, column by column: arrays, or what is wrong in which row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from prompt_bandits.logs.report import LogReport
from prompt_bandits.logs.sources import open_source
from prompt_bandits.logs.values import FLOAT32, Checker, integer_of, is_missing, list_of, vector_of
from prompt_bandits.types import FloatArray, TextArray, text_array

EMBEDDING = "embedding"
Convert: TypeAlias = Callable[[Checker, list[list[Any]]], NDArray[Any]]


@dataclass(frozen=True)
class Column:
    """Columns of a table that become one array; nothing, where the table has none."""

    names: list[str]
    convert: Convert | None


class OwnTable:
    """A table that people bring.

    Args:
        name: what it is called in messages.
        table: a pandas or polars DataFrame, a pyarrow Table, a dict of columns, or a file.

    Raises:
        ValueError, FileNotFoundError: as `open_source`.
    """

    def __init__(self, name: str, table: Any) -> None:
        self.name, self._source = name, open_source(table)
        self._columns = [str(column) for column in self._source.columns]

    def read(self, *columns: Column) -> list[Any]:
        """An array for each, None where it is absent.

        Raises:
            ValueError: bad rows, all of them told; or no rows.
        """
        report, parts = LogReport(), [list[NDArray[Any]]() for _ in columns]
        names = list(dict.fromkeys(name for column in columns for name in column.names))
        for chunk in self._source.chunks(names):
            checker = Checker(chunk.first, chunk.problems)
            for column, part in zip(columns, parts, strict=True):
                if column.convert is not None:
                    part.append(column.convert(checker, [chunk.values[name] for name in column.names]))
            report.add(checker.problems, len(chunk))
        if not report.fine:
            raise ValueError(f"{self.name}: {report}")
        if not report.n_rows:
            raise ValueError(f"{self.name}: expected at least one row, got none")
        return [np.concatenate(part) if part else None for part in parts]

    def ids(self, name: str) -> Column:
        """Ids, each once, as texts."""
        once = _Once("every id once")

        def convert(checker: Checker, values: list[list[Any]]) -> TextArray:
            keys = [key_of(value) for value in values[0]]
            for i, key in enumerate(keys):
                if key is None:
                    checker.refuse(i, name, "an id", values[0][i])
                else:
                    once.check(checker, i, name, key)
            return text_array(key or "" for key in keys)

        return self._required(name, convert)

    def known(self, name: str, keys: TextArray, table: str) -> Column:
        """Row numbers of the ids of another table."""
        rows = {key: row for row, key in enumerate(keys)}

        def convert(checker: Checker, values: list[list[Any]]) -> NDArray[Any]:
            found = [rows.get(key_of(value) or "") for value in values[0]]
            for i, row in enumerate(found):
                if row is None:
                    checker.refuse(i, name, f"an id of the table of {table}", values[0][i])
            return np.array([row or 0 for row in found], np.int64)

        return self._required(name, convert)

    def texts(self, name: str, *, once: bool = False) -> Column:
        """Texts that are not empty."""
        seen = _Once("every text once") if once else None

        def convert(checker: Checker, values: list[list[Any]]) -> TextArray:
            texts = checker.texts(name, values[0])
            for i, text in enumerate(texts):
                if isinstance(values[0][i], str) and not text.strip():
                    checker.refuse(i, name, "a text that is not empty", values[0][i])
                elif seen is not None and text:
                    seen.check(checker, i, name, text)
            return texts

        return self._required(name, convert)

    def numbers(self, name: str) -> Column:
        """Finite numbers, where there is such a column."""
        return self._optional(name, lambda checker, values: checker.numbers(name, values[0]).astype(np.float32))

    def years(self, name: str) -> Column:
        """Integers, where there is such a column; 0 for a missing one."""
        return self._optional(name, lambda checker, values: checker.integers(name, _filled(values[0], 0)))

    def words(self, name: str) -> Column:
        """Texts, or lists of them, which are joined by "|", where there is such a column; "" for a missing one."""
        return self._optional(name, lambda checker, values: checker.texts(name, _filled(map(_joined, values[0]), "")))

    def embedding(self, features: Sequence[str] | None = None) -> Column:
        """Vectors: these columns of numbers, or a column of lists, or numbered columns; nothing where there is none."""
        if features is None and EMBEDDING in self._columns:
            width: list[int] = []
            return self._required(EMBEDDING, lambda checker, values: _vectors(checker, values[0], width))
        numbered = [name for name in self._columns if name.removeprefix(f"{EMBEDDING}_").isdigit()]
        names = [f"{EMBEDDING}_{i}" for i in range(len(numbered))] if features is None else list(features)
        self._refuse_missing(names)
        return Column(names, (lambda checker, values: _side_by_side(checker, names, values)) if names else None)

    def _required(self, name: str, convert: Convert) -> Column:
        self._refuse_missing([name])
        return Column([name], convert)

    def _optional(self, name: str, convert: Convert) -> Column:
        return Column([name], convert) if name in self._columns else Column([], None)

    def _refuse_missing(self, names: Sequence[str]) -> None:
        missing = [name for name in names if name not in self._columns]
        if missing:
            raise ValueError(f"{self.name}: expected columns {', '.join(missing)}, got {', '.join(self._columns)}")


class _Once:
    """Refuses what was in an earlier row."""

    def __init__(self, expected: str) -> None:
        self._expected = expected
        self._rows: dict[str, int] = {}

    def check(self, checker: Checker, i: int, column: str, value: str) -> None:
        row = self._rows.setdefault(value, checker.first + i)
        if row != checker.first + i:
            checker.refuse(i, column, self._expected, f"{value}, as in row {row}")


def key_of(value: Any) -> str | None:
    """An id as a text, the same for 7, "7" and 7.0; None where there is none."""
    if is_missing(value) or isinstance(value, (list, tuple, dict)) or value == "":
        return None
    number = None if isinstance(value, str) else integer_of(value)
    return str(value if number is None else number)


def _side_by_side(checker: Checker, names: Sequence[str], values: list[list[Any]]) -> FloatArray:
    columns = [checker.numbers(name, column, -FLOAT32, FLOAT32) for name, column in zip(names, values, strict=True)]
    return np.stack(columns, axis=1).astype(np.float32)


def _vectors(checker: Checker, values: list[Any], width: list[int]) -> FloatArray:
    """As wide as the first vector of the table, which `width` remembers from chunk to chunk."""
    if not width:
        vectors = (vector_of(value) for value in values)
        width.append(next((len(v) for v in vectors if v is not None and v.ndim == 1 and len(v)), 1))
    return checker.vectors(EMBEDDING, values, width[0])


def _filled(values: Iterable[Any], instead: Any) -> list[Any]:
    return [instead if is_missing(value) else value for value in values]


def _joined(value: Any) -> Any:
    return value if isinstance(value, str) or is_missing(value) else "|".join(map(str, list_of(value) or ()))
