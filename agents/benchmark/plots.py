"""Figures of a run, like the published ones: optimality against what is swept, the kernel ablation, learning curves."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prompt_bandits.datasets.files import whole_file

from .ablation import ablation_figure, is_ablation, others
from .boxes import box_figure
from .learning_curves import curves_figure
from .measures import GAIN, OPTIMALITY
from .plot_parts import draw_arrow, draw_limits, draw_method, legend, swept_axis
from .plot_style import DARK, INK, Look, looks, plain, png, style
from .published import SOURCE, PublishedMean, published_beside
from .results import Run, Summary, summarise
from .tables import estimate, swept

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figures(run: Run) -> dict[str, Figure]:
    """By name; only those that the run has data for.

    Raises:
        ImportError: matplotlib is not installed.
    """
    drawn: dict[str, Figure | None]
    if run.measure is GAIN:
        drawn = {"gain": box_figure(run)}
    elif is_ablation(run):
        drawn = {"ablation": ablation_figure(run), "optimality": optimality_figure(others(run))}
    else:
        drawn = {"optimality": optimality_figure(run)}
    drawn["learning_curves"] = curves_figure(run)
    return {name: figure for name, figure in drawn.items() if figure is not None}


def write_plots(folder: Path, drawn: dict[str, Figure]) -> None:
    """`plots/<name>.png`, and none of an earlier time."""
    for former in (folder / "plots").glob("*.png"):
        if former.stem not in drawn:
            former.unlink()
    for name, figure in drawn.items():
        with whole_file(folder / "plots" / f"{name}.png") as stream:
            stream.write(png(figure))


def optimality_figure(run: Run) -> Figure | None:
    """Lines along the swept values; bars where there is one value only."""
    return sweep_figure(run) if len({row.value for row in _measured(run)}) > 1 else bar_figure(run)


def _measured(run: Run) -> list[Summary]:
    rows = summarise(run.cells)
    return [row for row in rows if row.optimality is not None and row.method not in OPTIMALITY.fixed]


@style()
def sweep_figure(run: Run) -> Figure | None:
    """Optimality against the swept value, a line a method with a band of ± s.e.; None without data."""
    from matplotlib.figure import Figure

    rows = [row for row in _measured(run) if row.value is not None]
    if not rows:
        return None
    figure = Figure(figsize=(8.6, 5), layout="constrained")
    ax = figure.subplots()
    any_published = False
    for method, look in looks(row.method for row in rows).items():
        own = [row for row in rows if row.method == method]
        any_published |= draw_method(ax, run, own, look, own[0].label)
    draw_limits(ax, OPTIMALITY.limits)
    swept_axis(ax, run.parameter, sorted({row.value for row in rows if row.value is not None}))
    ax.set_ylabel(OPTIMALITY.axis)
    legend(figure, [ax], any_published)
    return figure


@style()
def bar_figure(run: Run) -> Figure | None:
    """At one value: a bar a method, with ± s.e. and a hollow diamond where it was published; None without data."""
    from matplotlib.figure import Figure

    rows = sorted(_measured(run), key=lambda row: row.optimality.value if row.optimality else 0.0)
    if not rows:
        return None
    figure = Figure(figsize=(8.6, 0.46 * len(rows) + 1.6), layout="constrained")
    ax = figure.subplots()
    colours = looks(row.method for row in summarise(run.cells))
    for at, row in enumerate(rows):
        _bar(ax, at, row, colours[row.method], published_beside(run, row.value, row.method))
    ax.set_yticks(range(len(rows)), [plain(row.label, 34) for row in rows])
    ax.grid(axis="y", visible=False)
    draw_limits(ax, OPTIMALITY.limits, "x")
    ax.margins(x=0.04, y=0.02)
    at_value = f", {plain(run.parameter)} = {swept(rows[0].value).text}" if run.parameter else ""
    ax.set_xlabel(OPTIMALITY.axis + at_value)
    if ax.get_legend_handles_labels()[0]:
        figure.legend(*ax.get_legend_handles_labels(), loc="outside upper right")
    return figure


def _bar(ax: Any, at: int, row: Summary, look: Look, theirs: PublishedMean | None) -> None:
    """One bar, and its number beside the axes."""
    if row.optimality is None:
        return
    mean, se = row.optimality.value, row.optimality.se if math.isfinite(row.optimality.se) else 0.0
    colour = DARK if look.colour == INK else look.colour
    ax.barh(at, mean, xerr=se, color=colour, ecolor=INK, height=0.66, error_kw={"capsize": 2.5, "linewidth": 1.2})
    if theirs is not None:
        first = not ax.get_legend_handles_labels()[0]
        label = f"published ± s.e., {SOURCE}" if first else ""
        hollow = {"fmt": "D", "color": INK, "markerfacecolor": "none", "markersize": 5.5, "capsize": 2.5}
        ax.errorbar(theirs.optimality, at - 0.16, xerr=theirs.se, label=label, **hollow)
        if theirs.lower_bound:
            draw_arrow(ax, (theirs.optimality, at - 0.16), (26, 0), INK)
    beside = ax.get_yaxis_transform()
    ax.text(1.02, at, estimate(row.optimality).text, transform=beside, va="center", fontsize=9)
