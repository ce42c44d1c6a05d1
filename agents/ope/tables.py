"""An evaluation in print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .paired import Difference
    from .results import Evaluation, Result


def evaluation_table(found: Evaluation, gains: Mapping[str, Difference] | None = None, against: str = "logged") -> str:
    """The estimates, what they gain over the logging policy (or what `gains` says, over a policy that is called
    `against`), and what speaks against them.
    """
    said = [one for one in found.results if one.refused is None]
    gains = found.improvement if gains is None else gains
    head = ("estimator", "value", "interval", "effective rounds", f"change against {against}", "better with")
    rows = [head, *(_row(one, gains.get(one.name)) for one in said)]
    width = [max(len(row[k]) for row in rows) for k in range(len(head))]
    lines = [_line(row, width) for row in rows]
    marks = [" ", *(" " if one.believable else "!" for one in said)]
    table = [f"{mark} {line}" for mark, line in zip(marks, lines, strict=True)]
    table.insert(1, "─" * max(map(len, table)))
    told = [f"{'!' if grave else '·'} {', '.join(names)}: {why}" for why, names, grave in warnings_together(found)]
    return "\n".join([_title(found), *table, *_refusals(found), *told])


def _line(cells: tuple[str, ...], width: list[int]) -> str:
    first, *others = zip(cells, width, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(cell.rjust(w) for cell, w in others)])


def _title(found: Evaluation) -> str:
    within = found.logged_interval
    return (
        f"{found.policy}, over {len(found.reward):,} logged rounds; {found.level:.4g} intervals. As logged: "
        f"{found.logged.value:.4f} [{within.low:.4f}, {within.high:.4f}]"
    )


def _row(one: Result, gain: Difference | None) -> tuple[str, ...]:
    assert one.value is not None
    assert one.interval is not None
    effective = None if one.diagnostics is None else one.diagnostics.effective_rounds
    return (
        one.name,
        f"{one.value:.4f}",
        f"[{one.interval.low:.4f}, {one.interval.high:.4f}]",
        "" if effective is None else f"{effective:,.0f}",
        "" if gain is None else f"{gain.estimate.value:+.4f} [{gain.interval.low:+.4f}, {gain.interval.high:+.4f}]",
        "" if gain is None else percent(gain.probability),
    )


def percent(probability: float) -> str:
    """A probability that never says 0% or 100%."""
    if probability > 0.9995:
        return "> 99.9%"
    return "< 0.1%" if probability < 0.0005 else f"{probability:.1%}"


def _refusals(found: Evaluation) -> list[str]:
    return [f"x {one.name}: no estimate: {one.refused}" for one in found.results if one.refused is not None]


def warnings_together(found: Evaluation) -> list[tuple[str, list[str], bool]]:
    """Every warning once, with the estimators that it is about and whether it is grave; the grave first."""
    about: dict[str, list[str]] = {}
    grave: set[str] = set()
    for one in found.results:
        for told in one.warnings:
            about.setdefault(told, []).append(one.name)
        if one.diagnostics is not None:
            grave |= set(one.diagnostics.grave())
    return [(told, about[told], told in grave) for told in sorted(about, key=lambda told: told not in grave)]
