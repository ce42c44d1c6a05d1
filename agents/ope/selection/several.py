"""Estimators that are made of other estimators."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from prompt_bandits.types import FloatArray, IntArray

from ..columns import Column
from ..estimators.base import Estimator, Weighs
from ..refusing import Refused

_BETWEEN = "/"


@dataclass(frozen=True, eq=False)
class Inputs:
    """An estimator and its columns."""

    estimator: Estimator
    columns: Mapping[str, FloatArray]  # by the estimator's own names, each (n,)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def take(self, index: IntArray) -> Inputs:
        """Those of some rounds."""
        return Inputs(self.estimator, {name: column[index] for name, column in self.columns.items()})

    def values(self) -> FloatArray:
        """The estimator's round values (n,). Raises `Refused` as the estimator."""
        return self.estimator.round_values(self.columns)


@dataclass(frozen=True)
class OneOfSeveral(ABC):
    """Chooses one of its candidates by looking at the rounds, and says what that one says.

    Its interval is the chosen one's, which does not know that it was chosen.

    Raises:
        ValueError: no candidates, or two of one name.
    """

    candidates: tuple[Estimator, ...]
    short: ClassVar[str]

    def __post_init__(self) -> None:
        check_candidates(self.candidates)

    @property
    def name(self) -> str:
        changed = [one for one in fields(self) if getattr(self, one.name) != one.default]
        told = [_told(one.name, getattr(self, one.name)) for one in changed]
        return f"{self.short}[{', '.join(told)}]" if told else self.short

    def members(self) -> tuple[Estimator, ...]:
        """All that are asked something."""
        return self.candidates

    def columns(self) -> Mapping[str, Column]:
        every = (one.columns() for one in self.members() if isinstance(one, Weighs))
        weights = [columns["weight"] for columns in every if "weight" in columns]
        return columns_of_all(self.members()) | ({"weight": weights[0]} if weights else {})

    def weights(self, c: Mapping[str, FloatArray]) -> FloatArray:
        """Importance weights, before anything is done to them: they say how many rounds speak of the policy."""
        return c["weight"] if "weight" in c else np.ones(len(next(iter(c.values()))))

    def round_values(self, c: Mapping[str, FloatArray]) -> FloatArray:
        """Raises:
        Refused: every candidate refuses.
        """
        return self.chosen(c).values()

    @abstractmethod
    def chosen(self, c: Mapping[str, FloatArray]) -> Inputs:
        """The one whose estimate it is.

        Raises:
            Refused: every candidate refuses.
        """


def _told(name: str, value: Any) -> str:
    if name == "candidates":
        return ", ".join(dict.fromkeys(one.name.partition("[")[0] for one in value))
    return f"{name}={value.name if isinstance(value, Estimator) else value}"


def check_candidates(candidates: Sequence[Estimator]) -> None:
    """Raises:
    ValueError: none, or two of one name.
    """
    names = [one.name for one in candidates]
    if not names:
        raise ValueError("candidates: expected at least one estimator, got none")
    if len(set(names)) < len(names):
        raise ValueError(f"candidates: expected one of each name, got {', '.join(names)}")


def columns_of_all(candidates: Sequence[Estimator]) -> dict[str, Column]:
    """What all of them look at, each under names of its own; equal columns are computed once all the same."""
    return {
        f"{place}{_BETWEEN}{name}": column
        for place, one in enumerate(candidates)
        for name, column in one.columns().items()
    }


def split_columns(candidates: Sequence[Estimator], c: Mapping[str, FloatArray]) -> list[Inputs]:
    """Every candidate with its own."""
    return [
        Inputs(one, {name: c[f"{place}{_BETWEEN}{name}"] for name in one.columns()})
        for place, one in enumerate(candidates)
    ]


def willing(every: Sequence[Inputs]) -> list[Inputs]:
    """Those that do not refuse.

    Raises:
        Refused: all do.
    """
    ready, reasons = [], []
    for one in every:
        try:
            one.values()
        except Refused as error:
            reasons.append(f"{one.estimator.name}: {error}")
        else:
            ready.append(one)
    if not ready:
        raise Refused("; ".join(reasons))
    return ready


def variance_of_mean(values: FloatArray) -> float:
    """Of round values (n,); infinite of a single one."""
    return float(values.var(ddof=1) / len(values)) if len(values) > 1 else float(np.inf)
