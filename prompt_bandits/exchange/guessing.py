"""Columns of plain values as arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prompt_bandits.logs.values import FLOAT32, Checker, integer_of, is_missing, list_of, number_of, vector_of
from prompt_bandits.types import IntArray, text_array

_TRUTH = {True: True, False: False, "true": True, "false": False, "True": True, "False": False}


def column_of_values(name: str, values: Sequence[Any], *, typed: bool) -> NDArray[Any]:
    """Booleans, int64, float64, vectors of float64 of one width, else texts, whichever all values are.

    A missing number is NaN, a missing text empty.

    Args:
        name: of the column, for errors.
        values: None where missing.
        typed: texts are texts; otherwise they may write numbers, lists and true or false, as everything in CSV does.
            Digits that are no usual integer ("007") are a text all the same.

    Raises:
        ValueError: lists of different lengths, or of other things than numbers.
    """
    there = [value for value in values if not is_missing(value)]
    if typed and any(isinstance(value, str) for value in there):
        return text_array("" if is_missing(value) else str(value) for value in values)
    if there and all(isinstance(value, (bool, str)) and value in _TRUTH for value in values):
        return np.array([_TRUTH[value] for value in values])
    if there and all(map(_is_list, there)):
        vectors = [vector_of(value) for value in values]
        shapes = {None if vector is None else vector.shape for vector in vectors}
        if len(shapes) != 1 or vectors[0] is None or vectors[0].ndim != 1:
            raise ValueError(f"{name}: expected lists of numbers of one length in every row")
        return np.stack([vector for vector in vectors if vector is not None])
    if values and all(map(_is_integer, values)):
        return np.array([integer_of(value) for value in values], np.int64)
    if there and all(map(_is_number, there)):
        return np.array([math.nan if is_missing(value) else number_of(value) for value in values])
    return text_array("" if is_missing(value) else str(value) for value in values)


def integers(checker: Checker, name: str, values: Sequence[Any]) -> IntArray:
    """(n,) integers of either sign; what is none is noted."""
    out = np.zeros(len(values), np.int64)
    for i, value in enumerate(values):
        number = integer_of(value)
        if number is None:
            checker.refuse(i, name, "an integer", value)
        else:
            out[i] = number
    return out


def vectors(checker: Checker, name: str, values: Sequence[Any], widths: dict[str, int]) -> NDArray[Any]:
    """(n, d), d as in `widths` or else that of the first vector, noted there; a number alone is a vector of one."""
    parsed = [list_of(value) for value in values]
    lists = [f"[{value}]" if found is None else found for value, found in zip(values, parsed, strict=True)]
    for vector in (vector_of(value) for value in lists if name not in widths):
        if vector is not None and vector.ndim == 1 and len(vector):
            widths[name] = len(vector)
            break
    if name not in widths:
        checker.numbers(name, values, -FLOAT32, FLOAT32)
    return checker.vectors(name, lists, widths.get(name, 1))


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple, np.ndarray)) or (isinstance(value, str) and vector_of(value) is not None)


def _is_integer(value: Any) -> bool:
    number = None if isinstance(value, (float, np.floating)) else integer_of(value)
    return number is not None and (not isinstance(value, str) or str(number) == value)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, str) and value.lstrip("+-").isdigit():
        return _is_integer(value)  # all digits: an integer or a name
    return number_of(value) is not None
