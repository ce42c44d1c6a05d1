"""Learning curves: optimality of the policy in training, over steps, mean ± s.e. over worlds."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from prompt_bandits.types import Estimate

from .plot_parts import draw_limits, draw_means, legend
from .plot_style import looks, plain, style
from .results import Cell, Run, Value, mean_and_se
from .tables import swept

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def curve_in_optimality(cell: Cell) -> list[tuple[int, float]]:
    """The cell's curve on the scale on which worlds compare; empty where that is not known."""
    if cell.uniform_value is None or cell.optimal_value is None or cell.optimal_value == cell.uniform_value:
        return []
    span = cell.optimal_value - cell.uniform_value
    return [(step, (value - cell.uniform_value) / span) for step, value in cell.curve]


def mean_curve(cells: Sequence[Cell]) -> list[tuple[float, Estimate]]:
    """(step, mean ± s.e. over worlds) at the steps that all worlds have."""
    curves = [dict(curve) for cell in cells if (curve := curve_in_optimality(cell))]
    steps = sorted(set.intersection(*map(set, curves))) if curves else []
    return [(step, mean_and_se(curve[step] for curve in curves)) for step in steps]


@style()
def curves_figure(run: Run) -> Figure | None:
    """A panel a swept value, a line a method; None where no curve was recorded."""
    from matplotlib.figure import Figure

    panels: dict[Value, dict[str, list[Cell]]] = defaultdict(lambda: defaultdict(list))
    for cell in run.cells:
        if len(curve_in_optimality(cell)) > 1:
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
        _finish(ax, f"{plain(run.parameter)} = {swept(value).text}" if run.parameter else "")
    for ax in axes.flat[len(values) :]:
        ax.remove()
    for ax in axes[:, 0]:
        ax.set_ylabel("optimality")
    for ax in axes.flat[max(0, len(values) - across) : len(values)]:
        ax.set_xlabel("optimisation steps")
    legend(figure, list(axes.flat[: len(values)]))
    return figure


def _finish(ax: Any, title: str) -> None:
    from matplotlib.ticker import EngFormatter

    draw_limits(ax)
    ax.set_title(title)
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
