"""Fills a folder with cells, one a method, value and world (or dataset and optimiser), and writes tables, plots and a
report of them.

A run that was stopped, or killed, goes on with the same command, or with --out alone; finished cells are never computed
again, failed ones are. Values, methods and seeds may be added later.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from .run_arguments import RunArgs, config_of


@dataclass(frozen=True)
class Args(RunArgs):
    """A whole run."""


def run(args: Args) -> int:
    """The exit status."""
    from ..benchmark.run_folder import stored_config
    from ..benchmark.runner import run_benchmark

    config = config_of(args, stored_config(args.out))
    cells = run_benchmark(config, args.out, workers=args.workers)
    show_results(args.out)
    failed = [cell for cell in cells if cell.status == "failed"]
    for cell in failed:
        where = cell.key.where + ("" if cell.value is None else f", {cell.parameter}={cell.value:g}")
        print(f"failed: {cell.method} ({where}): {cell.error}", file=sys.stderr)
    if failed:
        print(f"{len(failed)} of {len(cells)} cells failed; the same command tries them again", file=sys.stderr)
    return 1 if failed else 0


def show_results(folder: Path) -> None:
    """Writes tables, plots and report, prints the table and says where the rest is."""
    from ..benchmark.report import write_results

    write_results(folder)
    table = folder / "table.md"
    if table.is_file():
        print(f"\n{table.read_text().strip()}\n")
    found = [name for name in ("report.html", "table.csv", "results.parquet") if (folder / name).is_file()]
    print(f"in {folder}: {', '.join(found)}")
