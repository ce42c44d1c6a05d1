"""A dataset's folder, for people to look at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prompt_bandits.datasets.columns import Columns, row_columns
from prompt_bandits.datasets.dataset import BanditDataset
from prompt_bandits.datasets.stored import StoredDataset

_WIDEST = 70


def inspect(path: str | Path, rounds: int = 3) -> None:
    """Prints what is in a dataset's folder: where it comes from, its columns, a summary, and its first rounds as text.

    Args:
        path: of the folder.
        rounds: how many rounds to show.

    Raises:
        FileNotFoundError, ValueError: as `BanditDataset.open`.
    """
    print(describe(StoredDataset.open(path), rounds))


def describe(data: StoredDataset, rounds: int = 3) -> str:
    """What `inspect` prints."""
    return "\n".join(
        [*_head(data), "", "columns", *_columns(data), "", "summary", str(data.summary()), *_rounds(data, rounds)]
    )


def _head(data: StoredDataset) -> Iterator[str]:
    manifest, open_rows = data.manifest, data.open_rows
    unsealed = "" if open_rows is None else f" and {len(open_rows['action']):,} rounds in an open one"
    spec = data.spec or {}
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    size = sum(file.stat().st_size for file in data.path.rglob("*") if file.is_file())
    yield f"{data.path}: {len(data):,} rounds, {size / 1e6:,.1f} MB"
    yield f"  environment       {spec.get('id') or ('a simulator' if spec else 'none: a log of its own')}"
    if spec.get("kwargs"):
        yield f"  arguments         {', '.join(f'{name}={value!r}' for name, value in spec['kwargs'].items())}"
    policies = ", ".join(type(policy).__name__ for policy in data.policies)
    yield f"  logging policies  {policies or 'not with the data'}"
    yield f"  seeds             {', '.join(map(str, manifest.seeds[:5]))}{', …' if len(manifest.seeds) > 5 else ''}"
    yield f"  shards            {len(manifest.shards)} sealed{unsealed}"
    yield f"  prompts           {data.n_actions:,}, version {data.table.version}"
    yield f"  written by        {versions}"


def _columns(data: StoredDataset) -> Iterator[str]:
    for name, kind in sorted(data.manifest.columns.items()):
        yield f"  {name:<24}{kind}"


def _rounds(data: StoredDataset, n: int) -> Iterator[str]:
    first = next(data.batches(n), None) if n else None
    for row in range(0 if first is None else len(first)):
        assert first is not None
        yield f"\nround {first.round_id[row]} of seed {first.seed[row]}"
        yield from _round(first, row_columns(first), row)


def _round(data: BanditDataset, columns: Columns, row: int) -> Iterator[str]:
    text = data.obs.prompts.text
    for name, column in columns.items():
        if name in ("seed", "round_id"):
            continue
        prompt = f": {text[data.action[row]]}" if name == "action" and text is not None else ""
        yield f"  {name:<24}{_shown(column[row])}{prompt}"


def _shown(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return _vector(value)
    text = str(value)
    if isinstance(value, np.floating):
        text = f"{value:.4g}" if abs(value) < 1e6 else f"{value:.3f}"
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def _vector(value: NDArray[Any]) -> str:
    if value.dtype == bool:
        return f"{int(value.sum())} of {len(value)}"
    shown = " ".join(f"{number:.3g}" for number in value[:6])
    return f"[{shown}{' …' if len(value) > 6 else ''}]"
