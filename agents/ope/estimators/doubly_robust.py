"""Estimators that weight what a reward model leaves of the rewards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from prompt_bandits.types import FloatArray

from ..columns import Column, QLogged, QPolicy, Reward, Weight
from .base import Named
from .transforms import check_clip, clipped


@dataclass(frozen=True)
class DR(Named):
    """mean(Σ_a π·q̂ + w·(r − q̂(x_i, a_i))), doubly robust (Dudík et al., 2011), with w at most `clip`.

    Without a clip it is unbiased if the propensities or the reward model are true, given a model that has not seen
    the rounds: one fitted on others, or a cross-fitted one.

    Raises:
        ValueError: a clip that leaves no weight.
    """

    clip: float | None = None
    short: ClassVar[str] = "dr"

    def __post_init__(self) -> None:
        check_clip(self.clip)

    def columns(self) -> Mapping[str, Column]:
        return {"weight": Weight(), "reward": Reward(), "q_logged": QLogged(), "q_policy": QPolicy()}

    def weights(self, c: Mapping[str, FloatArray]) -> FloatArray:
        return clipped(c["weight"], self.clip)

    def round_values(self, c: Mapping[str, FloatArray]) -> FloatArray:
        return c["q_policy"] + self.weights(c) * (c["reward"] - c["q_logged"])
