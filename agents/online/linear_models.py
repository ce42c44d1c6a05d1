"""Linear models of the reward of every prompt: what they expect, how unsure they are, draws from what they believe.

x = (1, context, query) and e_a = (1, embedding of prompt a) throughout.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from prompt_bandits.protocols import ActionScore
from prompt_bandits.types import FloatArray, IntArray, Observation

from .ridge import Ridge, outer_products, with_constant
from .scores import BilinearScore, PerPromptScore


class LinearModel(Protocol):
    """θ̂ᵀφ(x, a) for all prompts, and the uncertainty of it."""

    ridge: Ridge
    width: int  # standard normal draws that a draw of θ takes

    def mean(self, obs: Observation) -> FloatArray:
        """θ̂ᵀφ, (n, |A|)."""
        ...

    def variance(self, obs: Observation) -> FloatArray:
        """φᵀA⁻¹φ, (n, |A|)."""
        ...

    def sampled(self, obs: Observation, normal: FloatArray, scale: float) -> FloatArray:
        """θ̃ᵀφ with θ̃ ~ N(θ̂, scale²·A⁻¹), (n, m, |A|), from m draws a round: normal (n, m, width)."""
        ...

    def add(self, obs: Observation, action: IntArray, reward: FloatArray) -> None:
        """Learns from what the actions (n,) earned, (n,)."""
        ...

    def score(self) -> ActionScore:
        """The mean as it is now, for a policy."""
        ...


class Disjoint:
    """A regression of its own for every prompt, φ = x (Li et al., 2010, algorithm 1). Knows nothing of a prompt that
    it has not tried, and keeps |A| matrices.
    """

    def __init__(self, obs: Observation, ridge: float) -> None:
        self.ridge = Ridge(obs.n_actions, with_constant(obs.features()).shape[1], ridge)
        self.width = obs.n_actions

    def mean(self, obs: Observation) -> FloatArray:
        return self.score().scores(obs)

    def variance(self, obs: Observation) -> FloatArray:
        inverse = self.ridge.inverse.reshape(self.width, -1)
        return np.asarray(outer_products(with_constant(obs.features())) @ inverse.T)

    def sampled(self, obs: Observation, normal: FloatArray, scale: float) -> FloatArray:
        """The θ̃_a of a round are independent, and so are their products with x: those are drawn, not the vectors."""
        sd = scale * np.sqrt(self.variance(obs))
        return np.asarray(self.mean(obs)[:, None, :] + sd[:, None, :] * normal)

    def add(self, obs: Observation, action: IntArray, reward: FloatArray) -> None:
        self.ridge.add(action, with_constant(obs.features()), reward)

    def score(self) -> PerPromptScore:
        return PerPromptScore(self.ridge.theta.copy())


class Shared:
    """One regression for all prompts, φ = vec(x·e_aᵀ): the features, the prompt's, and their products. What one prompt
    teaches holds for its like, so that a thousand prompts are no more to learn than ten.

    Li et al. (2010) use such outer products as features; this is their model without the part of each prompt's own.
    """

    def __init__(self, obs: Observation, ridge: float) -> None:
        self.shape = with_constant(obs.features()).shape[1], with_constant(obs.prompts.embedding).shape[1]
        self.width = self.shape[0] * self.shape[1]
        self.ridge = Ridge(1, self.width, ridge)

    def mean(self, obs: Observation) -> FloatArray:
        return self.score().scores(obs)

    def variance(self, obs: Observation) -> FloatArray:
        """x is put into A⁻¹ first, which leaves a small matrix for all prompts: O(n·(p²q² + |A|·q²))."""
        p, q = self.shape
        inverse = self.ridge.inverse[0].reshape(p, q, p, q).transpose(0, 2, 1, 3).reshape(p * p, q * q)
        of_prompt = outer_products(with_constant(obs.features())) @ inverse
        return np.asarray(of_prompt @ outer_products(with_constant(obs.prompts.embedding)).T)

    def sampled(self, obs: Observation, normal: FloatArray, scale: float) -> FloatArray:
        drawn = self.ridge.theta[0] + scale * normal @ self.ridge.root[0].T
        theta = drawn.reshape(*normal.shape[:2], *self.shape)
        of_prompt = np.einsum("ni,nmij->nmj", with_constant(obs.features()), theta)
        return np.asarray(of_prompt @ with_constant(obs.prompts.embedding).T)

    def add(self, obs: Observation, action: IntArray, reward: FloatArray) -> None:
        features, prompts = with_constant(obs.features()), with_constant(obs.prompts.embedding)[action]
        pairs = (features[:, :, None] * prompts[:, None, :]).reshape(len(obs), -1)
        self.ridge.add(np.zeros(len(obs), np.int64), pairs, reward)

    def score(self) -> BilinearScore:
        return BilinearScore(self.ridge.theta[0].reshape(self.shape).copy())


MODELS: dict[str, type[Disjoint] | type[Shared]] = {"disjoint": Disjoint, "shared": Shared}
