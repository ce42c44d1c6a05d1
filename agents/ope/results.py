"""What an evaluation found: a result for each estimator, and all of them as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prompt_bandits.types import Estimate, FloatArray

from .diagnostics import Diagnostics
from .models import Models
from .refusing import Refused

if TYPE_CHECKING:
    from .intervals import Interval


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
        """Whether nothing speaks against it."""
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
            return f"{self.name}: refused, {self.refused}"
        return f"{self.name}: {self.value:.4f} [{self.interval.low:.4f}, {self.interval.high:.4f}]"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, without the round values."""
        from dataclasses import asdict

        return {
            "name": self.name,
            "value": self.value,
            "se": self.se,
            "interval": None if self.interval is None else asdict(self.interval),
            "diagnostics": None if self.diagnostics is None else asdict(self.diagnostics),
            "warnings": list(self.warnings),
            "refused": self.refused,
        }


@dataclass(frozen=True, eq=False)
class Evaluation(Mapping[str, Result]):
    """A policy's value by every estimator; a table when printed, the results by name."""

    policy: str
    results: tuple[Result, ...]
    reward: FloatArray  # (n,) as logged
    models: Models  # given or fitted, to be given to the evaluation of another policy
    level: float
    method: str  # of the intervals
    seed: int

    @property
    def logged(self) -> Estimate:
        """The mean reward of the logged rounds: the value of the logging policy."""
        return Estimate.from_terms(self.reward)

    def __getitem__(self, name: str) -> Result:
        for one in self.results:
            if one.name == name:
                return one
        raise KeyError(f"{name!r}: expected one of {', '.join(one.name for one in self.results)}")

    def __iter__(self) -> Iterator[str]:
        return (one.name for one in self.results)

    def __len__(self) -> int:
        return len(self.results)
