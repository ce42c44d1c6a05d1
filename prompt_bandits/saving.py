"""Policies and their parts to a folder and back: `policy.json` for values, `arrays.safetensors` for arrays. No pickle.

What can be saved is a class with a `saved_as` name, known by an entry point of the group `prompt_bandits.saved` or by
`register_saved`. Its state is its dataclass fields, or what its own `state()` and `from_state()` say.
"""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

_GROUP = "prompt_bandits.saved"
_VALUES, _ARRAYS = "policy.json", "arrays.safetensors"
_VERSION = 1
_registered: dict[str, type[Any]] = {}
_T = TypeVar("_T")


def register_saved(cls: type[_T]) -> type[_T]:
    """Class decorator: lets `load` find a class by its `saved_as` name within this process."""
    _registered[cls.saved_as] = cls  # type: ignore[attr-defined]
    return cls


def registered_modules() -> list[str]:
    """Where the classes of `register_saved` live, for another process to import."""
    return sorted({cls.__module__ for cls in _registered.values()} - {"__main__"})


def save(thing: Any, folder: str | Path) -> Path:
    """Writes a policy, score or model to `folder` (made if need be).

    Raises:
        TypeError: the thing, or a part of it, has no `saved_as`.
    """
    from safetensors.numpy import save_file

    folder = Path(folder)
    arrays: dict[str, NDArray[Any]] = {}
    values = {"version": _VERSION, "saved": _encode(thing, "", arrays)}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _VALUES).write_text(json.dumps(values, indent=1))
    save_file(arrays, folder / _ARRAYS)
    return folder


def load(folder: str | Path) -> Any:
    """What `save` wrote to `folder`.

    Raises:
        FileNotFoundError: no saved policy there.
        ValueError: damaged files, another format version, or a class that is not installed.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    folder = Path(folder)
    if not (folder / _VALUES).is_file():
        raise FileNotFoundError(f"{folder}: expected a saved policy with a file {_VALUES}, found none")
    try:
        values = json.loads((folder / _VALUES).read_text())
        arrays = load_file(folder / _ARRAYS)
    except (ValueError, OSError, SafetensorError) as error:
        raise ValueError(f"{folder}: damaged policy files: {error}") from error
    if not isinstance(values, dict) or values.get("version") != _VERSION:
        found = values.get("version") if isinstance(values, dict) else values
        raise ValueError(f"{folder}/{_VALUES}: expected format version {_VERSION}, got {found!r}")
    try:
        return _decode(values["saved"], arrays)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{folder}: damaged policy files: {error!r}") from error


def to_json(thing: Any) -> Any:
    """A savable thing without arrays as JSON values.

    Raises:
        TypeError: it holds arrays, or as `save`.
    """
    arrays: dict[str, NDArray[Any]] = {}
    values = _encode(thing, "", arrays)
    if arrays:
        raise TypeError(f"{type(thing).__name__}: expected plain values only, got arrays {sorted(arrays)}")
    return values


def from_json(values: Any) -> Any:
    """What `to_json` gave.

    Raises:
        ValueError: a class that is not installed.
    """
    return _decode(values, {})


def fingerprint(thing: Any) -> str:
    """A short id of the content: equal for equal state, in any process.

    Raises:
        TypeError: as `save`.
    """
    arrays: dict[str, NDArray[Any]] = {}
    digest = sha256(json.dumps(_encode(thing, "", arrays), sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()[:16]


def _encode(value: Any, path: str, arrays: dict[str, NDArray[Any]]) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        if value.dtype == object:
            return {"$texts": value.tolist()}
        arrays[path or "value"] = np.ascontiguousarray(value)
        return {"$array": path or "value"}
    if isinstance(value, (list, tuple)):
        return [_encode(item, f"{path}.{i}", arrays) for i, item in enumerate(value)]
    if isinstance(value, dict):
        return {"$dict": {str(key): _encode(item, f"{path}.{key}", arrays) for key, item in value.items()}}
    name = getattr(value, "saved_as", None)
    if name is None:
        raise TypeError(
            f"{type(value).__name__} cannot be saved: expected a class with `saved_as` (see prompt_bandits.saving)"
        )
    return {
        "$saved": name,
        "state": {key: _encode(item, f"{path}.{key}".lstrip("."), arrays) for key, item in _state(value).items()},
    }


def _decode(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    if isinstance(value, list):
        return [_decode(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if "$array" in value:
        return arrays[value["$array"]]
    if "$texts" in value:
        return np.array(value["$texts"], dtype=object)
    if "$dict" in value:
        return {key: _decode(item, arrays) for key, item in value["$dict"].items()}
    state = {key: _decode(item, arrays) for key, item in value["state"].items()}
    cls = _class(value["$saved"])
    return cls.from_state(state) if hasattr(cls, "from_state") else cls(**state)


def _state(thing: Any) -> dict[str, Any]:
    if hasattr(thing, "state"):
        return dict(thing.state())
    if is_dataclass(thing):
        return {field.name: getattr(thing, field.name) for field in fields(thing)}
    raise TypeError(f"{type(thing).__name__} cannot be saved: expected a dataclass or a `state()` method")


def _class(name: str) -> Any:
    if name in _registered:
        return _registered[name]
    points = _entry_points()
    if name not in points:
        known = ", ".join(sorted({*points, *_registered}))
        raise ValueError(f"saved as {name!r}: expected a class of that name from an installed package (known: {known})")
    return points[name].load()


@cache
def _entry_points() -> dict[str, Any]:
    return {point.name: point for point in entry_points(group=_GROUP)}
