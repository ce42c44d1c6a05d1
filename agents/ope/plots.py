"""Estimates with their intervals, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..plotting import new_axes

if TYPE_CHECKING:
    from .results import Evaluation


def plot_evaluation(found: Evaluation, ax: Any = None) -> Any:
    """See `Evaluation.plot`."""
    said = [one for one in found.results[::-1] if one.interval is not None]
    if ax is None:
        ax = new_axes(7, 0.4 * len(said) + 1.3)
    within = found.logged_interval
    ax.axvspan(within.low, within.high, color="0.9", zorder=0)
    ax.axvline(found.logged.value, color="0.6", linewidth=1, zorder=1, label="as logged")
    for height, one in enumerate(said):
        assert one.interval is not None
        ax.plot([one.interval.low, one.interval.high], [height, height], color="C0", linewidth=1.5)
        ax.plot(one.value, height, "o", color="C0", markersize=6, markerfacecolor="C0" if one.believable else "white")
    ax.set_yticks(range(len(said)), [one.name for one in said])
    ax.set_ylim(-0.6, len(said) - 0.4)
    ax.set_xlabel(f"policy value with {found.level:.4g} intervals (hollow: not to be believed)")
    ax.legend(frameon=False, fontsize="small")
    ax.spines[["top", "right"]].set_visible(False)
    return ax
