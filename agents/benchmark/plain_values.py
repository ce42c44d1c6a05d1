"""Plain values from text, by the type that a field asks for."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Iterable
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

_PLAIN = (type(None), bool, int, float, str)
_TRUTH = {"true": True, "false": False}


def parse_value(name: str, text: str, hint: Any) -> Any:
    """`text` as the first of the types in `hint` that it reads as: none, a truth value, a number, text, a tuple
    of these such as (0, 1).

    Raises:
        ValueError: it reads as none of them.
    """
    allowed = [kind for kind in _PLAIN if kind in _alternatives(hint)]
    for kind in allowed:
        try:
            return _read(text, kind)
        except ValueError:
            continue
    for kind in _alternatives(hint):
        if typing.get_origin(kind) is tuple and text.startswith("(") and text.endswith(")"):
            inner = [one.strip() for one in text[1:-1].split(",") if one.strip()]
            return tuple(parse_value(name, one, typing.get_args(kind)[0]) for one in inner)
    names = [{type(None): "none", bool: "true or false"}.get(kind, kind.__name__) for kind in allowed]
    expected = " or ".join(names) if names else "no value from text: it is not a plain field"
    raise ValueError(f"{name}: expected {expected}, got {text!r}")


def _alternatives(hint: Any) -> tuple[Any, ...]:
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return typing.get_args(hint) if union else (hint,)


def _read(text: str, kind: type) -> Any:
    if kind is type(None):
        if text.lower() != "none":
            raise ValueError
        return None
    if kind is bool:
        if text.lower() not in _TRUTH:
            raise ValueError
        return _TRUTH[text.lower()]
    value = kind(text)
    if kind is float and not math.isfinite(value):
        raise ValueError
    return value


def written(value: Any) -> str:
    """A plain value as `parse_value` reads it."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return short if float(short := f"{value:g}") == value else repr(value)
    return str(value)


def parse_fields(cls: type, pairs: Iterable[str]) -> dict[str, Any]:
    """`name=value` texts as fields of the dataclass `cls`.

    Raises:
        ValueError: not name=value, an unknown name or one given twice, or a value of another type.
    """
    hints = typing.get_type_hints(cls)
    names = [field.name for field in fields(cls)]
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = (part.strip() for part in pair.partition("="))
        if not equals or not name:
            raise ValueError(f"expected name=value, got {pair!r}")
        if name not in names:
            close = get_close_matches(name, names, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(names)}"
            raise ValueError(f"{name}: {cls.__name__} has no such field; {hint}")
        if name in found:
            raise ValueError(f"{name}: given twice")
        found[name] = parse_value(name, text, hints[name])
    return found
