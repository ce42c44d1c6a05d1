"""What a search among estimators found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prompt_bandits.types import Estimate

from ..estimators.base import Estimator


@dataclass(frozen=True)
class EstimatorChoice:
    """Estimators by their estimated squared errors; prints as a table."""

    estimator: Estimator  # the one to take
    losses: Mapping[str, Estimate]  # squared error, mean over the tries with its standard error
    refused: Mapping[str, str]  # why there is none

    def __str__(self) -> str:
        width = max(map(len, ("estimator", *self.losses, *self.refused)))
        lines = [f"  {'estimator':<{width}}  {'root of squared error':>21}  {'squared error':>21}"]
        lines.append("─" * len(lines[0]))
        for name, loss in sorted(self.losses.items(), key=lambda pair: pair[1].value):
            mark = "*" if name == self.estimator.name else " "
            squared = f"{loss.value:.3g} ± {loss.se:.2g}"
            lines.append(f"{mark} {name:<{width}}  {loss.value**0.5:>21.4f}  {squared:>21}")
        return "\n".join([*lines, *(f"x {name}: {why}" for name, why in self.refused.items())])
