"""Judgements as tables for people."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from prompt_bandits.types import Estimate

from ...ope.judging.judgement import Choices, Errors
from ..tables import MISSING, Column, Entry, Table, number, standard_error

BASICS = ("ips", "snips", "dm", "dr")
"""Against the best of which, in hindsight, every estimator is held."""
AMONG = ", ".join(BASICS)


def mse_table(rows: Sequence[Errors]) -> Table:
    """A row a (n, |A|, policy), a column an estimator: MSE, and in brackets by how much it is that of the best of IPS,
    SNIPS, DM and DR.
    """
    estimators = list(dict.fromkeys(one.cell.estimator for one in rows))
    cells = list(dict.fromkeys(one.cell[:3] for one in rows))
    found = {one.cell: one for one in rows}
    columns = [Column("n"), Column("prompts"), Column("policy", numeric=False), *map(Column, estimators)]
    lines = []
    for n, n_actions, policy in cells:
        own = [found.get((n, n_actions, policy, name)) for name in estimators]  # type: ignore[call-overload]
        best = best_basic([one for one in own if one is not None])
        lines.append((_count(n), _count(n_actions), Entry(policy), *(_mse(one, best) for one in own)))
    return Table(tuple(columns), tuple(lines))


def best_basic(rows: Iterable[Errors]) -> float | None:
    """The least MSE of IPS, SNIPS, DM and DR; None where none of them is there."""
    known = [one.mse.value for one in rows if one.cell.estimator in BASICS and one.mse is not None]
    return min(known) if known else None


def errors_table(rows: Sequence[Errors]) -> Table:
    """A row a (n, |A|, policy, estimator) with everything that is known of its errors."""
    titles = ("datasets", "MSE", "bias", "variance", "relative error", "coverage", "width", "believed")
    columns = [Column("n"), Column("prompts"), Column("policy", numeric=False), Column("estimator", numeric=False)]
    lines = [
        (
            *(_count(one.cell.n), _count(one.cell.n_actions), Entry(one.cell.policy), Entry(one.cell.estimator)),
            Entry(f"{one.n_said} ({one.n_refused} refused)" if one.n_refused else f"{one.n_said}", one.n_said),
            _significant(one.mse),
            _plain(one.bias, 4),
            Entry(MISSING) if one.variance is None else Entry(f"{one.variance:.3g}", one.variance),
            _plain(one.relative_error),
            _plain(one.coverage),
            _plain(one.width, 4),
            Entry(MISSING) if one.believed is None else Entry(f"{one.believed:.0%}", one.believed),
        )
        for one in rows
    ]
    return Table((*columns, *map(Column, titles)), tuple(lines))


def choices_table(rows: Sequence[Choices]) -> Table:
    """A row a (n, |A|, estimator): what choosing among the policies by it comes to."""
    k = rows[0].k if rows else 1
    titles = ("rank correlation", f"regret@{k} (sum)", f"regret@{k} (best)", f"SharpeRatio@{k}", "type I", "type II")
    columns = (Column("n"), Column("prompts"), Column("estimator", numeric=False), *map(Column, titles))
    lines = [
        (
            *(_count(one.field.n), _count(one.field.n_actions), Entry(one.field.estimator)),
            *(_plain(value) for value in (one.rank_correlation, one.regret_sum, one.regret_best)),
            *(_plain(value) for value in (one.sharpe_ratio, one.type_1, one.type_2)),
        )
        for one in rows
    ]
    return Table(columns, tuple(lines))


def _count(value: int) -> Entry:
    return Entry(f"{value:,}", value)


def _mse(one: Errors | None, best: float | None) -> Entry:
    if one is None or one.mse is None:
        return Entry(MISSING)
    ratio = "" if not best else f" ({one.mse.value / best:.2f})"
    return Entry(f"{one.mse.value:.2e}{ratio}", one.mse.value)


def _significant(value: Estimate | None) -> Entry:
    if value is None:
        return Entry(MISSING)
    se = f" ± {value.se:.1e}" if math.isfinite(value.se) else ""
    return Entry(f"{value.value:.2e}{se}", value.value)


def _plain(value: Estimate | None, digits: int = 3) -> Entry:
    if value is None or not math.isfinite(value.value):
        return number(None)
    shown = round(value.value, digits) + 0.0
    se = standard_error(value) if digits == 3 else f" ± {value.se:.{digits}f}" * math.isfinite(value.se)
    return Entry(f"{shown:.{digits}f}{se}", value.value)
