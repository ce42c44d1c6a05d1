"""Weights under which the logged rounds look, on average, as the policy's would: what is balanced are features of users
and sentences, so that no propensities are needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from prompt_bandits.rounds import named_generator
from prompt_bandits.types import FloatArray

from ..protocols import LoggedData
from .chunk import Chunk, chunks_of, unseen_models
from .column import Column
from .models import Fitter, Models
from .policies import ActionDist
from .sentence_models import OUTPUTS, no_outputs

if TYPE_CHECKING:
    from ..sentence_rewards import RidgeReward

_MOST_ROUNDS = 1 << 17
_MOST_PRODUCTS = 5e10  # of features, in their second moments
_CELLS = 1 << 22


@dataclass(frozen=True, eq=False)
class BalancingWeights:
    """w(x, s) = [z, 1]ᵀ·C·[φ, 1], with z and φ standardised as a ridge regression on their products does it."""

    features: RidgeReward
    coefficient: FloatArray  # (k_z + 1, k_o + 1) C

    def weight(self, chunk: Chunk) -> FloatArray:
        """(k,) of the logged sentences."""
        z, output = factors(self.features, chunk, chunk.rows.require_output())
        return np.asarray(np.einsum("kz,zo,ko->k", z, self.coefficient, output, optimize=True))


@dataclass(frozen=True)
class Balancing:
    """C = (Σ f_i·f_iᵀ + λn·I)⁻¹·Σ_i E_{a~π}[f(x_i, s)] with f = [z, 1]⊗[φ, 1]: of the weights whose mean of f is about
    what the policy would make it, those of least variance (Hirshberg and Wager, 2021; Ben-Michael et al., 2021).
    """

    penalty: float = 0.01  # λ, as a share of the variance of a feature
    name: ClassVar[str] = "sentence_balancing"
    of_policy: ClassVar[bool] = True

    def fit(self, fitter: Fitter) -> BalancingWeights:
        """Raises:
        ValueError: no outputs in the log.
        """
        from ..sentence_rewards import RidgeReward, fit_sentence_reward

        outputs = fitter.get(OUTPUTS)
        ridge = fit_sentence_reward(fitter.rounds(), classes=("bilinear",), seed=fitter.seed)
        assert isinstance(ridge, RidgeReward)
        shape = ridge.weight.shape
        size, n = shape[0] * shape[1], 0
        gram, aim = np.zeros((size, size)), np.zeros(shape)
        for chunk in _some_rounds(fitter, max(20 * size, int(_MOST_PRODUCTS / size**2))):
            gram = gram + second_moments(*factors(ridge, chunk, chunk.rows.require_output()))
            z, average = factors(ridge, chunk, average_output(chunk, outputs))
            aim, n = aim + z.T @ average, n + len(chunk)
        shrink = np.full(size, self.penalty * n)
        shrink[-1] = 0  # so that weights average 1
        return BalancingWeights(ridge, np.linalg.solve(gram + np.diag(shrink), aim.ravel()).reshape(shape))


@dataclass(frozen=True)
class BalancingWeight(Column):
    """w(x_i, s_i) of balancing weights."""

    balancing: Balancing

    @property
    def needs(self) -> tuple[Balancing, ...]:  # type: ignore[override]
        return (self.balancing,)

    def refusal(self, data: LoggedData, models: Models) -> str | None:
        return no_outputs(data)

    def of(self, chunk: Chunk) -> FloatArray:
        model: BalancingWeights = chunk.models.get(self.balancing)
        return model.weight(chunk)


def average_output(chunk: Chunk, outputs: Any) -> FloatArray:
    """E[φ(s)|q_i] of what the policy would have the LLM write, (k, d_o)."""
    out = np.empty((len(chunk), chunk.rows.require_output().shape[1]))
    for rows, model in unseen_models(outputs, chunk.rows):
        out[rows] = model.average(chunk.rows.obs.take(rows), chunk.action_dist[rows])
    return out


def factors(ridge: RidgeReward, chunk: Chunk, output: FloatArray) -> tuple[FloatArray, FloatArray]:
    """[z, 1] (k, k_z + 1) and [φ, 1] (k, k_o + 1)."""
    z = (chunk.rows.obs.features() - ridge.z_mean) @ ridge.z_map
    return _with_one(z), _with_one((output - ridge.output_mean) @ ridge.output_map)


def second_moments(z: FloatArray, output: FloatArray) -> FloatArray:
    """Σ f_i·f_iᵀ of f = z⊗φ, (P, P), a few rounds at a time."""
    size = z.shape[1] * output.shape[1]
    total, step = np.zeros((size, size)), max(1, _CELLS // size)
    for begin in range(0, len(z), step):
        rows = slice(begin, begin + step)
        features = (z[rows, :, None] * output[rows, None, :]).reshape(-1, size)
        total += features.T @ features
    return total


def _with_one(values: FloatArray) -> FloatArray:
    return np.concatenate([values, np.ones((len(values), 1))], axis=1)


def _some_rounds(fitter: Fitter, most: int) -> Iterator[Chunk]:
    """All rounds, or of more than `most` about as many, at random."""
    share = min(most, _MOST_ROUNDS) / len(fitter.data)
    for chunk in chunks_of(fitter.data, fitter.policy, fitter.models, fitter.memory_mb):
        if share >= 1:
            yield chunk
            continue
        generator = named_generator(fitter.seed, "balancing", str(chunk.first))
        index = np.flatnonzero(generator.random(len(chunk)) < share)
        policy = chunk.policy
        if isinstance(policy, ActionDist):
            policy = policy.take(chunk.first + index)
        if len(index):
            yield replace(chunk, rows=chunk.rows.take(index), policy=policy, first=0, _kept={})
