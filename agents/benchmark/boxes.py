"""The box plot of gains over no prompt: a box a method, over datasets × optimiser seeds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .plot_parts import draw_limits
from .plot_style import INK, Look, looks, plain, style
from .results import Cell, Run, summarise
from .tables import estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH = 0.6


@style()
def box_figure(run: Run) -> Figure | None:
    """A line a method, the best on top, with a dot a cell; None without data."""
    from matplotlib.figure import Figure

    measure = run.measure
    rows = [row for row in summarise(run.cells) if measure.of(row) is not None and row.method not in measure.fixed]
    rows.sort(key=lambda row: float(measure.of(row)))
    if not rows:
        return None
    figure = Figure(figsize=(10, 0.42 * len(rows) + 0.9), layout="constrained")
    ax = figure.subplots()
    colours = looks(row.method for row in summarise(run.cells))
    for at, row in enumerate(rows):
        own = [cell for cell in run.cells if cell.method == row.method and measure.of(cell) is not None]
        _box(ax, at, own, colours[row.method])
    ax.set_yticks(range(len(rows)), [plain(row.label, 36) for row in rows])
    means = ax.secondary_yaxis("right")
    means.set_yticks(range(len(rows)), [estimate(measure.of(row)).text for row in rows])
    means.tick_params(length=0)
    means.spines["right"].set_visible(False)
    ax.grid(axis="y", visible=False)
    ax.grid(axis="x", visible=True)
    draw_limits(ax, measure.limits, "x")
    ax.set_xlabel(measure.axis)
    return figure


def _box(ax: Any, at: int, cells: Sequence[Cell], look: Look) -> None:
    """One box, and its dots in rows by dataset; one number alone is a line."""
    numbers = [cell.measure.of(cell) for cell in cells]
    if len(numbers) == 1:
        ax.vlines(numbers, at - _WIDTH / 2, at + _WIDTH / 2, color=look.colour, linewidth=1.7)
        return
    datasets = defaultdict[Any, list[float]](list)
    for cell, number in zip(cells, numbers, strict=True):
        datasets[cell.drawn].append(number)
    line = {"color": look.colour, "linewidth": 1.2}
    median = {"color": INK, "linewidth": 1.5}
    box = {"positions": [at], "widths": _WIDTH, "showfliers": False, "manage_ticks": False, "orientation": "horizontal"}
    ax.boxplot([numbers], boxprops=line, whiskerprops=line, capprops=line, medianprops=median, **box)
    for i, (_, row) in enumerate(sorted(datasets.items())):
        y = at + 0.7 * _WIDTH * ((i + 0.5) / len(datasets) - 0.5)
        ax.plot(row, [y] * len(row), "o", color=look.colour, markersize=3.2, alpha=0.7, markeredgewidth=0)
