"""Synthetic users and queries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from prompt_bandits.protocols import ContextQuerySource
from prompt_bandits.rounds import Rounds
from prompt_bandits.types import FloatArray, Observation, Prompts


class GaussianContexts:
    """(context, query) ~ N(mean, covariance), jointly.

    Args:
        covariance: (d_x + d_q, d_x + d_q), symmetric and positive semi-definite.
        dim_context: d_x; the rest of the dimensions are the query's.
        mean: (d_x + d_q,), zero unless given.

    Raises:
        ValueError: shapes that do not fit, or a matrix that is no covariance.
    """

    def __init__(self, covariance: FloatArray, dim_context: int, mean: FloatArray | None = None) -> None:
        covariance = np.asarray(covariance, dtype=np.float64)
        dim = len(covariance)
        if covariance.shape != (dim, dim) or not 0 < dim_context < dim:
            raise ValueError(
                f"covariance: expected shape (d_x + d_q, d_x + d_q) with d_x={dim_context}, got {covariance.shape}"
            )
        self.dim_context, self.dim_query = dim_context, dim - dim_context
        self.covariance = covariance
        self._factor = _covariance_factor(covariance)
        self.mean = np.zeros(dim) if mean is None else np.asarray(mean, dtype=np.float64)
        if self.mean.shape != (dim,):
            raise ValueError(f"mean: expected shape ({dim},), got {self.mean.shape}")

    def observe(self, rounds: Rounds, prompts: Prompts) -> Observation:
        drawn = np.einsum("nd,de->ne", rounds.normal("context", len(self.mean)), self._factor)
        drawn = (drawn + self.mean).astype(np.float32)
        return Observation(drawn[:, : self.dim_context], prompts, drawn[:, self.dim_context :])


class RandomMask:
    """Lets only some prompts stand for election: each is masked out with probability `rate`, never all of a round."""

    def __init__(self, source: ContextQuerySource, rate: float) -> None:
        if not 0 <= rate < 1:
            raise ValueError(f"mask_rate: expected in [0, 1), got {rate}")
        self.source, self.rate = source, rate

    def observe(self, rounds: Rounds, prompts: Prompts) -> Observation:
        drawn = rounds.uniform("action_mask", len(prompts))
        mask = drawn >= np.minimum(self.rate, drawn.max(axis=1, keepdims=True))
        return replace(self.source.observe(rounds, prompts), action_mask=mask)


def _covariance_factor(covariance: FloatArray) -> FloatArray:
    """F with Fᵀ·F = covariance; by eigenvalues, so that a singular matrix will do."""
    if not np.isfinite(covariance).all() or not np.allclose(covariance, covariance.T, atol=1e-8):
        raise ValueError("covariance: expected a finite, symmetric matrix")
    values, vectors = np.linalg.eigh(covariance)
    if values.min() < -1e-6 * max(1.0, values.max()):
        raise ValueError(f"covariance: expected positive semi-definite, got an eigenvalue of {values.min():.3g}")
    factor: FloatArray = (vectors * np.sqrt(values.clip(0))).T
    return factor
