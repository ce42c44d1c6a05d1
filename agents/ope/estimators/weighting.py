"""Estimators that weight what was logged, and what they share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from prompt_bandits.types import FloatArray

from ...clipping import check_clip
from ..basic_columns import LOGGERS
from ..columns import Column, Reward, Weight
from ..refusing import NO_WEIGHT, Refused
from .base import Named, ratio_terms
from .transforms import clipped


@dataclass(frozen=True)
class Weighting(Named):
    """w·r, the mean of which is the estimate; subclasses say what becomes of the weights.

    Where several policies logged, `loggers="naive"` divides by the probability with which the round's own one took the
    action, and "balanced" by that of their average, weighted by their rounds, whose weights are never larger than the
    largest that one of them would give (Agarwal et al., 2017). See `WeightedLoggers` for their third.

    Raises:
        ValueError: a setting out of range.
    """

    loggers: str = field(default="naive", kw_only=True)

    def __post_init__(self) -> None:
        if self.loggers not in LOGGERS:
            raise ValueError(f"loggers: expected one of {', '.join(LOGGERS)}, got {self.loggers!r}")

    @abstractmethod
    def tamed(self, weight: FloatArray) -> FloatArray:
        """What is used of importance weights (n,)."""

    def largest_tamed(self, largest: float | None) -> float | None:
        """The largest weight that may be used, if no importance weight is larger than `largest`; None: unknown."""
        return largest

    def columns(self) -> Mapping[str, Column]:
        return {"weight": Weight(self.loggers), "reward": Reward()}

    def weights(self, c: Mapping[str, FloatArray]) -> FloatArray:
        return self.tamed(c["weight"])

    def round_values(self, c: Mapping[str, FloatArray]) -> FloatArray:
        return self.weights(c) * c["reward"]

    def left_out(self, c: Mapping[str, FloatArray]) -> FloatArray:
        return (c["weight"] - self.weights(c)) * c["reward"]

    def bounds(self, reward_range: tuple[float, float], largest_weight: float | None) -> tuple[float, float] | None:
        from ..bounds import weighted_bounds

        largest = self.largest_tamed(largest_weight)
        return None if largest is None else weighted_bounds(reward_range, max(1.0, largest))


@dataclass(frozen=True)
class IPS(Weighting):
    """mean(w·r) with w = π(a_i|x_i) / π0(a_i|x_i), at most `clip` (Horvitz and Thompson, 1952; Ionides, 2008).

    Unbiased without a clip, where the logging policy takes every prompt that the policy takes. A clip pulls the
    estimate towards 0.

    Raises:
        ValueError: a clip that leaves no weight, or other loggers than "naive" and "balanced".
    """

    clip: float | None = None
    short: ClassVar[str] = "ips"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_clip(self.clip)

    def tamed(self, weight: FloatArray) -> FloatArray:
        return clipped(weight, self.clip)

    def largest_tamed(self, largest: float | None) -> float | None:
        return smaller_known(self.clip, largest)


@dataclass(frozen=True)
class SNIPS(IPS):
    """Σ w·r / Σ w, whose error does not grow with the level of the rewards (Swaminathan and Joachims, 2015).

    Always within the range of the rewards. Its standard error is the delta method's: too small where few rounds bear
    most of the weight.

    Raises:
        ValueError: as `IPS`.
    """

    short: ClassVar[str] = "snips"

    def round_values(self, c: Mapping[str, FloatArray]) -> FloatArray:
        """Raises:
        Refused: weights that are all 0.
        """
        weight = self.weights(c)
        if not weight.any():
            raise Refused(NO_WEIGHT)
        return ratio_terms(weight, c["reward"])

    def left_out(self, c: Mapping[str, FloatArray]) -> FloatArray:
        return ratio_terms(c["weight"], c["reward"]) - self.round_values(c)

    def bounds(self, reward_range: tuple[float, float], largest_weight: float | None) -> None:
        return None  # of its terms nothing is known beforehand


def smaller_known(a: float | None, b: float | None) -> float | None:
    """The smaller of two numbers, as far as they are known."""
    known = [one for one in (a, b) if one is not None]
    return min(known) if known else None
