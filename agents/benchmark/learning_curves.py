"""Learning curves: the policy in training, over steps, mean ± s.e. over worlds, or over the datasets in one."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from prompt_bandits.types import Estimate

from .measures import GAIN
from .plot_parts import draw_limits, draw_means, legend
from .plot_style import looks, plain, style
from .results import Cell, Run, Value, mean_over
from .tables import swept

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def measured_curve(cell: Cell) -> list[tuple[int, float]]:
    """The cell's curve on the scale on which policies are compared; empty where that is not known."""
    if cell.measure is GAIN:
        base = cell.no_prompt_value
        return [] if base is None else [(step, value - base) for step, value in cell.curve]
    if cell.uniform_value is None or cell.optimal_value is None or cell.optimal_value == cell.uniform_value:
        return []
    span = cell.optimal_value - cell.uniform_value
    return [(step, (value - cell.uniform_value) / span) for step, value in cell.curve]


def mean_curve(cells: Sequence[Cell]) -> list[tuple[float, Estimate]]:
    """(step, mean ± s.e.) at the steps that all cells have."""
    curves = [(cell, dict(curve)) for cell in cells if (curve := measured_curve(cell))]
    steps = sorted(set.intersection(*(set(curve) for _, curve in curves))) if curves else []
    return [(step, mean_over((cell, curve[step]) for cell, curve in curves)) for step in steps]


@style()
def curves_figure(run: Run) -> Figure | None:
    """A panel a swept value, a line a method; None where no curve was recorded."""
    from matplotlib.figure import Figure

    panels: dict[Value, dict[str, list[Cell]]] = defaultdict(lambda: defaultdict(list))
    for cell in run.cells:
        if len(measured_curve(cell)) > 1:
            panels[cell.value][cell.method].append(cell)
    if not panels:
        return None
    across = 2 if len(panels) == 4 else min(3, len(panels))
    down = math.ceil(len(panels) / across)
    size = (6.6, 4.4) if len(panels) == 1 else (2.7 * across + 0.6, 2.6 * down + 0.3)
    figure = Figure(figsize=(size[0] + 2.0, size[1]), layout="constrained")
    axes = figure.subplots(down, across, sharey=True, squeeze=False)
    own_looks = looks(cell.method for cell in run.cells)
    values = sorted(panels, key=lambda value: -math.inf if value is None else value)
    for ax, value in zip(axes.flat, values, strict=False):
        for method, look in own_looks.items():
            if cells := panels[value].get(method):
                draw_means(ax, mean_curve(cells), look, cells[0].label)
        _finish(ax, run, f"{plain(run.parameter)} = {swept(value).text}" if run.parameter else "")
    for ax in axes.flat[len(values) :]:
        ax.remove()
    for ax in axes[:, 0]:
        ax.set_ylabel(run.measure.title)
    for ax in axes.flat[max(0, len(values) - across) : len(values)]:
        ax.set_xlabel("optimisation steps")
    legend(figure, list(axes.flat[: len(values)]))
    return figure


def _finish(ax: Any, run: Run, title: str) -> None:
    from matplotlib.ticker import EngFormatter

    draw_limits(ax, run.measure.limits)
    ax.set_title(title)
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
