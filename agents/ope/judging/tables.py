"""A judgement in print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prompt_bandits.types import Estimate

    from .judgement import Choices, Errors

NOTHING = "–"


def errors_text(rows: Sequence[Errors]) -> str:
    """A line a cell."""
    head = ("n", "|A|", "policy", "estimator", "MSE", "bias", "variance", "relative error", "coverage", "width")
    lines = [
        (
            f"{one.cell.n:,}",
            f"{one.cell.n_actions:,}",
            one.cell.policy,
            one.cell.estimator + (f" ({one.n_refused} refused)" if one.n_refused else ""),
            _small(one.mse),
            _number(one.bias, 4),
            NOTHING if one.variance is None else f"{one.variance:.3g}",
            _number(one.relative_error, 3),
            _number(one.coverage, 3),
            _number(one.width, 4),
        )
        for one in rows
    ]
    return aligned(head, lines)


def choices_text(rows: Sequence[Choices]) -> str:
    """A line a (n, |A|, estimator)."""
    k = rows[0].k if rows else 1
    head = ("n", "|A|", "estimator", "rank correlation", f"regret@{k} (sum)", f"regret@{k} (best)", f"Sharpe@{k}")
    lines = [
        (
            f"{one.field.n:,}",
            f"{one.field.n_actions:,}",
            one.field.estimator,
            *(_number(value, 3) for value in (one.rank_correlation, one.regret_sum, one.regret_best)),
            *(_number(value, 3) for value in (one.sharpe_ratio, one.type_1, one.type_2)),
        )
        for one in rows
    ]
    return aligned((*head, "type I", "type II"), lines)


def aligned(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they need to be."""
    rows = [head, *lines]
    width = [max(len(row[k]) for row in rows) for k in range(len(head))]
    told = ["  ".join(text.rjust(w) for text, w in zip(row, width, strict=True)) for row in rows]
    told.insert(1, "─" * len(told[0]))
    return "\n".join(told)


def _small(value: Estimate | None) -> str:
    return NOTHING if value is None else f"{value.value:.3g} ± {value.se:.1g}"


def _number(value: Estimate | None, digits: int) -> str:
    return NOTHING if value is None else f"{value.value:.{digits}f} ± {value.se:.{digits}f}"
