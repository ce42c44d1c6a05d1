"""What several figures are made of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from prompt_bandits.types import Estimate

from .plot_style import GREY, INK, Look, plain
from .published import SOURCE, PublishedMean, published_beside
from .results import Run, Summary
from .tables import swept

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LOGARITHMIC = ("n", "n_actions", "tau")
_AXES = {
    "n": "logged rounds n",
    "n_actions": "candidate prompts |A|",
    "reward_std": "reward noise (standard deviation)",
    "tau": "kernel bandwidth τ (distance between outputs)",
    "beta": "inverse temperature β of the logging policy",
    "reward_std_for_regression": "reward noise in the regression data (standard deviation)",
    "emb_noise": "noise on outputs inside the kernel (standard deviation)",
}


def draw_means(ax: Any, points: Sequence[tuple[float, Estimate]], look: Look, label: str) -> None:
    """A line through means with a band of ± s.e.; one point alone has bars."""
    if not points:
        return
    x = [at for at, _ in points]
    mean = [estimate.value for _, estimate in points]
    se = [estimate.se if math.isfinite(estimate.se) else 0.0 for _, estimate in points]
    ax.plot(x, mean, label=plain(label), markevery=max(1, len(points) // 6), **look.line())
    if len(points) == 1:
        ax.errorbar(x, mean, se, color=look.colour, capsize=3)
        return
    low, high = ([m + sign * s for m, s in zip(mean, se, strict=True)] for sign in (-1, 1))
    ax.fill_between(x, low, high, color=look.colour, alpha=0.18, linewidth=0)


def draw_published(ax: Any, points: Sequence[tuple[float, PublishedMean]], look: Look) -> None:
    """Dashed and hollow, in the same colour; an arrow from what is a lower bound."""
    if points:
        ax.plot([at for at, _ in points], [mean.optimality for _, mean in points], **look.published())
    for at, mean in points:
        if mean.lower_bound:
            draw_arrow(ax, (at, mean.optimality), (0, 15), look.colour)


def draw_arrow(ax: Any, start: tuple[float, float], way: tuple[int, int], colour: str) -> None:
    """Towards where more may be: `way` in points."""
    arrow = {"arrowstyle": "<-", "color": colour, "alpha": 0.8}
    ax.annotate("", start, way, textcoords="offset points", arrowprops=arrow)


def draw_method(ax: Any, run: Run, rows: Sequence[Summary], look: Look, label: str) -> bool:
    """A method's means along the swept values, and the published ones there; whether there were any."""
    points = [(row.value, row.optimality) for row in rows if row.value is not None and row.optimality is not None]
    theirs = [(x, mean) for x, _ in points if (mean := published_beside(run, x, rows[0].method))]
    draw_published(ax, theirs, look)
    draw_means(ax, points, look, label)
    return bool(theirs)


def draw_limits(ax: Any, limits: Iterable[float], axis: str = "y") -> None:
    """Lines where a measure has its limits."""
    for at in limits:
        (ax.axhline if axis == "y" else ax.axvline)(at, color=GREY, linewidth=0.9, linestyle=":", zorder=0)


def swept_axis(ax: Any, parameter: str, values: Sequence[float], width: int = 80) -> None:
    """The values of the parameter as ticks, evenly apart where they were chosen by factors; its name below."""
    if parameter in _LOGARITHMIC and min(values) > 0:
        ax.set_xscale("log")
        ax.minorticks_off()
    ax.set_xticks(values, [swept(value).text for value in values])
    ax.set_xlabel(plain(_AXES.get(parameter, parameter), width))


def legend(figure: Figure, axes: Sequence[Any], published: bool = False) -> None:
    """One for all axes, beside them."""
    if published:
        axes[0].plot([], [], label=plain(f"published, {SOURCE}"), **Look(INK, "o").published())
    found = dict[tuple[str, str], Any]()
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault((label, f"{handle.get_color()}{handle.get_marker()}"), handle)
    if found:
        labels = [label for label, _ in found]
        figure.legend(list(found.values()), labels, loc="outside right upper", labelspacing=0.7)
