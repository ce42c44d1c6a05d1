"""Policies side by side, by their true values over the same contexts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prompt_bandits.protocols import Policy
from prompt_bandits.types import Estimate, optimality

from .plotting import new_axes
from .protocols import Judge


@dataclass(frozen=True)
class ComparisonRow:
    """One policy."""

    name: str
    value: Estimate
    optimality: float  # (V(π) − V(uniform)) / (V(optimal) − V(uniform))
    gain: Estimate | None  # V(π) − V(baseline) in pairs over the same contexts; None without a baseline


@dataclass(frozen=True)
class Comparison:
    """A table of policies; prints as text, plots as bars."""

    rows: tuple[ComparisonRow, ...]
    baseline: str | None

    def __str__(self) -> str:
        width = max(len(row.name) for row in self.rows)
        head = f"{'policy':<{width}}  {'policy value':>18}  {'optimality':>10}"
        lines = [head if self.baseline is None else f"{head}  {'gain over ' + self.baseline:>22}"]
        for row in self.rows:
            line = f"{row.name:<{width}}  {row.value!s:>18}  {row.optimality:>10.3f}"
            lines.append(line if row.gain is None else f"{line}  {row.gain!s:>22}")
        lines.insert(1, "─" * max(map(len, lines)))
        return "\n".join(lines)

    def plot(self, ax: Any = None) -> Any:
        """Bars of policy value with standard errors, on `ax` or new axes; returns the axes.

        Raises:
            ImportError: matplotlib is not installed.
        """
        if ax is None:
            ax = new_axes(7, 0.45 * len(self.rows) + 1.2)
        rows = self.rows[::-1]
        colours = ["0.65" if row.name in ("uniform", "optimal", self.baseline) else "C0" for row in rows]
        ax.barh(
            [row.name for row in rows],
            [row.value.value for row in rows],
            xerr=[row.value.se for row in rows],
            color=colours,
            height=0.7,
        )
        for position, row in enumerate(rows):
            edge = max(row.value.value + row.value.se, 0.0)
            ax.annotate(f"{row.optimality:.0%}", (edge, position), (4, 0), textcoords="offset points", va="center")
        ax.axvline(0, color="0.3", linewidth=0.8)
        ax.margins(x=0.12)
        ax.set_xlabel("policy value ± s.e.  (labels: optimality)")
        ax.spines[["top", "right"]].set_visible(False)
        return ax


def compare(
    policies: Mapping[str, Policy], judge: Judge, *, n: int | None = None, seed: int = 0, baseline: str | None = None
) -> Comparison:
    """The true value of each policy, of the uniform and of the optimal one.

    Args:
        policies: by name; "uniform" and "optimal" are taken.
        judge: a simulator.
        n: contexts, the same for all; 10,000 unless told. To be told where an LLM that is costly to ask has to be
            asked for the optimal policy's value.
        seed: of the contexts.
        baseline: the name of the policy that gains are counted from.

    Raises:
        ValueError: a baseline that is no policy's name, a name that is taken, an environment where all policies have
            the same value, or a costly LLM and no `n`.
    """
    if baseline is not None and baseline not in policies:
        raise ValueError(f"baseline: expected one of {', '.join(policies)}, got {baseline!r}")
    if taken := {"uniform", "optimal"} & set(policies):
        raise ValueError(f"policies: {', '.join(sorted(taken))} is compared anyway; expected other names")
    optimal = judge.optimal_value(n, seed)  # says what it costs, or refuses to, before anything is asked
    uniform = judge.uniform_value(n, seed)
    optimality(uniform.value, uniform.value, optimal.value)  # undefined? Say so before the long part
    terms = {name: judge.value_terms(policy, n, seed) for name, policy in policies.items()}
    rows = [ComparisonRow("uniform", uniform, 0.0, None)]
    for name, own in terms.items():
        value = Estimate.from_terms(own)
        gain = None if baseline in (None, name) else Estimate.from_terms(own - terms[str(baseline)])
        rows.append(ComparisonRow(name, value, optimality(value.value, uniform.value, optimal.value), gain))
    return Comparison((*rows, ComparisonRow("optimal", optimal, 1.0, None)), baseline)
