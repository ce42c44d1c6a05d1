"""Dataclasses as plain values and back: what YAML and JSON know, read by the types of the fields.

Tuples are lists there, paths are texts, dataclasses within are mappings. An unknown name is refused with the likeliest
right one. For a tuple of `name=value` texts a mapping does too.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

_T = TypeVar("_T")
_KINDS = {type(None): "nothing", bool: "true or false", int: "an integer", float: "a number", str: "a text"}
_SEQUENCES = (tuple, list)


def to_plain(value: Any) -> Any:
    """A dataclass, or what may be in one, as values that YAML and JSON know.

    Raises:
        TypeError: an object that is no plain value.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in fields(value) if f.init}
    if isinstance(value, Mapping):
        return {str(name): to_plain(one) for name, one in value.items()}
    if isinstance(value, _SEQUENCES):
        return [to_plain(one) for one in value]
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"config: expected plain values, got {value!r}")


def given_fields(cls: type, values: Any, leave_out: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The fields of `cls` that `values` names, of the types that they ask for.

    Raises:
        ValueError: no mapping, an unknown name, or a value of another type; it names the field.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"expected values by the names of fields, got {values!r}")
    check_names(values, [f.name for f in fields(cls) if f.init and f.name not in leave_out])
    hints = typing.get_type_hints(cls)
    return {name: _read(name, value, hints[name]) for name, value in values.items()}


def check_names(given: Iterable[object], known: Sequence[str]) -> None:
    """Refuses an unknown name, with the nearest known one. Raises a ValueError."""
    for name in given:
        if name not in known:
            close = get_close_matches(str(name), known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(known)}"
            raise ValueError(f"{name}: no such field; {hint}")


def from_plain(cls: type[_T], values: Any) -> _T:
    """What `to_plain` gave; what is not there is as by default.

    Raises:
        ValueError: as `given_fields`, a missing field, or what the class itself refuses.
    """
    given = given_fields(cls, values)
    for f in fields(cls):  # type: ignore[arg-type]
        if f.init and f.name not in given and f.default is MISSING and f.default_factory is MISSING:
            raise ValueError(f"{f.name}: expected a value, got none")
    return cls(**given)


def _read(name: str, value: Any, hint: Any) -> Any:
    """The value as the first of the types in `hint` that it is."""
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    kinds = typing.get_args(hint) if union else (hint,)
    errors = []
    for kind in kinds:
        try:
            return _as(name, value, kind)
        except ValueError as error:
            errors.append(error)
    if len(errors) == 1 or any(_inner(kind) for kind in kinds):
        raise next((e for e, kind in zip(errors, kinds, strict=True) if _inner(kind)), errors[0])
    raise ValueError(f"{name}: expected {' or '.join(map(_called, kinds))}, got {value!r}")


def _inner(kind: Any) -> bool:
    """Whether an error within a value of this type says more than that it is none."""
    return is_dataclass(kind) or typing.get_origin(kind) in _SEQUENCES


def _as(name: str, value: Any, kind: Any) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Sequence:
        origin, arguments = tuple, (arguments[0], ...)
    if kind is Any:
        return value
    if origin is typing.Literal:
        if value in arguments and not isinstance(value, bool):
            return value
        raise ValueError(f"{name}: expected one of {', '.join(map(str, arguments))}, got {value!r}")
    if origin is typing.Annotated:
        return _read(name, value, arguments[0])
    if is_dataclass(kind) and isinstance(kind, type):
        try:
            return from_plain(kind, value)
        except ValueError as error:
            raise ValueError(f"{name}.{error}" if isinstance(value, Mapping) else f"{name}: {error}") from error
    if origin in _SEQUENCES:
        return _sequence(name, value, origin, arguments)
    if isinstance(value, Mapping) and isinstance(origin, type) and issubclass(dict, origin):
        return {key: _read(f"{name}.{key}", one, arguments[1]) for key, one in value.items()}
    return _scalar(name, value, kind)


def _sequence(name: str, value: Any, origin: Any, arguments: tuple[Any, ...]) -> Any:
    if isinstance(value, Mapping) and arguments == (str, ...):
        value = pairs(value)
    if not isinstance(value, list):
        raise ValueError(f"{name}: expected a list, got {value!r}")
    many = origin is list or arguments[1:] == (...,)
    if not many and len(arguments) != len(value):
        raise ValueError(f"{name}: expected {len(arguments)} values, got {len(value)}")
    kinds = [arguments[0]] * len(value) if many else list(arguments)
    return origin(_read(f"{name}[{i}]", one, kind) for i, (one, kind) in enumerate(zip(value, kinds, strict=True)))


def _scalar(name: str, value: Any, kind: Any) -> Any:
    if kind in (int, float) and isinstance(value, str):
        value = _number(value)  # 5e-4 is a text to YAML 1.1
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind is Path and isinstance(value, str):
        return Path(value)
    if not isinstance(kind, type) or not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise ValueError(f"{name}: expected {_called(kind)}, got {value!r}")
    return value


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _called(kind: Any) -> str:
    if kind is Path:
        return "a path"
    return _KINDS.get(kind) or str(getattr(kind, "__name__", kind))


def pairs(values: Mapping[str, Any], prefix: str = "") -> list[str]:
    """A mapping as `name=value` texts, what is within with a dot: {"a": 1, "b": {"c": "x"}} as a=1, b.c=x."""
    found: list[str] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found += pairs(value, f"{prefix}{name}.")
        else:
            text = value if isinstance(value, str) else json.dumps(to_plain(value))
            found.append(f"{prefix}{name}={'none' if value is None else text}")
    return found
