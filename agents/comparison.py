"""Policies side by side, by their true values over the same contexts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agents.protocols import Judge
from prompt_bandits.protocols import Policy
from prompt_bandits.types import Estimate


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
        try:
            from matplotlib import pyplot as plt
        except ImportError as error:
            raise ImportError('plots need matplotlib: pip install "prompt_bandits[plots]"') from error
        if ax is None:
            _, ax = plt.subplots(figsize=(7, 0.45 * len(self.rows) + 1.2), layout="constrained")
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
    policies: Mapping[str, Policy], judge: Judge, *, n: int = 10_000, baseline: str | None = None
) -> Comparison:
    """The true value of each policy, of the uniform and of the optimal one.

    Args:
        policies: by name.
        judge: a simulator.
        n: contexts, the same for all.
        baseline: the name of the policy that gains are counted from.

    Raises:
        KeyError: no policy of the baseline's name.
    """
    terms = {name: judge.value_terms(policy, n) for name, policy in policies.items()}
    uniform, optimal = judge.uniform_value(n), judge.optimal_value(n)
    span = optimal.value - uniform.value
    base = None if baseline is None else terms[baseline]
    rows = [ComparisonRow("uniform", uniform, 0.0, None)]
    for name, own in terms.items():
        value = Estimate.from_terms(own)
        gain = None if base is None or name == baseline else Estimate.from_terms(own - base)
        rows.append(ComparisonRow(name, value, (value.value - uniform.value) / span, gain))
    return Comparison((*rows, ComparisonRow("optimal", optimal, 1.0, None)), baseline)
