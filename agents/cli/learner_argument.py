"""Learners as commands name them: a method of the benchmark, and its fields as `name=value`."""

from __future__ import annotations

import typing
from collections.abc import Iterable
from dataclasses import is_dataclass, replace
from difflib import get_close_matches
from typing import Any

from ..benchmark.methods import METHODS, Method
from ..benchmark.plain_values import parse_fields
from ..benchmark.variants import parse_method

NAMES = tuple(name for name, method in METHODS.items() if method.learner)


def named_learner(text: str, settings: Iterable[str] = (), *, quick: bool = False) -> tuple[Any, Method]:
    """A learner, and what it is.

    Args:
        text: a name, with fields in brackets if need be: dso, `dso[kernel=uniform,tau=2]`.
        settings: further fields, those of a part with a dot: steps=2000, reward_training.steps=500.
        quick: start from fewer steps, for a first look.

    Raises:
        ValueError: an unknown name or field, or a value that the learner refuses.
    """
    name = text.partition("[")[0].strip().replace("-", "_")
    if name not in NAMES:
        close = get_close_matches(name, NAMES, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(NAMES)}"
        raise ValueError(f"learner: unknown learner {name!r}; {hint}")
    variant = parse_method(text)
    from .. import learners

    cls: Any = getattr(learners, variant.method.learner)
    start = cls.quick if quick and hasattr(cls, "quick") else cls
    learner = replace(start(), **{**variant.method.fields, **dict(variant.overrides)})
    return _changed(learner, settings), variant.method


def _changed(config: Any, settings: Iterable[str]) -> Any:
    """The config with these `name=value` texts; `part.name=value` is of a config within."""
    own, parts = [], dict[str, list[str]]()
    for pair in settings:
        name, _, rest = pair.partition("=")[0].partition(".")
        if rest:
            parts.setdefault(name.strip(), []).append(pair.partition(".")[2])
        else:
            own.append(pair)
    changes: dict[str, Any] = parse_fields(type(config), own)
    for name, within in parts.items():
        part = getattr(config, name, None)
        if part is None:
            part = _inner_default(type(config), name)
        changes[name] = _changed(part, within)
    return replace(config, **changes) if changes else config


def _inner_default(cls: type, name: str) -> Any:
    """A config that a field may hold, where it holds none."""
    inner: list[Any] = [one for one in typing.get_args(typing.get_type_hints(cls).get(name)) if is_dataclass(one)]
    if not inner:
        raise ValueError(f"{name}: {cls.__name__} has no such part with fields of its own")
    return inner[0]()
