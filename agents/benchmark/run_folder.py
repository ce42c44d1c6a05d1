"""The run's folder: what was asked for, and the cells that are finished."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from prompt_bandits.datasets.locking import FolderLock

from .artefacts import sweep_drafts, versions
from .config import BenchmarkConfig
from .results import Cell, Key, read_cells

RUN, CELLS, LOG = "run.json", "cells.jsonl", "log.txt"
_MAY_GROW = ("values", "methods", "seeds")


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """The right to write to a run's folder.

    Raises:
        FolderLocked: another run is at work there.
    """
    lock = FolderLock(folder)
    try:
        sweep_drafts(folder)
        yield
    finally:
        sweep_drafts(folder)
        lock.release()


def stored_config(folder: Path) -> BenchmarkConfig | None:
    """What the run in this folder was asked for; None where there is none.

    Raises:
        ValueError: a damaged file.
    """
    values = _read(folder)
    return None if values is None else BenchmarkConfig.from_json(values)


def write_config(folder: Path, config: BenchmarkConfig) -> None:
    """Writes down what is asked for, beside what was asked for before.

    Raises:
        ValueError: the folder's run differs in more than its values, methods and seeds.
    """
    former = _read(folder)
    if former is not None:
        _check_same(folder, former, config)
        grown: dict[str, Any] = {name: _union(former[name], getattr(config, name)) for name in _MAY_GROW}
        config = replace(config, **grown)
    draft = folder / f".{RUN}"
    draft.write_text(json.dumps({**config.to_json(), "versions": versions()}, indent=1, allow_nan=False))
    os.replace(draft, folder / RUN)


def _union(former: Iterable[Any], asked: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys([*former, *asked]))


def _read(folder: Path) -> dict[str, Any] | None:
    file = folder / RUN
    if not file.is_file():
        return None
    try:
        values = json.loads(file.read_text())
        BenchmarkConfig.from_json(values)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file}: damaged ({error!r})") from error
    return dict(values)


def _check_same(folder: Path, former: dict[str, Any], config: BenchmarkConfig) -> None:
    asked = json.loads(json.dumps(config.to_json()))
    for name, value in asked.items():
        if name not in _MAY_GROW and former[name] != value:
            raise ValueError(
                f"{name}: expected {former[name]!r} as in {folder / RUN}, got {value!r}; another run needs a folder of "
                "its own"
            )
    for package, version in versions().items():
        known = former.get("versions", {}).get(package, version)
        if package != "python" and known != version:
            raise ValueError(f"{package}: expected version {known} as in {folder / RUN}, got {version}")


def latest_cells(folder: Path) -> dict[Key, Cell]:
    """The last line of every cell.

    Raises:
        ValueError: a damaged line.
    """
    return {cell.key: cell for cell in read_cells(folder / CELLS)}


def finished_cells(folder: Path) -> list[Key]:
    """Cells that need not be computed again; failed ones do."""
    return [key for key, cell in latest_cells(folder).items() if cell.status == "ok"]


def drop_cells(folder: Path, stale: Callable[[Cell], bool]) -> list[Key]:
    """Takes cells out of the folder, to be computed anew; which."""
    cells = latest_cells(folder)
    gone = [key for key, cell in cells.items() if stale(cell)]
    if gone:
        draft = folder / f".{CELLS}"
        draft.write_text("".join(f"{cell.to_json()}\n" for key, cell in cells.items() if key not in gone))
        os.replace(draft, folder / CELLS)
    return gone
