"""Estimators that weight what a reward model leaves of the rewards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from prompt_bandits.types import FloatArray

from ...clipping import check_clip
from ..columns import Column, QLogged, QPolicy
from ..models import Q_HAT, ModelSpec
from .base import ratio_terms
from .transforms import check_not_negative, clipped, switched
from .weighting import Weighting, smaller_known


@dataclass(frozen=True)
class WeightsResiduals(Weighting):
    """Σ_a π·q̂ + w·(r − q̂(x_i, a_i)), the mean of which is the estimate; subclasses say what becomes of the weights."""

    model: ClassVar[ModelSpec] = Q_HAT

    def columns(self) -> Mapping[str, Column]:
        return {**super().columns(), "q_logged": QLogged(self.model), "q_policy": QPolicy(self.model)}

    def round_values(self, c: Mapping[str, FloatArray]) -> FloatArray:
        return c["q_policy"] + self.weights(c) * (c["reward"] - c["q_logged"])

    def left_out(self, c: Mapping[str, FloatArray]) -> FloatArray:
        return (c["weight"] - self.weights(c)) * (c["reward"] - c["q_logged"])

    def bounds(self, reward_range: tuple[float, float], largest_weight: float | None) -> tuple[float, float] | None:
        from ..bounds import doubly_robust_bounds

        largest = self.largest_tamed(largest_weight)
        return None if largest is None else doubly_robust_bounds(reward_range, max(1.0, largest))


@dataclass(frozen=True)
class DR(WeightsResiduals):
    """mean(Σ_a π·q̂ + w·(r − q̂(x_i, a_i))), doubly robust (Dudík et al., 2011), with w at most `clip`.

    Without a clip it is unbiased if the propensities or the reward model are true, given a model that has not seen
    the rounds: one fitted on others, or a cross-fitted one.

    Raises:
        ValueError: a clip that leaves no weight, or other loggers than "naive" and "balanced".
    """

    clip: float | None = None
    short: ClassVar[str] = "dr"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_clip(self.clip)

    def tamed(self, weight: FloatArray) -> FloatArray:
        return clipped(weight, self.clip)

    def largest_tamed(self, largest: float | None) -> float | None:
        return smaller_known(self.clip, largest)


@dataclass(frozen=True)
class SNDR(DR):
    """mean(Σ_a π·q̂) + Σ w·(r − q̂(x_i, a_i)) / Σ w: doubly robust, self-normalised (Thomas and Brunskill, 2016).

    Raises:
        ValueError: as `DR`.
    """

    short: ClassVar[str] = "sndr"

    def round_values(self, c: Mapping[str, FloatArray]) -> FloatArray:
        return c["q_policy"] + ratio_terms(self.weights(c), c["reward"] - c["q_logged"])

    def left_out(self, c: Mapping[str, FloatArray]) -> FloatArray:
        return c["q_policy"] + ratio_terms(c["weight"], c["reward"] - c["q_logged"]) - self.round_values(c)

    def bounds(self, reward_range: tuple[float, float], largest_weight: float | None) -> None:
        return None  # of its terms nothing is known beforehand


@dataclass(frozen=True)
class SwitchDR(WeightsResiduals):
    """DR where w ≤ τ, and the reward model alone where the weight is larger (Wang et al., 2017, as of Su et al., 2020):
    τ = ∞ is DR, τ = 0 the direct method.

    Raises:
        ValueError: a negative τ, or other loggers than "naive" and "balanced".
    """

    tau: float = 10.0
    short: ClassVar[str] = "switch-dr"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_negative("tau", self.tau)

    def tamed(self, weight: FloatArray) -> FloatArray:
        return switched(weight, self.tau)

    def largest_tamed(self, largest: float | None) -> float | None:
        return smaller_known(self.tau, largest)
