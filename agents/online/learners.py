"""LinUCB, linear Thompson sampling and linear ε-greedy."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from prompt_bandits.acting import act
from prompt_bandits.policies import EpsilonGreedy as EpsilonGreedyPolicy
from prompt_bandits.protocols import Policy
from prompt_bandits.rounds import Rounds, named_generator
from prompt_bandits.types import FloatArray, IntArray, Observation

from .linear_models import MODELS, LinearModel


@dataclass(kw_only=True)
class LinearLearner:
    """What the three share: a linear model of rewards.

    Args:
        features: "shared", one model over x ⊗ prompt embedding, or "disjoint", one a prompt.
        ridge: λ of the regressions.

    Raises:
        ValueError: a setting out of range.
    """

    features: str = "shared"
    ridge: float = 1.0
    _model: LinearModel | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.features not in MODELS:
            raise ValueError(f"features: expected one of {', '.join(MODELS)}, got {self.features!r}")
        if not 0 < self.ridge < np.inf:
            raise ValueError(f"ridge: expected a positive number, got {self.ridge}")

    @property
    def model(self) -> LinearModel:
        """What it believes.

        Raises:
            ValueError: it has not seen a round.
        """
        if self._model is None:
            raise ValueError(f"{type(self).__name__}: expected rounds to be played first, it has seen none")
        return self._model

    def update(self, obs: Observation, action: IntArray, reward: FloatArray) -> None:
        """Learns from what the actions (n,) earned, (n,).

        Raises:
            ValueError: actions or rewards of another shape, or rewards that are not finite.
        """
        for name, column in (("action", action), ("reward", reward)):
            if np.shape(column) != (len(obs),):
                raise ValueError(f"{name}: expected shape ({len(obs)},), got {np.shape(column)}")
        if not np.isfinite(reward).all():
            raise ValueError("reward: expected finite numbers, got NaN or infinity")
        self._of(obs).add(obs, np.asarray(action, np.int64), np.asarray(reward, np.float64))

    def policy(self) -> Policy:
        """The best prompt by what it knows now, without exploring. Saves and loads."""
        return EpsilonGreedyPolicy(self.model.score())

    def _of(self, obs: Observation) -> LinearModel:
        if self._model is None:
            self._model = MODELS[self.features](obs, self.ridge)
        return self._model


@dataclass(kw_only=True)
class LinUCB(LinearLearner):
    """argmax_a θ̂ᵀφ + α·√(φᵀA⁻¹φ) (Li et al., 2010, algorithm 1); the first of equals.

    Deterministic: its propensities are 1, and its log says nothing of prompts that it did not take. The authors' bound
    holds for α = 1 + √(ln(2/δ)/2) with rewards in [0, 1].
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.alpha < np.inf:
            raise ValueError(f"alpha: expected >= 0, got {self.alpha}")

    def upper_bounds(self, obs: Observation) -> FloatArray:
        """θ̂ᵀφ + α·√(φᵀA⁻¹φ), (n, |A|)."""
        model = self._of(obs)
        return np.asarray(model.mean(obs) + self.alpha * np.sqrt(model.variance(obs)))

    def act(self, obs: Observation, rounds: Rounds) -> tuple[IntArray, FloatArray]:
        return _best(self.upper_bounds(obs), obs), np.ones(len(obs))


@dataclass(kw_only=True)
class LinTS(LinearLearner):
    """argmax_a θ̃ᵀφ, θ̃ ~ N(θ̂, scale²·A⁻¹) anew in each round (Agrawal and Goyal, 2013, algorithm 1).

    With `scale` the standard deviation of the rewards' noise, and λ that over the prior's variance, it is exact Bayes.
    Their bound holds for scale = R·√(9·d·ln(t/δ)), which explores far more than pays.

    How probable an action was has no closed form. With `propensity_draws` = m it is estimated as (1 + K) / (1 + m),
    where K of m further draws take the same action. Its inverse, which importance weights use, is then right on average
    up to a factor of 1 − (1 − p)^(m + 1). With 0 there are none.
    """

    scale: float = 1.0
    propensity_draws: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.scale < np.inf:
            raise ValueError(f"scale: expected a positive number, got {self.scale}")
        if self.propensity_draws < 0:
            raise ValueError(f"propensity_draws: expected >= 0, got {self.propensity_draws}")

    def act(self, obs: Observation, rounds: Rounds) -> tuple[IntArray, FloatArray | None]:
        model = self._of(obs)
        normal = rounds.normal("thompson", model.width)[:, None, :]
        action = _best(model.sampled(obs, normal, self.scale)[:, 0], obs)
        return action, self._propensity(obs, action, rounds) if self.propensity_draws else None

    def _propensity(self, obs: Observation, action: IntArray, rounds: Rounds) -> FloatArray:
        """(1 + K) / (1 + m), (n,). A round's draws are its own, so that they do not depend on the batch."""
        model, m = self._of(obs), self.propensity_draws
        same = np.empty(len(obs))
        for row, round_id in enumerate(rounds.round_id.tolist()):
            generator = named_generator(rounds.seed, rounds.scope, "thompson propensity", str(round_id))
            one = obs.take(slice(row, row + 1))
            scores = model.sampled(one, generator.standard_normal((1, m, model.width)), self.scale)[0]
            same[row] = (_best(scores, one) == action[row]).sum()
        return np.asarray((1 + same) / (1 + m))


@dataclass(kw_only=True)
class LinEpsilonGreedy(LinearLearner):
    """argmax_a θ̂ᵀφ with probability 1 − ε, else any allowed prompt. Its propensities are exact."""

    epsilon: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.epsilon <= 1:
            raise ValueError(f"epsilon: expected in [0, 1], got {self.epsilon}")

    def act(self, obs: Observation, rounds: Rounds) -> tuple[IntArray, FloatArray]:
        return act(EpsilonGreedyPolicy(self._of(obs).score(), self.epsilon), obs, rounds)


def _best(scores: FloatArray, obs: Observation) -> IntArray:
    """The allowed action of the highest score in each row (k, |A|); masks are those of the rounds, or of the one."""
    if obs.action_mask is not None:
        scores = np.where(obs.action_mask, scores, -np.inf)
    return np.asarray(scores.argmax(axis=1))
