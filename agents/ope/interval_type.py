"""An interval for a mean, and what every method asks of its inputs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from prompt_bandits.types import FloatArray

Bounds = tuple[float, float]
"""The lowest and the highest value that a round could have given, seen or not."""


@dataclass(frozen=True)
class Interval:
    """low … high holds the mean with probability `level`, as far as `method` promises it."""

    low: float
    high: float
    level: float
    method: str

    @property
    def width(self) -> float:
        return self.high - self.low

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"[{self.low:.4f}, {self.high:.4f}] ({self.level:.4g}, {self.method})"

    def within(self, bounds: Bounds) -> Interval:
        """The part that is possible: the mean of values in `bounds` is there too."""
        low, high = (min(max(end, bounds[0]), bounds[1]) for end in (self.low, self.high))
        return Interval(low, high, self.level, self.method)


def checked_values(values: ArrayLike, name: str = "values") -> FloatArray:
    """As float64.

    Raises:
        ValueError: not (n,) with n >= 2, or NaN or infinity among them.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name}: expected shape (n,), got {array.shape}")
    if len(array) < 2:
        raise ValueError(f"{name}: expected at least 2 rounds, since one says nothing of its error, got {len(array)}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: expected numbers, got {(~np.isfinite(array)).sum()} NaN or infinite of {len(array)}")
    return array


def check_level(level: float) -> None:
    """Raises:
    ValueError: not strictly between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level: expected a number in (0, 1), such as 0.95, got {level!r}")


def check_bounds(bounds: Bounds) -> None:
    """Raises:
    ValueError: not two numbers, the lower first.
    """
    low, high = bounds
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"bounds: expected (low, high), low < high, both finite, got ({low!r}, {high!r})")


def check_inside(values: FloatArray, bounds: Bounds) -> None:
    """Raises:
    ValueError: a value beyond the bounds by more than rounding, which would make the interval a false promise.
    """
    check_bounds(bounds)
    low, high = bounds
    slack = 1e-9 * (high - low)
    if values.size and (values.min() < low - slack or values.max() > high + slack):
        seen = f"[{values.min():.6g}, {values.max():.6g}]"
        raise ValueError(f"values: expected all in the bounds [{low:.6g}, {high:.6g}], got {seen}")
