"""Figures of a judgement: errors against n, the distribution of errors, coverage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...ope.judging.judgement import Errors, Judgement
from ...ope.judging.trials import said
from ..plot_parts import legend
from ..plot_style import GREY, INK, Look, looks, plain, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_OURS = "auto"
_DRAW = Callable[[Any, str, int, str, Look], None]


def figures(found: Judgement, errors: Sequence[Errors], level: float) -> dict[str, Figure]:
    """By name; only those that there is something for.

    Raises:
        ImportError: matplotlib is not installed.
    """
    if not said(found.trials):
        return {}
    return {
        "error": error_figure(errors),
        "distribution": distribution_figure(found),
        "coverage": coverage_figure(errors, level),
    }


@style()
def error_figure(errors: Sequence[Errors]) -> Figure:
    """Root of the MSE against n: a panel a (policy, |A|), a line an estimator."""

    def draw(ax: Any, policy: str, n_actions: int, name: str, look: Look) -> None:
        own = [one for one in errors if one.cell[1:] == (n_actions, policy, name) and one.mse is not None]
        points = [(one.cell.n, one.mse.value) for one in own if one.mse is not None and one.mse.value > 0]
        x, y = [n for n, _ in points], [value**0.5 for _, value in points]
        ax.plot(x, y, label=plain(name), **look.line())

    figure, axes = _grid(_keys(errors), draw)
    for ax in axes.flat:
        _n_axis(ax, sorted({one.cell.n for one in errors}))
        _plain_log(ax.yaxis)
    _label(axes, "logged rounds n", "root of the MSE")
    legend(figure, list(axes.flat))
    return figure


@style()
def distribution_figure(found: Judgement) -> Figure:
    """The share of the datasets with an error of at most so much, at the largest n: a panel a (policy, |A|)."""
    trials = said(found.trials)
    n = max(one.n for one in trials)
    keys = list(dict.fromkeys((one.policy, one.n_actions, one.estimator) for one in trials if one.n == n))

    def draw(ax: Any, policy: str, n_actions: int, name: str, look: Look) -> None:
        where = (n, n_actions, policy, name)
        own = [one for one in trials if (one.n, one.n_actions, one.policy, one.estimator) == where]
        size = np.sort([abs(one.error or 0.0) for one in own])
        share = np.arange(len(size) + 1) / max(1, len(size))
        line = {**look.line(), "markevery": max(1, len(size) // 5)}
        ax.plot([*size[:1], *size], share, label=plain(name), drawstyle="steps-post", **line)

    figure, axes = _grid(keys, draw)
    for ax in axes[0]:
        ax.set_xscale("log")
    for ax in axes.flat:
        low, high = ax.get_xlim()
        _plain_log(ax.xaxis, (1, 3) if low > 0 and high < 300 * low else (1,))
        ax.set_ylim(0, 1.03)
    _label(axes, f"|estimate − truth| at n = {n:,}", "share of datasets")
    legend(figure, list(axes.flat))
    return figure


@style()
def coverage_figure(errors: Sequence[Errors], level: float) -> Figure:
    """The share of the intervals that hold the truth, against n: a panel a (policy, |A|)."""

    def draw(ax: Any, policy: str, n_actions: int, name: str, look: Look) -> None:
        own = [one for one in errors if one.cell[1:] == (n_actions, policy, name) and one.coverage is not None]
        y = [one.coverage.value for one in own if one.coverage is not None]
        ax.plot([one.cell.n for one in own], y, label=plain(name), **look.line())

    figure, axes = _grid(_keys(errors), draw)
    for ax in axes.flat:
        _n_axis(ax, sorted({one.cell.n for one in errors}))
        ax.axhline(level, color=GREY, linewidth=0.9, linestyle=":", zorder=0)
        ax.set_ylim(-0.03, 1.03)
    _label(axes, "logged rounds n", "coverage of intervals")
    legend(figure, list(axes.flat))
    return figure


def _keys(errors: Sequence[Errors]) -> list[tuple[str, int, str]]:
    return list(dict.fromkeys((one.cell.policy, one.cell.n_actions, one.cell.estimator) for one in errors))


def _grid(keys: Sequence[tuple[str, int, str]], draw: _DRAW) -> tuple[Figure, Any]:
    """Policies below each other, numbers of prompts beside each other."""
    from matplotlib.figure import Figure

    known = set(keys)
    policies, sizes = list(dict.fromkeys(key[0] for key in keys)), list(dict.fromkeys(key[1] for key in keys))
    width = max(5.2, 2.7 * len(sizes) + 0.6) + 1.8
    figure = Figure(figsize=(width, max(3.4, 2.3 * len(policies) + 0.5)), layout="constrained")
    axes = figure.subplots(len(policies), len(sizes), sharex=True, sharey="row", squeeze=False)
    own_looks = {**looks(key[2] for key in keys if key[2] != _OURS), _OURS: Look(INK, "o")}
    for row, policy in enumerate(policies):
        for column, n_actions in enumerate(sizes):
            ax = axes[row, column]
            for name, look in own_looks.items():
                if (policy, n_actions, name) in known:
                    draw(ax, policy, n_actions, name, look)
            ax.set_title(f"{plain(policy)}, {n_actions:,} prompts")
    return figure, axes


def _plain_log(axis: Any, ticks: tuple[int, ...] = (1, 2, 5)) -> None:
    """Logarithmic, with numbers as people write them."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis._set_axes_scale("log")
    axis.set_major_locator(LogLocator(subs=ticks))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _n_axis(ax: Any, values: Sequence[int]) -> None:
    ax.set_xscale("log")
    ax.minorticks_off()
    ax.set_xticks(values, [f"{n:,}" for n in values])


def _label(axes: Any, x: str, y: str) -> None:
    for ax in axes[-1]:
        ax.set_xlabel(x)
    for ax in axes[:, 0]:
        ax.set_ylabel(y)
