"""The box plot of gains over no prompt: a box a method, over datasets × optimiser seeds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .plot_parts import draw_limits
from .plot_style import INK, Look, looks, plain, style
from .results import Cell, Run, Summary, summarise
from .tables import estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH = 0.6


@style()
def box_figure(run: Run) -> Figure | None:
    """Methods side by side, the worst first, with a dot a cell; None without data."""
    from matplotlib.figure import Figure

    measure = run.measure
    rows = [row for row in summarise(run.cells) if measure.of(row) is not None and row.method not in measure.fixed]
    rows.sort(key=lambda row: float(measure.of(row)))
    if not rows:
        return None
    figure = Figure(figsize=(0.82 * len(rows) + 1.4, 5), layout="constrained")
    ax = figure.subplots()
    colours = looks(row.method for row in summarise(run.cells))
    for at, row in enumerate(rows):
        own = [cell for cell in run.cells if cell.method == row.method and measure.of(cell) is not None]
        _box(ax, at, own, colours[row.method])
    ax.set_xticks(range(len(rows)), [_name(row, run) for row in rows], rotation=40, ha="right", rotation_mode="anchor")
    ax.grid(axis="x", visible=False)
    draw_limits(ax, measure.limits)
    ax.set_ylabel(measure.axis)
    return figure


def _name(row: Summary, run: Run) -> str:
    return f"{plain(row.label, 22)}\n{estimate(run.measure.of(row)).text}"


def _box(ax: Any, at: int, cells: Sequence[Cell], look: Look) -> None:
    """One box, and its dots in columns by dataset; one number alone is a line."""
    numbers = [cell.measure.of(cell) for cell in cells]
    if len(numbers) == 1:
        ax.hlines(numbers, at - _WIDTH / 2, at + _WIDTH / 2, color=look.colour, linewidth=1.7)
        return
    columns = defaultdict[Any, list[float]](list)
    for cell, number in zip(cells, numbers, strict=True):
        columns[cell.drawn].append(number)
    line = {"color": look.colour, "linewidth": 1.2}
    median = {"color": INK, "linewidth": 1.5}
    box = {"positions": [at], "widths": _WIDTH, "showfliers": False, "manage_ticks": False}
    ax.boxplot([numbers], boxprops=line, whiskerprops=line, capprops=line, medianprops=median, **box)
    for i, (_, column) in enumerate(sorted(columns.items())):
        x = at + 0.7 * _WIDTH * ((i + 0.5) / len(columns) - 0.5)
        ax.plot([x] * len(column), column, "o", color=look.colour, markersize=3.2, alpha=0.7, markeredgewidth=0)
