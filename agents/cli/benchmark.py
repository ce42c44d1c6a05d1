"""Fills a folder with cells, one a method, value and world (or dataset and optimiser), and writes tables, plots and a
report of them.

A run that was stopped, or killed, goes on with the same command, or with --out alone; finished cells are never computed
again, failed ones are. Values, methods and seeds may be added later.

examples:
  prompt-bandits benchmark --quick --methods ips dso sentence_dm --out runs/first-look
  prompt-bandits benchmark --setting data_size --seeds 0:5 --workers 4 --out runs/data-size
  prompt-bandits benchmark --methods dso 'dso[kernel=uniform,tau=2]' --out runs/kernels
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .common import Answer
from .run_arguments import RunArgs, config_of
from .run_configs import store_benchmark

if TYPE_CHECKING:
    from ..benchmark.results import Cell


@dataclass(frozen=True)
class Args(RunArgs):
    """A whole run."""


def run(args: Args) -> Answer:
    """The table of what is there now; status 1 where cells failed."""
    from ..benchmark.run_folder import stored_config
    from ..benchmark.runner import run_benchmark

    config = config_of(args, stored_config(args.out))
    try:
        cells = run_benchmark(config, args.out, workers=args.workers)
    finally:
        store_benchmark(args.out)
    shown = results(args.out)
    failed = [cell for cell in cells if cell.status == "failed"]
    lines = [f"failed: {cell.method} ({_where(cell)}): {cell.error}" for cell in failed]
    if failed:
        lines.append(f"{len(failed)} of {len(cells)} cells failed; the same command tries them again")
    values = {**shown.values, "cells": len(cells), "failed": lines[:-1]}
    return Answer(shown.text, values, 1 if failed else 0, tuple(lines))


def _where(cell: Cell) -> str:
    return cell.key.where + ("" if cell.value is None else f", {cell.parameter}={cell.value:g}")


def results(folder: Path) -> Answer:
    """Writes tables, plots and report; the table, and where the rest is."""
    from ..benchmark.report import write_results

    write_results(folder)
    table = folder / "table.md"
    text = f"\n{table.read_text().strip()}\n\n" if table.is_file() else ""
    found = [name for name in ("report.html", "table.csv", "results.parquet") if (folder / name).is_file()]
    return Answer(f"{text}in {folder}: {', '.join(found)}", {"out": folder, "files": found})
