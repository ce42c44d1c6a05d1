"""Dicts of arrays in a file, without pickle."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np


def write_npz(path: Path, values: Mapping[str, Any]) -> None:
    """Arrays, numbers, texts and lists of them; what is None is left out. Nested dicts become `outer.inner`."""
    with path.open("wb") as stream:  # a path would be given another ending
        np.savez_compressed(stream, **{name: _array(name, value) for name, value in _flat(values)})


def read_npz(path: Path, required: Sequence[str] = ()) -> dict[str, Any]:
    """What `write_npz` wrote, by flat names: arrays, those of no dimension as plain values, texts as object arrays.

    Raises:
        ValueError: no such file, pickled values, or one of `required` is not there.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: _plain(file[name]) for name in file.files}
    except (ValueError, OSError, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"{path}: expected a .npz file without pickled values: {error}") from error
    missing = [name for name in required if name not in found]
    if missing:
        raise ValueError(f"{path}: expected {', '.join(missing)} in it, found {', '.join(found)}")
    return found


def _flat(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            pairs += [(f"{name}.{inner}", part) for inner, part in _flat(value)]
        elif value is not None:
            pairs.append((name, value))
    return pairs


def _array(name: str, value: Any) -> Any:
    array = np.asarray(value)
    if array.dtype != object:
        return array
    if not all(isinstance(item, str) for item in array.ravel()):
        raise ValueError(f"{name}: expected numbers or texts, got {value!r}")
    return array.astype(np.str_)


def _plain(array: Any) -> Any:
    if array.ndim == 0:
        return array.item()
    return array.astype(object) if array.dtype.kind == "U" else array
