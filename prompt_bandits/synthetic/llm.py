"""Synthetic frozen LLMs: an output is a vector o = gain·(qM + g(eN)) + noise·ξ.

Output maps g work element by element. Their constants are those of the published experiments (Kiyohara et al., 2025,
arXiv 2504.02646), whose code also doubles the mean: `gain=2`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from prompt_bandits.rounds import Rounds
from prompt_bandits.types import FloatArray, GaussianOutputs, IntArray, Observation, Output, Prompts

OutputMap = Callable[[FloatArray], FloatArray]


def linear(z: FloatArray) -> FloatArray:
    """g(z) = z."""
    return z


@dataclass(frozen=True)
class Rational:
    """g(z) = clip(l / (1 + b + l), ±amplitude) with l = z + b."""

    bias: float
    amplitude: float = 5.0

    def __call__(self, z: FloatArray) -> FloatArray:
        shifted = z + self.bias
        with np.errstate(divide="ignore"):
            return np.clip(shifted / (1 + self.bias + shifted), -self.amplitude, self.amplitude)


@dataclass(frozen=True)
class Sigmoid:
    """g(z) = amplitude·sigmoid(scaler·z)."""

    amplitude: float = 5.0
    scaler: float = 1.0

    def __call__(self, z: FloatArray) -> FloatArray:
        return np.asarray(self.amplitude * (1 + np.tanh(self.scaler * z / 2)) / 2)


@dataclass(frozen=True)
class Trigonometric:
    """g(z) = amplitude·sin(scaler·z)."""

    amplitude: float = 5.0
    scaler: float = 1.0

    def __call__(self, z: FloatArray) -> FloatArray:
        return np.asarray(self.amplitude * np.sin(self.scaler * z))


@dataclass(frozen=True)
class Power:
    """g(z) = y/4·|(y−3)(y+3)(y−5)(y+5)|^(1/5) with y = scaler·z inside (−5, 5), and 0 outside."""

    scaler: float = 1.0

    def __call__(self, z: FloatArray) -> FloatArray:
        y = self.scaler * z
        y = np.where(np.abs(y) < 5, y, 0)
        return np.asarray(y / 4 * np.abs((y**2 - 9) * (y**2 - 25)) ** 0.2)


@dataclass(frozen=True)
class Exponential:
    """g(z) = 25·y / (1 + e^y + e^−y) with y = scaler·z."""

    scaler: float = 1.0

    def __call__(self, z: FloatArray) -> FloatArray:
        y = self.scaler * z
        with np.errstate(over="ignore"):
            return np.asarray(25 * y / (1 + 2 * np.cosh(y)))


class SyntheticLLM:
    """o = gain·(qM + g(eN)) + noise_level·ξ, ξ ~ N(0, I). Without a prompt the g term is absent.

    The last `n_confounded` dimensions of the mean are replaced by noise that depends on neither query nor prompt.

    Args:
        query_matrix: M, (d_q, d_o).
        prompt_matrix: N, (d_a, d_o).
        output_map: g, element by element.
        noise_level: standard deviation of an output around its mean.
        gain: factor on the mean.
        n_confounded: how many output dimensions are confounded.
        confounder_scale: standard deviation of what replaces them, before the gain.

    Raises:
        ValueError: matrices that do not fit, or a level or number out of range.
    """

    def __init__(
        self,
        query_matrix: FloatArray,
        prompt_matrix: FloatArray,
        output_map: OutputMap = linear,
        noise_level: float = 1.0,
        gain: float = 2.0,
        n_confounded: int = 0,
        confounder_scale: float = 1.0,
    ) -> None:
        self.dim_query, self.dim_output = query_matrix.shape
        self.dim_prompt = len(prompt_matrix)
        if prompt_matrix.shape != (self.dim_prompt, self.dim_output):
            raise ValueError(f"prompt_matrix: expected shape (d_a, {self.dim_output}), got {prompt_matrix.shape}")
        if noise_level < 0 or confounder_scale < 0:
            raise ValueError(f"output_noise, confounder_scale: expected >= 0, got {noise_level}, {confounder_scale}")
        if not 0 <= n_confounded <= self.dim_output:
            raise ValueError(f"n_confounded: expected 0 … {self.dim_output}, got {n_confounded}")
        self.query_matrix = np.asarray(query_matrix, dtype=np.float32)
        self.prompt_matrix = np.asarray(prompt_matrix, dtype=np.float32)
        self.output_map, self.noise_level, self.gain = output_map, noise_level, gain
        self.n_confounded, self.confounder_scale = n_confounded, confounder_scale
        self._kept = self.dim_output - n_confounded
        self._query_term = np.float32(gain) * self.query_matrix
        self._query_term[:, self._kept :] = 0
        self._table: tuple[Prompts, FloatArray] | None = None

    def generate(self, obs: Observation, action: IntArray | None, rounds: Rounds) -> Output:
        mean = self._shift(obs)
        if action is not None:
            mean = mean + self._prompt_terms(obs.prompts)[action]
        drawn = self.noise_level * rounds.normal("output", self.dim_output)
        if self.n_confounded:
            drawn[:, self._kept :] += self.gain * self.confounder_scale * rounds.normal("confounder", self.n_confounded)
        return Output((mean + drawn).astype(np.float32))

    def output_distribution(self, obs: Observation) -> GaussianOutputs:
        variance = np.full(self.dim_output, self.noise_level**2)
        variance[self._kept :] += (self.gain * self.confounder_scale) ** 2
        return GaussianOutputs(self._shift(obs), self._prompt_terms(obs.prompts), variance)

    def _shift(self, obs: Observation) -> FloatArray:
        if obs.query is None:
            raise ValueError("SyntheticLLM: expected observations with a query, got none")
        shift: FloatArray = np.einsum("nd,do->no", obs.query, self._query_term)
        return shift

    def _prompt_terms(self, prompts: Prompts) -> FloatArray:
        """gain·g(eN) of the whole table, (|A|, d_o); kept for the table seen last."""
        if self._table is None or self._table[0] is not prompts:
            if prompts.embedding.shape[1] != self.dim_prompt:
                raise ValueError(
                    f"prompts.embedding: expected {self.dim_prompt} dimensions, got {prompts.embedding.shape[1]}"
                )
            terms = self.gain * self.output_map(np.einsum("ad,do->ao", prompts.embedding, self.prompt_matrix))
            terms[:, self._kept :] = 0
            self._table = (prompts, terms.astype(np.float32))
        return self._table[1]
