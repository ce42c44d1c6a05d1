"""Checks of plain values given by users, with errors that name the field, what was expected and what came."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np

_T = TypeVar("_T")


def check_integer(name: str, value: object, low: int, high: int | None = None) -> None:
    """Raises a ValueError unless `value` is an integer in low … high."""
    if (
        not isinstance(value, (int, np.integer))
        or isinstance(value, bool)
        or value < low
        or (high is not None and value > high)
    ):
        raise ValueError(
            f"{name}: expected an integer {f'>= {low}' if high is None else f'in {low} … {high}'}, got {value!r}"
        )


def check_number(name: str, value: object, low: float = -np.inf, high: float = np.inf) -> None:
    """Raises a ValueError unless `value` is a finite number in low … high."""
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not number or not np.isfinite(value) or not low <= value <= high:  # type: ignore[call-overload,operator]
        bounds = f" in {low} … {high}" if high < np.inf else "" if low == -np.inf else f" >= {low}"
        raise ValueError(f"{name}: expected a finite number{bounds}, got {value!r}")


def check_choice(name: str, value: object, choices: Collection[str]) -> None:
    """Raises a ValueError unless `value` is one of `choices`."""
    if value not in list(choices):
        raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")


def config_from(cls: type[_T], kwargs: Mapping[str, Any], others: Iterable[str] = ()) -> _T:
    """A config from keyword arguments; a wrong name is answered with the likeliest right one, of `others` too.

    Raises:
        TypeError: an unknown argument.
    """
    known = [field.name for field in fields(cls)]  # type: ignore[arg-type]
    for name in kwargs:
        if name not in known:
            raise TypeError(f"unknown argument {name!r}{_hint(name, [*known, *others])}")
    return cls(**kwargs)


def _hint(name: str, known: list[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; expected one of {', '.join(known)}"
