"""The value of a prompt by way of its sentences: q̂(x, a) = E[r̂(x, s)] over what the LLM writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from prompt_bandits.types import FloatArray, IntArray, Observation

from .output_model import OutputModel
from .sampling import without_mask
from .sentence_rewards import CorrectedReward

_CELLS = 1 << 20  # rounds × prompts × outputs worked on at a time


class SentenceReward(Protocol):
    """A reward model by output: anything that predicts r̂(x_i, o_i)."""

    def predict(self, obs: Observation, output: FloatArray) -> FloatArray: ...


@runtime_checkable
class AffineReward(SentenceReward, Protocol):
    """One that is affine in the output, so that nothing needs to be averaged."""

    def affine(self, obs: Observation) -> tuple[FloatArray, FloatArray]: ...


@dataclass(frozen=True, eq=False)
class SentenceValue:
    """A reward model by action, made of a reward model by output and a model of outputs.

    Exact where the reward model is affine in the output; else the mean over `n_draws` of the outputs' residuals.
    Several members are an ensemble: the value is their mean less `pessimism` times their standard deviation, a lower
    confidence bound that keeps off prompts whose sentences the log says little of.

    Args:
        members: reward models by output.
        outputs: E[φ(s)|q, a] and residuals.
        pessimism: how many standard deviations to go down.
        n_draws: residuals to average over.
    """

    members: tuple[SentenceReward, ...]
    outputs: OutputModel
    pessimism: float = 0.0
    n_draws: int = 4
    saved_as: ClassVar[str] = "sentence_value"

    def scores(self, obs: Observation) -> FloatArray:
        """q̂(x_i, a), (n, |A|)."""
        return self._bound([self._scores(member, obs) for member in self.members])

    def predict(self, obs: Observation, action: IntArray) -> FloatArray:
        """q̂(x_i, a_i), (n,)."""
        return self._bound([self._predict(member, obs, action) for member in self.members])

    def spread(self, obs: Observation) -> FloatArray:
        """The members' standard deviation, (n, |A|); 0 of a single one."""
        return np.asarray(np.std([self._scores(member, obs) for member in self.members], axis=0))

    def _bound(self, values: list[FloatArray]) -> FloatArray:
        if len(values) == 1:
            return values[0]
        return np.asarray(np.mean(values, axis=0) - self.pessimism * np.std(values, axis=0))

    def _scores(self, member: SentenceReward, obs: Observation) -> FloatArray:
        if isinstance(member, CorrectedReward):
            return self._scores(member.ridge, obs) + self._averaged(member.rest, obs)
        if isinstance(member, AffineReward):
            intercept, slope = member.affine(obs)
            return intercept[:, None] + self.outputs.project(obs, slope)
        return self._averaged(member, obs)

    def _predict(self, member: SentenceReward, obs: Observation, action: IntArray) -> FloatArray:
        mean = self.outputs.mean(obs, action)
        if isinstance(member, AffineReward):
            return member.predict(obs, mean)
        drawn = [member.predict(obs, (mean + residual).astype(np.float32)) for residual in self._residuals()]
        return np.asarray(np.mean(drawn, axis=0))

    def _averaged(self, member: SentenceReward, obs: Observation) -> FloatArray:
        """Means over the residuals of every prompt, a few rounds at a time."""
        n, n_actions = len(obs), obs.n_actions
        bare, out = without_mask(obs), np.empty((n, n_actions))
        step = max(1, _CELLS // n_actions)
        for begin in range(0, n, step):
            rows = np.arange(begin, min(begin + step, n))
            flat = bare.take(np.repeat(rows, n_actions))
            out[rows] = self._predict(member, flat, np.tile(np.arange(n_actions), len(rows))).reshape(len(rows), -1)
        return out

    def _residuals(self) -> FloatArray:
        return self.outputs.residuals[: self.n_draws]
