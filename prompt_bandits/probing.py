"""What checks of third parties' parts have in common: arrays as promised, inputs left alone, no global randomness."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy import random as global_numpy

from prompt_bandits.types import Observation, Output


def check_array(who: str, value: object, shape: tuple[int | str, ...]) -> None:
    """Raises a ValueError unless `value` is an array of finite numbers; a text in `shape` stands for any length."""
    wanted = f"({', '.join(map(str, shape))}{',' * (len(shape) == 1)})"
    if not isinstance(value, np.ndarray):
        tensor = hasattr(value, "detach")
        hint = "; `.detach().cpu().numpy()` makes one of a tensor" if tensor else "; `np.asarray` makes one"
        raise ValueError(f"{who}: expected a NumPy array of shape {wanted}, got {type(value).__name__}{hint}")
    fits = len(value.shape) == len(shape) and all(
        isinstance(asked, str) or asked == got for asked, got in zip(shape, value.shape, strict=True)
    )
    if not fits:
        raise ValueError(f"{who}: expected shape {wanted}, got {value.shape}{_hint(value, shape)}")
    if not np.issubdtype(value.dtype, np.number):
        raise ValueError(f"{who}: expected numbers, got an array of {value.dtype}")
    bad = ~np.isfinite(value.reshape(len(value), -1)).all(axis=1)
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(f"{who}: expected finite numbers, got {value[row]} in row {row}")


def _hint(value: np.ndarray[Any, Any], shape: tuple[int | str, ...]) -> str:
    if value.shape == (*shape, 1):
        return "; `[:, 0]` drops the last axis"
    if len(shape) == 2 and value.shape == shape[::-1]:
        return "; it looks transposed"
    return ""


@contextmanager
def no_global_draws(who: str, instead: str) -> Iterator[None]:
    """Raises a ValueError if NumPy's or PyTorch's global generator is another afterwards. Python's own is left out:
    clients of servers wait for random times with it.
    """
    before = _global_states()
    yield
    after = _global_states()
    for name, state in before.items():
        if after[name] != state:
            raise ValueError(f"{who}: draws from the global generator of {name}, or seeds it; {instead}")


def _global_states() -> dict[str, bytes]:
    _, keys, *rest = global_numpy.get_state(legacy=True)  # noqa: NPY002  it is only looked at
    states = {"NumPy": np.asarray(keys).tobytes() + repr(rest).encode()}
    torch = sys.modules.get("torch")
    if torch is not None:
        states["PyTorch"] = torch.get_rng_state().numpy().tobytes()
    return states


@contextmanager
def left_alone(who: str, **arrays: Any) -> Iterator[None]:
    """Raises a ValueError if an array, or one inside an observation or output, was written to."""
    before = {name: column.copy() for name, column in _columns(arrays).items()}
    yield
    for name, column in _columns(arrays).items():
        same = column == before[name]
        if not (same | (column != column)).all():
            raise ValueError(f"{who}: expected input that is left alone, {name} was written to; work on a copy of it")


def _columns(things: Mapping[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    found: dict[str, np.ndarray[Any, Any]] = {}
    for name, thing in things.items():
        if isinstance(thing, (Observation, Output)):
            fields = {f"{name}.{field}": getattr(thing, field) for field in thing.row_fields}
            found |= {field: column for field, column in fields.items() if column is not None}
        elif isinstance(thing, np.ndarray):
            found[name] = thing
        if isinstance(thing, Observation):
            found[f"{name}.prompts.embedding"] = thing.prompts.embedding
    return found


def require_method(what: str, thing: object, method: str, call: str) -> None:
    """Raises a ValueError unless `thing` is an object, not a class, with a method of this name."""
    if isinstance(thing, type):
        raise ValueError(f"{what}: expected an object, got the class {thing.__name__}; make one of it first")
    if not callable(getattr(thing, method, None)):
        raise ValueError(f"{what}: expected an object with `{call}`, got {thing!r}")
