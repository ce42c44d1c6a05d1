"""The run's folder: what was asked for, and the cells that are finished."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from prompt_bandits.datasets.files import digest as file_hash
from prompt_bandits.datasets.locking import FolderLock
from prompt_bandits.movie.config import MovieConfig
from prompt_bandits.movie.folder import SHIPPED

from .artefacts import sweep_drafts, versions
from .config import BenchmarkConfig
from .results import Cell, Key, read_cells

RUN, CELLS, LOG = "run.json", "cells.jsonl", "log.txt"
_MAY_GROW = ("values", "methods", "seeds", "fit_seeds")


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
        ValueError: the folder's run differs in more than its values, methods, seeds and optimiser seeds.
    """
    former, now = _read(folder), {**versions(), **asset_versions(config)}
    if former is not None:
        _check_same(folder, former, config, now)
        stored = BenchmarkConfig.from_json(former)
        grown: dict[str, Any] = {name: _union(getattr(stored, name), getattr(config, name)) for name in _MAY_GROW}
        config = replace(config, **grown)
    draft = folder / f".{RUN}"
    draft.write_text(json.dumps({**config.to_json(), "versions": now}, indent=1, allow_nan=False))
    os.replace(draft, folder / RUN)


def asset_versions(config: BenchmarkConfig) -> dict[str, str]:
    """The hash of the assets that movies are made of: other assets under the same name make another world.

    Raises:
        ValueError: they are not there.
    """
    if config.preset.environment is not MovieConfig:
        return {}
    assets = config.world_config.get("assets")
    folder = SHIPPED if assets is None else Path(assets)
    if not folder.is_dir() and not any(name.startswith("path_to_") for name in config.world_config):
        raise ValueError(f"assets: {folder}: expected a folder of assets, found none")
    manifest = folder / "manifest.json"
    return {"assets": file_hash(manifest)[:16]} if manifest.is_file() else {}


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


def _check_same(folder: Path, former: dict[str, Any], config: BenchmarkConfig, now: dict[str, str]) -> None:
    asked, known = (json.loads(json.dumps(c.to_json())) for c in (config, BenchmarkConfig.from_json(former)))
    for name, value in asked.items():
        if name not in _MAY_GROW and known[name] != value:
            raise ValueError(
                f"{name}: expected {known[name]!r} as in {folder / RUN}, got {value!r}; another run needs a folder of "
                "its own"
            )
    for package, version in now.items():
        before = former.get("versions", {}).get(package, version)
        if package != "python" and before != version:
            raise ValueError(f"{package}: expected version {before} as in {folder / RUN}, got {version}")


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
