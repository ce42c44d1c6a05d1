"""The value of a prompt by way of its sentences: q̂(x, a) = E[r̂(x, s)] over what the LLM writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from prompt_bandits.types import FloatArray, IntArray, Observation

from .output_model import OutputModel
from .pair_models import OutputReward
from .sampling import without_mask

_CELLS = 1 << 20  # rounds × prompts worked on at a time


@runtime_checkable
class AffineReward(OutputReward, Protocol):
    """A reward model that is affine in the output, so that nothing needs to be averaged."""

    def affine(self, obs: Observation) -> tuple[FloatArray, FloatArray]:
        """Intercept (n,) and slope (n, d_o) of r̂(x_i, ·)."""
        ...


@dataclass(frozen=True, eq=False)
class SentenceValue:
    """A reward model by action, made of reward models by output and a model of outputs.

    Exact for what is affine in the output; the rest is averaged over residuals of outputs and their mirror images.
    Several affine models are an ensemble: the value is their mean less `pessimism` times their standard deviation, a
    lower confidence bound that keeps off prompts whose sentences the log says little of.

    Args:
        outputs: E[φ(s)|q, a] and residuals.
        affine: reward models by output that are affine in it.
        rest: one that is not; it is added to their mean.
        pessimism: how many standard deviations to go down.
        n_draws: residuals to average over.

    Raises:
        ValueError: no reward model.
    """

    outputs: OutputModel
    affine: tuple[AffineReward, ...] = ()
    rest: OutputReward | None = None
    pessimism: float = 0.0
    n_draws: int = 2
    saved_as: ClassVar[str] = "sentence_value"

    def __post_init__(self) -> None:
        if not self.affine and self.rest is None:
            raise ValueError("affine, rest: expected at least one reward model, got none")

    def scores(self, obs: Observation) -> FloatArray:
        """q̂(x_i, a), (n, |A|)."""
        mean, spread = _moments(self._each(obs), (len(obs), obs.n_actions))
        value = mean - self.pessimism * spread
        return value if self.rest is None else value + self._averaged(self.rest, obs)

    def predict(self, obs: Observation, action: IntArray) -> FloatArray:
        """q̂(x_i, a_i), (n,)."""
        written = self.outputs.mean(obs, action)
        mean, spread = _moments((model.predict(obs, written) for model in self.affine), (len(obs),))
        value = mean - self.pessimism * spread
        return value if self.rest is None else value + self._over_residuals(self.rest, obs, written)

    def spread(self, obs: Observation) -> FloatArray:
        """The affine models' standard deviation, (n, |A|); 0 of a single one."""
        return _moments(self._each(obs), (len(obs), obs.n_actions))[1]

    def _each(self, obs: Observation) -> Iterator[FloatArray]:
        for model in self.affine:
            intercept, slope = model.affine(obs)
            yield intercept[:, None] + self.outputs.project(obs, slope)

    def _averaged(self, model: OutputReward, obs: Observation) -> FloatArray:
        """Means over the residuals of every prompt, (n, |A|), a few rounds at a time."""
        n, n_actions = len(obs), obs.n_actions
        bare, out = without_mask(obs), np.empty((n, n_actions))
        step = max(1, _CELLS // n_actions)
        for begin in range(0, n, step):
            rows = np.arange(begin, min(begin + step, n))
            flat, every = bare.take(np.repeat(rows, n_actions)), np.tile(np.arange(n_actions), len(rows))
            written = self.outputs.mean(flat, every)
            out[rows] = self._over_residuals(model, flat, written).reshape(len(rows), n_actions)
        return out

    def _over_residuals(self, model: OutputReward, obs: Observation, written: FloatArray) -> FloatArray:
        residuals = self.outputs.residuals[: max(1, self.n_draws // 2)]
        drawn = [
            model.predict(obs, (written + sign * residual).astype(np.float32))
            for residual in residuals
            for sign in (1, -1)
        ]
        return np.asarray(np.mean(drawn, axis=0))


def _moments(values: Iterator[FloatArray], shape: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of arrays that come one at a time (Welford, 1962); 0 of none."""
    mean, squares, n = np.zeros(shape), np.zeros(shape), 0
    for value in values:
        n += 1
        off = value - mean
        mean += off / n
        if n > 1:
            squares += off * (value - mean)
    return mean, np.sqrt(squares / max(1, n))
