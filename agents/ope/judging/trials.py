"""Trials: what an estimator said of a policy from one dataset, beside the truth."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from prompt_bandits.types import FloatArray


@dataclass(frozen=True)
class Trial:
    """One dataset, one policy, one estimator; what was refused has a reason and no value."""

    n: int  # logged rounds
    n_actions: int
    world: int  # seed of the environment
    dataset: int  # seed of the rounds
    policy: str
    estimator: str
    truth: float  # V(π)
    truth_se: float  # 0 where it is exact
    logged: float  # V(π0)
    value: float | None = None
    se: float | None = None
    low: float | None = None
    high: float | None = None
    believable: bool | None = None  # nothing grave speaks against it
    refused: str | None = None

    @property
    def error(self) -> float | None:
        """V̂ − V."""
        return None if self.value is None else self.value - self.truth

    @property
    def covers(self) -> bool | None:
        """Whether the interval holds the truth."""
        return None if self.low is None or self.high is None else self.low <= self.truth <= self.high


NUMBERS = tuple(f.name for f in fields(Trial) if f.type in ("float", "float | None"))
COUNTS = tuple(f.name for f in fields(Trial) if f.type == "int")


def numbers(trials: Sequence[Trial], name: str) -> FloatArray:
    """(m,) of a field; NaN where it is absent."""
    return np.array([math.nan if (value := getattr(one, name)) is None else value for one in trials], np.float64)


def said(trials: Iterable[Trial]) -> list[Trial]:
    """Those that were not refused."""
    return [one for one in trials if one.value is not None]
