"""What a linear model has learnt, as scores that save and load: `EpsilonGreedy(score)` is its policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from prompt_bandits.types import FloatArray, Observation

from .ridge import with_constant


@dataclass(frozen=True, eq=False)
class PerPromptScore:
    """θ_aᵀ(1, x) with x = (context, query)."""

    theta: FloatArray  # (|A|, 1 + d)
    saved_as: ClassVar[str] = "per_prompt_score"

    def scores(self, obs: Observation) -> FloatArray:
        features = with_constant(obs.features())
        expected = (obs.n_actions, features.shape[1])
        if self.theta.shape != expected:
            raise ValueError(f"theta: expected shape {expected} for these prompts and features, got {self.theta.shape}")
        return np.asarray(features @ self.theta.T)


@dataclass(frozen=True, eq=False)
class BilinearScore:
    """(1, x)ᵀ·Θ·(1, e_a): x, the prompt's embedding e_a, and all products of the two. It takes any table of prompts."""

    theta: FloatArray  # (1 + d, 1 + d_a)
    saved_as: ClassVar[str] = "bilinear_score"

    def scores(self, obs: Observation) -> FloatArray:
        features, prompts = with_constant(obs.features()), with_constant(obs.prompts.embedding)
        expected = (features.shape[1], prompts.shape[1])
        if self.theta.shape != expected:
            raise ValueError(f"theta: expected shape {expected} for these prompts and features, got {self.theta.shape}")
        return np.asarray(features @ self.theta @ prompts.T)
