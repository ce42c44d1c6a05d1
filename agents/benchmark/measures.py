"""The scale on which the policies of a run are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .settings import SETTINGS


@dataclass(frozen=True)
class Measure:
    """A number that every cell has, and what it is called.

    Args:
        name: of the number, in cells and in summaries.
        title: as a heading.
        axis: as the name of an axis.
        about: what it is, in a sentence or two.
        limits: where lines are drawn.
        fixed: methods that have the same number in every run.
    """

    name: str
    title: str
    axis: str
    about: str
    limits: tuple[float, ...]
    fixed: tuple[str, ...]

    def of(self, thing: Any) -> Any:
        """The number of a cell, or a summary's estimate of it; None where there is none."""
        return getattr(thing, self.name)


OPTIMALITY = Measure(
    "optimality",
    "optimality",
    "optimality (0: uniform, 1: optimal policy)",
    "Optimality is (V(π) − V(uniform)) / (V(optimal) − V(uniform)), in each world by itself; ± is the standard error "
    "over worlds.",
    (0.0, 1.0),
    ("uniform", "optimal"),
)
GAIN = Measure(
    "gain",
    "gain over no prompt",
    "gain over no prompt, V(π) − V(no prompt)",
    "The gain is V(π) − V(no prompt), for users that nobody learnt from; ± is the standard error over datasets, each "
    "with the mean over its optimiser seeds.",
    (0.0,),
    ("no_prompt",),
)
_MEASURES = {measure.name: measure for measure in (OPTIMALITY, GAIN)}


def measure_of(setting: str) -> Measure:
    """That of a setting."""
    return _MEASURES[SETTINGS[setting].measure] if setting in SETTINGS else OPTIMALITY
