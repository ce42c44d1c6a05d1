"""Writes results.parquet, results.csv, the tables, the plots and report.html of a run anew from its cells.jsonl.

examples:
  prompt-bandits report --out runs/first-look
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .benchmark import results
from .common import Answer, CommonArgs


@dataclass(frozen=True)
class Args(CommonArgs):
    """A run that has cells."""

    out: Path
    """the run's folder"""


def run(args: Args) -> Answer:
    """The table, and where the rest is.

    Raises:
        ValueError: no cells there.
    """
    from ..benchmark.run_folder import CELLS

    if not (args.out / CELLS).is_file():
        raise ValueError(f"out: expected the folder of a run, with {CELLS}, got {args.out}")
    return results(args.out)
