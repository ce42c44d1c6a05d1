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
    from .interval_type import Bounds
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
    bounds: Bounds | None = None  # of every round value, where the interval rests on them

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
    reward_range: Bounds | None = None  # of what is possible, where it was told

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

        binary = bool(np.isin(self.reward, (0, 1)).all())
        method = self._method(self.reward_range, binary)
        return interval(self.reward, method, self.level, self.reward_range, self.seed)

    @cached_property
    def improvement(self) -> Mapping[str, Difference]:
        """What the policy gains over the logging policy, in pairs over the same rounds, by each estimator that says
        something.
        """
        logged = Result("logged", round_values=self.reward, bounds=self.reward_range)
        return {one.name: self._paired(one, logged) for one in self.results if one.refused is None}

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
        said = {one.name: one for one in other.results if one.refused is None}
        return {
            one.name: self._paired(one, said[one.name])
            for one in self.results
            if one.refused is None and one.name in said
        }

    def _paired(self, new: Result, old: Result) -> Difference:
        from .paired import difference

        known = None if new.bounds is None or old.bounds is None else _apart(new.bounds, old.bounds)
        return difference(new.terms(), old.terms(), self._method(known), self.level, known, self.seed)

    def _method(self, bounds: Bounds | None, binary: bool = False) -> str:
        """The method, or Student's t where that holds for values of known bounds or for binary ones only."""
        from .intervals import METHODS

        fits = (
            binary if self.method == "clopper_pearson" else bounds is not None or not METHODS[self.method].needs_bounds
        )
        return self.method if fits else "student_t"

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


def _apart(new: Bounds, old: Bounds) -> Bounds:
    """Of the difference of two values within these."""
    return new[0] - old[1], new[1] - old[0]
