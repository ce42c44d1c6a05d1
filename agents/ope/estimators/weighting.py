"""Estimators that weight what was logged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from prompt_bandits.types import FloatArray

from ..columns import Column, Reward, Weight
from .base import Named
from .transforms import check_clip, clipped


@dataclass(frozen=True)
class IPS(Named):
    """mean(w·r) with w = π(a_i|x_i) / π0(a_i|x_i), at most `clip` (Horvitz and Thompson, 1952; Ionides, 2008).

    Unbiased without a clip, where the logging policy takes every prompt that the policy takes.

    Raises:
        ValueError: a clip that leaves no weight.
    """

    clip: float | None = None
    short: ClassVar[str] = "ips"

    def __post_init__(self) -> None:
        check_clip(self.clip)

    def columns(self) -> Mapping[str, Column]:
        return {"weight": Weight(), "reward": Reward()}

    def weights(self, c: Mapping[str, FloatArray]) -> FloatArray:
        return clipped(c["weight"], self.clip)

    def round_values(self, c: Mapping[str, FloatArray]) -> FloatArray:
        return self.weights(c) * c["reward"]
