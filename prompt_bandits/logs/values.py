"""Plain values of a log's column to an array, with what is wrong row by row."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import date, datetime, timezone
from typing import Any

import numpy as np

from prompt_bandits.datasets.kinds import is_unicode
from prompt_bandits.logs.report import Problem
from prompt_bandits.types import FloatArray, IntArray, TextArray

FLOAT32 = float(np.finfo(np.float32).max)
"""The largest feature."""


class Checker:
    """Turns columns of one chunk into arrays. A bad value is noted, and something harmless stands in its place."""

    def __init__(self, first: int, problems: Sequence[Problem]) -> None:
        self.first, self.problems = first, list(problems)
        self._unread = {problem.row for problem in problems}

    def refuse(self, i: int, column: str, expected: str, got: Any) -> None:
        """Notes that row `i` of the chunk has a bad value; a row that could not be read is noted once."""
        if self.first + i not in self._unread:
            self.problems.append(Problem(self.first + i, column, expected, got))

    def bad_rows(self) -> set[int]:
        """Positions in the chunk."""
        return {problem.row - self.first for problem in self.problems}

    def numbers(
        self,
        column: str,
        values: Sequence[Any],
        low: float = -math.inf,
        high: float = math.inf,
        *,
        open_low: bool = False,
    ) -> FloatArray:
        """(n,) finite numbers from `low` to `high`."""
        bounded = f"a number in {'(' if open_low else '['}{low:g}, {high:g}]"
        expected = "a finite number" if low in (-math.inf, -FLOAT32) else bounded
        out = np.ones(len(values))
        for i, value in enumerate(values):
            number = number_of(value)
            if number is None or not (low <= number <= high) or math.isinf(number) or (open_low and number == low):
                self.refuse(i, column, expected, value)
            else:
                out[i] = number
        return out

    def integers(self, column: str, values: Sequence[Any]) -> IntArray:
        """(n,) integers from 0."""
        out = np.zeros(len(values), np.int64)
        for i, value in enumerate(values):
            number = integer_of(value)
            if number is None or number < 0:
                self.refuse(i, column, "an integer from 0", value)
            else:
                out[i] = number
        return out

    def texts(self, column: str, values: Sequence[Any]) -> TextArray:
        """(n,) texts."""
        out = np.full(len(values), "", dtype=object)
        for i, value in enumerate(values):
            if isinstance(value, str) and is_unicode(value):
                out[i] = value
            else:
                self.refuse(i, column, "a text", value)
        return out

    def vectors(self, column: str, values: Sequence[Any], width: int) -> FloatArray:
        """(n, width) finite numbers."""
        out = np.zeros((len(values), width), np.float32)
        for i, value in enumerate(values):
            vector = vector_of(value)
            if vector is None or vector.shape != (width,) or not (np.abs(vector) <= FLOAT32).all():
                self.refuse(i, column, f"{width} finite numbers", value)
            else:
                out[i] = vector
        return out

    def times(self, column: str, values: Sequence[Any]) -> FloatArray:
        """(n,) seconds since 1970."""
        out = np.zeros(len(values))
        for i, value in enumerate(values):
            seconds = seconds_of(value)
            if seconds is None:
                self.refuse(i, column, "seconds, a date or an ISO text", value)
            else:
                out[i] = seconds
        return out


def is_missing(value: Any) -> bool:
    """None, NaN, and what pandas puts in such places."""
    if value is None:
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):  # pandas' NA is neither; arrays are not missing
        return not isinstance(value, (list, tuple, np.ndarray))


def number_of(value: Any) -> float | None:
    """A finite or infinite number, or None where there is none."""
    if is_missing(value):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def integer_of(value: Any) -> int | None:
    """An integer of 64 bits, or None where there is none. Exact for large ones."""
    try:
        number = int(value) if isinstance(value, (str, int, np.integer)) else None
    except ValueError:
        number = None
    if number is None:
        real = number_of(value)
        number = int(real) if real is not None and real.is_integer() else None
    return number if number is not None and abs(number) < 2**63 and not isinstance(value, bool) else None


def list_of(value: Any) -> list[Any] | None:
    """A list, also one written as JSON, or None where there is none."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return list(value) if isinstance(value, (list, tuple, np.ndarray)) else None


def vector_of(value: Any) -> FloatArray | None:
    """A vector of numbers, or None where there is none."""
    items = list_of(value)
    try:
        return None if items is None else np.asarray(items, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return None


def seconds_of(value: Any) -> float | None:
    """Since 1970, of a number, a date or an ISO text, in UTC unless it says otherwise; None where it is none."""
    if isinstance(value, str) and number_of(value) is None:
        try:
            value = datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            return None
    if is_missing(value):
        return None
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=timezone.utc)).timestamp()
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=timezone.utc).timestamp()
    number = number_of(value)
    return number if number is not None and math.isfinite(number) else None
