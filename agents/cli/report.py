"""Writes results.parquet, results.csv, the tables, the plots and report.html of a run anew from its cells.jsonl."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .benchmark import show_results


@dataclass(frozen=True)
class Args:
    """A run that has cells."""

    out: Path
    """the run's folder"""


def run(args: Args) -> int:
    """The exit status.

    Raises:
        ValueError: no cells there.
    """
    from ..benchmark.run_folder import CELLS

    if not (args.out / CELLS).is_file():
        raise ValueError(f"out: expected the folder of a run, with {CELLS}, got {args.out}")
    show_results(args.out)
    return 0
