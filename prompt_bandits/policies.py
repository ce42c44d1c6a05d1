"""Policies made of scores: how to turn a number for every prompt into a choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from prompt_bandits.protocols import ActionScore, Policy
from prompt_bandits.rounds import Rounds
from prompt_bandits.simulator import PromptSimulator
from prompt_bandits.types import BoolArray, FloatArray, IntArray, Observation


@dataclass(frozen=True)
class Uniform:
    """Every allowed prompt with the same probability."""

    saved_as: ClassVar[str] = "uniform"

    def action_dist(self, obs: Observation) -> FloatArray:
        if obs.action_mask is None:
            return np.full((len(obs), obs.n_actions), 1 / obs.n_actions)
        return np.asarray(obs.action_mask / obs.action_mask.sum(axis=1, keepdims=True))

    def sample(self, obs: Observation, rounds: Rounds) -> tuple[IntArray, FloatArray]:
        uniform = rounds.uniform("action")
        if obs.action_mask is None:
            return (uniform * obs.n_actions).astype(np.int64), np.full(len(obs), 1 / obs.n_actions)
        n_allowed = obs.action_mask.sum(axis=1)
        rank = (uniform * n_allowed).astype(np.int64)
        action = (obs.action_mask.cumsum(axis=1) > rank[:, None]).argmax(axis=1)
        return action, 1 / n_allowed


@dataclass(frozen=True, eq=False)
class Softmax:
    """π(a|x) ∝ exp(beta·score(x, a)) over the allowed prompts. `beta=0` is uniform, a negative one prefers low
    scores.
    """

    score: ActionScore
    beta: float = 1.0
    saved_as: ClassVar[str] = "softmax"

    def __post_init__(self) -> None:
        if not np.isfinite(self.beta):
            raise ValueError(f"beta: expected a finite number, got {self.beta}")

    def action_dist(self, obs: Observation) -> FloatArray:
        logits = self.beta * np.asarray(self.score.scores(obs), dtype=np.float64)
        return softmax(logits, obs.action_mask)


def softmax(logits: FloatArray, mask: BoolArray | None = None) -> FloatArray:
    """Row-wise softmax (n, |A|) over the allowed actions."""
    if mask is not None:
        logits = np.where(mask, logits, -np.inf)
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


@dataclass(frozen=True, eq=False)
class EpsilonGreedy:
    """The best-scored allowed prompt with probability 1 − ε, otherwise any allowed one (the best included)."""

    score: ActionScore
    epsilon: float = 0.0
    saved_as: ClassVar[str] = "epsilon_greedy"

    def __post_init__(self) -> None:
        if not 0 <= self.epsilon <= 1:
            raise ValueError(f"epsilon: expected in [0, 1], got {self.epsilon}")

    def action_dist(self, obs: Observation) -> FloatArray:
        scores = np.asarray(self.score.scores(obs), dtype=np.float64)
        if obs.action_mask is not None:
            scores = np.where(obs.action_mask, scores, -np.inf)
        dist = self.epsilon * Uniform().action_dist(obs)
        dist[np.arange(len(obs)), scores.argmax(axis=1)] += 1 - self.epsilon
        return dist


@dataclass(frozen=True, eq=False)
class Mixture:
    """Each round one of `policies`, drawn with these weights (normalised)."""

    policies: Sequence[Policy]
    weights: Sequence[float]
    saved_as: ClassVar[str] = "mixture"

    def __post_init__(self) -> None:
        weights = np.asarray(self.weights, dtype=np.float64)
        if not self.policies or weights.shape != (len(self.policies),):
            raise ValueError(
                f"weights: expected one for each of {len(self.policies)} policies, got {len(self.weights)}"
            )
        if not np.isfinite(weights).all() or weights.min() < 0 or weights.sum() <= 0:
            raise ValueError(f"weights: expected non-negative numbers that do not sum to 0, got {list(self.weights)}")

    def action_dist(self, obs: Observation) -> FloatArray:
        total = float(sum(self.weights))
        parts = [
            weight / total * policy.action_dist(obs) for policy, weight in zip(self.policies, self.weights, strict=True)
        ]
        return np.asarray(np.sum(parts, axis=0))


@dataclass(frozen=True, eq=False)
class Restricted:
    """A policy that never takes some prompts: deficient support, as logs often have it.

    Where a round allows none of `allowed`, the policy chooses as without the restriction.

    Args:
        policy: what is restricted.
        allowed: (|A|,) True for prompts that may be taken.
    """

    policy: Policy
    allowed: BoolArray
    saved_as: ClassVar[str] = "restricted"

    def __post_init__(self) -> None:
        if self.allowed.ndim != 1 or self.allowed.dtype != bool or not self.allowed.any():
            raise ValueError(f"allowed: expected a boolean array (|A|,) with at least one True, got {self.allowed!r}")

    def action_dist(self, obs: Observation) -> FloatArray:
        if len(self.allowed) != obs.n_actions:
            raise ValueError(f"allowed: expected {obs.n_actions} entries, one a prompt, got {len(self.allowed)}")
        dist = self.policy.action_dist(obs)
        kept = dist * self.allowed
        total = kept.sum(axis=1, keepdims=True)
        return np.where(total > 0, kept / np.where(total > 0, total, 1), dist)


@dataclass(frozen=True, eq=False)
class Logits:
    """A fixed score for each prompt, whatever the context: `scores` is `value` (|A|,) in every row."""

    value: FloatArray
    saved_as: ClassVar[str] = "logits"

    def scores(self, obs: Observation) -> FloatArray:
        if self.value.shape != (obs.n_actions,):
            raise ValueError(f"value: expected shape ({obs.n_actions},), got {self.value.shape}")
        return np.broadcast_to(self.value, (len(obs), obs.n_actions))


@dataclass(frozen=True, eq=False)
class OracleScore:
    """The true q(x, a) as a score: the teacher that no log can give. `EpsilonGreedy(OracleScore(simulator))` is the
    optimal policy.
    """

    simulator: PromptSimulator
    saved_as: ClassVar[str] = "oracle_score"

    def scores(self, obs: Observation) -> FloatArray:
        return self.simulator.action_values(obs).value

    def state(self) -> dict[str, Any]:
        if self.simulator.recipe is None:
            raise ValueError(
                "OracleScore: a simulator with injected parts cannot be saved, since nothing plain rebuilds it"
            )
        return {"recipe": self.simulator.recipe}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> OracleScore:
        return cls(state["recipe"].build())
