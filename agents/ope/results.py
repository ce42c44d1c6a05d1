"""What an evaluation found: a result for each estimator, and all of them as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from prompt_bandits.types import Estimate, FloatArray

from .diagnostics import Diagnostics
from .models import Models
from .refusing import Refused

if TYPE_CHECKING:
    from .intervals import Interval
    from .paired import Difference


@dataclass(frozen=True, eq=False)
class Result:
    """What one estimator says of a policy's value; nothing but `refused` where it can say nothing."""

    name: str
    value: float | None = None
    se: float | None = None
    interval: Interval | None = None
    diagnostics: Diagnostics | None = None
    warnings: tuple[str, ...] = ()  # in plain words, the grave first
    round_values: FloatArray | None = None  # (n,), whose mean is the value
    refused: str | None = None  # why there is no value

    @property
    def believable(self) -> bool:
        """Whether nothing grave speaks against it."""
        return self.diagnostics is not None and not self.diagnostics.grave()

    def terms(self) -> FloatArray:
        """The round values (n,).

        Raises:
            Refused: there are none.
        """
        if self.round_values is None:
            raise Refused(f"{self.name}: {self.refused}")
        return self.round_values

    def estimate(self) -> Estimate:
        """Value and standard error. Raises as `terms`."""
        return Estimate.from_terms(self.terms())

    def __str__(self) -> str:
        if self.value is None or self.interval is None:
            return f"{self.name}: refused: {self.refused}"
        return f"{self.name}: {self.value:.4f} [{self.interval.low:.4f}, {self.interval.high:.4f}]"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, without the round values."""
        return {
            "name": self.name,
            "value": self.value,
            "se": self.se,
            "interval": None if self.interval is None else asdict(self.interval),
            "believable": self.believable,
            "diagnostics": None if self.diagnostics is None else asdict(self.diagnostics),
            "warnings": list(self.warnings),
            "refused": self.refused,
        }


@dataclass(frozen=True, eq=False)
class Evaluation(Mapping[str, Result]):
    """A policy's value by every estimator: a table when printed, a plot, the results by name."""

    policy: str
    results: tuple[Result, ...]
    reward: FloatArray  # (n,) as logged
    models: Models  # given or fitted, to be given to the evaluation of another policy
    level: float
    method: str  # of the intervals
    seed: int

    def __getitem__(self, name: str) -> Result:
        for one in self.results:
            if one.name == name:
                return one
        raise KeyError(f"{name!r}: expected one of {', '.join(one.name for one in self.results)}")

    def __iter__(self) -> Iterator[str]:
        return (one.name for one in self.results)

    def __len__(self) -> int:
        return len(self.results)

    @property
    def logged(self) -> Estimate:
        """The mean reward of the logged rounds: the value of the logging policy."""
        return Estimate.from_terms(self.reward)

    @cached_property
    def logged_interval(self) -> Interval:
        """Of that."""
        from .intervals import interval

        return interval(self.reward, _without_bounds(self.method), self.level, seed=self.seed)

    @cached_property
    def improvement(self) -> Mapping[str, Difference]:
        """What the policy gains over the logging policy, in pairs over the same rounds, by each estimator that says
        something.
        """
        return {one.name: self._paired(one.terms(), self.reward) for one in self.results if one.refused is None}

    def difference(self, other: Evaluation) -> Mapping[str, Difference]:
        """What the policy gains over another one, in pairs over the same rounds, by each estimator that says something
        of both.

        Raises:
            ValueError: an evaluation over other rounds.
        """
        if not np.array_equal(self.reward, other.reward):
            raise ValueError(
                f"other: expected an evaluation over the same {len(self.reward)} rounds in the same order, got other "
                f"rewards, {len(other.reward)} of them"
            )
        said = {one.name: one.terms() for one in other.results if one.refused is None}
        return {
            one.name: self._paired(one.terms(), said[one.name])
            for one in self.results
            if one.refused is None and one.name in said
        }

    def _paired(self, new: FloatArray, old: FloatArray) -> Difference:
        from .paired import difference

        return difference(new, old, _without_bounds(self.method), self.level, seed=self.seed)

    def __str__(self) -> str:
        from .tables import evaluation_table

        return evaluation_table(self)

    def plot(self, ax: Any = None) -> Any:
        """Values with their intervals beside the mean logged reward, on `ax` or new axes; returns the axes. Hollow:
        not to be believed.

        Raises:
            ImportError: matplotlib is not installed.
        """
        from .plots import plot_evaluation

        return plot_evaluation(self, ax)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as of JSON."""
        return {
            "policy": self.policy,
            "n": len(self.reward),
            "logged": {**asdict(self.logged), "interval": asdict(self.logged_interval)},
            "level": self.level,
            "results": [one.to_dict() for one in self.results],
            "improvement": {name: asdict(found) for name, found in self.improvement.items()},
        }


def _without_bounds(method: str) -> str:
    """The method, or Student's t for one that holds for bounded or binary values only."""
    from .intervals import METHODS

    return "student_t" if METHODS[method].needs_bounds or method == "clopper_pearson" else method
