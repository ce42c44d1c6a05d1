"""What a reward model by action expects of the policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from prompt_bandits.types import FloatArray

from ..columns import Column, QPolicy
from .base import Named


@dataclass(frozen=True)
class DM(Named):
    """mean_i Σ_a π(a|x_i)·q̂(x_i, a), the direct method: as good as the reward model, whose error its interval does not
    know. Needs no propensities.
    """

    short: ClassVar[str] = "dm"

    def columns(self) -> Mapping[str, Column]:
        return {"q_policy": QPolicy()}

    def round_values(self, c: Mapping[str, FloatArray]) -> FloatArray:
        return c["q_policy"]
