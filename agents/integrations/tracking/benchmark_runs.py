"""A finished benchmark in a tracker: the mean learning curve of every method."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from ...protocols import Callback

if TYPE_CHECKING:
    from ...benchmark.results import Cell


def track_benchmark(folder: str | Path, callback: Callback) -> int:
    """Tells a tracker the means of a run's learning curves, over its worlds: "dso/optimality" by steps, with the swept
    value where there is one, "dso/n=500/optimality". How many curves that were.

    Args:
        folder: of `prompt-bandits benchmark`, as far as it got.
        callback: a tracker.

    Raises:
        ValueError: no run there, or a damaged file.
    """
    from ...benchmark.learning_curves import mean_curve
    from ...benchmark.results import read_run

    run = read_run(Path(folder))
    cells: dict[str, list[Cell]] = defaultdict(list)
    for cell in run.cells:
        if cell.status == "ok":
            swept = f"/{cell.parameter}={cell.value:g}" if cell.value is not None else ""
            cells[f"{cell.method}{swept}/{run.measure.name}"].append(cell)
    curves = {name: curve for name, own in cells.items() if (curve := mean_curve(own))}
    for name, curve in curves.items():
        for step, mean in curve:
            callback(int(step), {name: mean.value}, None)
    return len(curves)
