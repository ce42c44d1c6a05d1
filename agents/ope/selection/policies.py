"""Off-policy selection: candidate policies by what a log says they would earn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prompt_bandits.types import Estimate

from ...plotting import new_axes
from ...protocols import LoggedData
from ..estimators import DR, Estimator
from ..interval_type import Interval
from ..paired import Difference
from ..policies import PolicyLike
from ..results import Evaluation

BY = ("value", "lower")


@dataclass(frozen=True, eq=False)
class Ranked:
    """A candidate."""

    name: str
    value: float | None  # None where the estimator refuses
    interval: Interval | None
    gain: Difference | None  # over the logging policy, in pairs over the rounds
    believable: bool  # nothing grave speaks against the estimate
    evaluation: Evaluation

    def score(self, by: str) -> float | None:
        """What candidates are ranked by."""
        return self.value if by == "value" or self.interval is None else self.interval.low


@dataclass(frozen=True, eq=False)
class PolicySelection:
    """Policies, the best first; refused ones last. A table when printed, a plot.

    The best estimate of several is too high on average, the more so the more there are: rank by the lower end of an
    interval, and evaluate the winner on rounds that did not choose it.
    """

    ranked: tuple[Ranked, ...]
    estimator: str
    by: str  # "value", or "lower" for the lower end of the interval
    logged: Estimate
    logged_interval: Interval

    @property
    def best(self) -> str:
        """The name of the first."""
        return self.ranked[0].name

    def __getitem__(self, name: str) -> Ranked:
        for one in self.ranked:
            if one.name == name:
                return one
        raise KeyError(f"{name!r}: expected one of {', '.join(one.name for one in self.ranked)}")

    def __str__(self) -> str:
        head = ("policy", "value", "interval", "change against logged", "better with")
        logged = ("as logged", f"{self.logged.value:.4f}", _ends(self.logged_interval), "", "")
        rows: list[tuple[str, ...]] = [head, logged, *(_row(one) for one in self.ranked)]
        width = [max(len(row[k]) for row in rows) for k in range(len(head))]
        marks = [" ", " ", *("x" if one.value is None else " " if one.believable else "!" for one in self.ranked)]
        lines = [
            f"{mark} {row[0]:<{width[0]}}  "
            + "  ".join(f"{text:>{w}}" for text, w in zip(row[1:], width[1:], strict=True))
            for mark, row in zip(marks, rows, strict=True)
        ]
        lines.insert(1, "─" * max(map(len, lines)))
        said = {"!": "!: not to be believed, see its evaluation", "x": "x: the estimator refuses"}
        by = "the estimate" if self.by == "value" else "the lower end of the interval"
        return "\n".join([*lines, f"{self.estimator}, by {by}", *(said[mark] for mark in "!x" if mark in marks)])

    def plot(self, ax: Any = None) -> Any:
        """Values with their intervals, the best on top, beside the mean logged reward; returns the axes. Hollow: not to
        be believed.

        Raises:
            ImportError: matplotlib is not installed.
        """
        told = [one for one in self.ranked if one.interval is not None][::-1]
        ax = new_axes(7, 0.4 * len(told) + 1.3) if ax is None else ax
        ax.axvspan(self.logged_interval.low, self.logged_interval.high, color="0.9", zorder=0)
        ax.axvline(self.logged.value, color="0.6", linewidth=1, zorder=1, label="as logged")
        for height, one in enumerate(told):
            assert one.interval is not None
            ax.plot([one.interval.low, one.interval.high], [height, height], color="C0", linewidth=1.5)
            ax.plot(
                one.value, height, "o", color="C0", markersize=6, markerfacecolor="C0" if one.believable else "white"
            )
        ax.set_yticks(range(len(told)), [one.name for one in told])
        ax.set_ylim(-0.6, len(told) - 0.4)
        ax.set_xlabel(f"value by {self.estimator} (hollow: not to be believed)")
        ax.legend(frameon=False, fontsize="small")
        ax.spines[["top", "right"]].set_visible(False)
        return ax


def rank_policies(
    policies: Mapping[str, PolicyLike],
    data: LoggedData | str | Path,
    estimator: Estimator | None = None,
    *,
    by: str = "value",
    **options: Any,
) -> PolicySelection:
    """Candidate policies in the order of their estimated values; models that are no policy's own are fitted once.

    Args:
        policies: by name; see `evaluate`.
        data: logged rounds, or their folder.
        estimator: any; DR unless told.
        by: "value", or "lower" for the lower end of the interval, which prefers what is known well.
        options: of `evaluate`.

    Raises:
        ValueError: no policies, an unknown order, every policy refused, or as `evaluate`.
    """
    from ..evaluate import evaluate

    if not policies:
        raise ValueError("policies: expected at least one, got none")
    if by not in BY:
        raise ValueError(f"by: expected one of {', '.join(BY)}, got {by!r}")
    chosen = estimator or DR()
    ranked = []
    for name, policy in policies.items():
        found = evaluate(policy, data, [chosen], name=name, **options)
        options["models"] = found.models
        ranked.append(_ranked(name, found))
    known = [one for one in ranked if one.value is not None]
    if not known:
        raise ValueError(f"policies: {chosen.name} refuses every one: {ranked[0].evaluation.results[0].refused}")
    known.sort(key=lambda one: -float(one.score(by) or 0.0))
    refused = [one for one in ranked if one.value is None]
    return PolicySelection((*known, *refused), chosen.name, by, found.logged, found.logged_interval)


def _ranked(name: str, found: Evaluation) -> Ranked:
    one = found.results[0]
    return Ranked(name, one.value, one.interval, found.improvement.get(one.name), one.believable, found)


def _row(one: Ranked) -> tuple[str, ...]:
    from ..tables import percent

    if one.value is None or one.interval is None or one.gain is None:
        return (one.name, "", "", "", "")
    change = f"{one.gain.estimate.value:+.4f} [{one.gain.interval.low:+.4f}, {one.gain.interval.high:+.4f}]"
    return (one.name, f"{one.value:.4f}", _ends(one.interval), change, percent(one.gain.probability))


def _ends(within: Interval) -> str:
    return f"[{within.low:.4f}, {within.high:.4f}]"
