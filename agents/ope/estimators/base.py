"""What an estimator is: named columns in, one number a round out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from prompt_bandits.types import FloatArray

from ..columns import Column


@runtime_checkable
class Estimator(Protocol):
    """Estimates the value of a policy. A frozen dataclass of plain values."""

    @property
    def name(self) -> str:
        """Short, with the settings that are not the defaults: "ips[clip=10]"."""
        ...

    def columns(self) -> Mapping[str, Column]:
        """What it looks at, by the names under which `round_values` gets it."""
        ...

    def round_values(self, c: Mapping[str, FloatArray]) -> FloatArray:
        """(n,) float64 whose mean is the estimate, and whose spread its error.

        A ratio gives its linearised terms, so that standard errors and intervals come from one vector as well.
        """
        ...


@runtime_checkable
class Weighs(Estimator, Protocol):
    """An estimator that weights rewards, or what a reward model leaves of them: its weights are diagnosed."""

    def weights(self, c: Mapping[str, FloatArray]) -> FloatArray:
        """(n,) as they are used, clipped or shrunken."""
        ...


@runtime_checkable
class LeavesOut(Weighs, Protocol):
    """An estimator whose weights are smaller than unbiased ones."""

    def left_out(self, c: Mapping[str, FloatArray]) -> FloatArray:
        """(n,) whose mean is the unbiased estimate less this one."""
        ...


@runtime_checkable
class BoundsRoundValues(Estimator, Protocol):
    """An estimator whose round values have bounds, given those of the reward and of the importance weights."""

    def bounds(self, reward_range: tuple[float, float], largest_weight: float | None) -> tuple[float, float] | None:
        """(low, high) of every round value that there could have been; None where nothing is known of them."""
        ...


@runtime_checkable
class Doubts(Estimator, Protocol):
    """An estimator that sees in its columns when it should not be believed."""

    def doubts(self, c: Mapping[str, FloatArray]) -> tuple[str, ...]:
        """Why not, in plain words; none where all is well."""
        ...


class Named:
    """Mixin: a name made of `short` and the fields that are not at their defaults."""

    short: ClassVar[str]

    @property
    def name(self) -> str:
        changed = [
            f"{field.name.rstrip('_')}={_shown(getattr(self, field.name))}"
            for field in fields(self)  # type: ignore[arg-type]
            if getattr(self, field.name) != field.default
        ]
        return f"{self.short}[{', '.join(changed)}]" if changed else self.short


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def ratio_terms(weight: FloatArray, value: FloatArray) -> FloatArray:
    """v + (w / mean(w))·(y − v), whose mean is v = Σ w·y / Σ w and whose spread is the delta method's. (n,)

    Weights that are all 0 give 0.
    """
    assert weight.shape == value.shape
    mean = weight.mean()
    if mean == 0:
        return np.zeros(len(weight))
    share = weight / mean
    ratio = float((share * value).mean())
    return np.asarray(ratio + share * (value - ratio))
