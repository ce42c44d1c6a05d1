"""Synthetic users: the mean reward given context, query and output."""

from __future__ import annotations

import numpy as np

from prompt_bandits.types import FloatArray, GaussianOutputs, IntArray, Observation, Output


class BilinearReward:
    """r(x, q, o) = (xC + qQ)·o / normalizer, over the first k dimensions of the output.

    With k < d_o the reward is sparse: it ignores the other dimensions.

    Args:
        context_matrix: C, (d_x, k).
        query_matrix: Q, (d_q, k).
        normalizer: 5·(d_x + d_q)·k unless given.

    Raises:
        ValueError: matrices that do not fit, or a normalizer that is not positive.
    """

    def __init__(self, context_matrix: FloatArray, query_matrix: FloatArray, normalizer: float | None = None) -> None:
        self.dim_context, self.dim_relevant = context_matrix.shape
        self.dim_query = len(query_matrix)
        if query_matrix.shape != (self.dim_query, self.dim_relevant):
            raise ValueError(f"query_matrix: expected shape (d_q, {self.dim_relevant}), got {query_matrix.shape}")
        self.context_matrix = np.asarray(context_matrix, dtype=np.float32)
        self.query_matrix = np.asarray(query_matrix, dtype=np.float32)
        self.normalizer = (
            5.0 * (self.dim_context + self.dim_query) * self.dim_relevant if normalizer is None else normalizer
        )
        if not self.normalizer > 0:
            raise ValueError(f"normalizer: expected > 0, got {self.normalizer}")
        self._matrix = np.concatenate([self.context_matrix, self.query_matrix]) / np.float32(self.normalizer)

    def expected(self, obs: Observation, output: Output) -> FloatArray:
        if output.embedding is None or output.embedding.shape[1] < self.dim_relevant:
            got = "no embedding" if output.embedding is None else f"{output.embedding.shape[1]} dimensions"
            raise ValueError(f"output: expected an embedding of at least {self.dim_relevant} dimensions, got {got}")
        relevant = output.embedding[:, : self.dim_relevant]
        return np.asarray(np.einsum("nk,nk->n", self._taste(obs), relevant), dtype=np.float64)

    def mean_over(self, obs: Observation, outputs: GaussianOutputs, action: IntArray | None) -> FloatArray:
        return self.moments_over(obs, outputs, action)[0]

    def moments_over(
        self, obs: Observation, outputs: GaussianOutputs, action: IntArray | None
    ) -> tuple[FloatArray, FloatArray]:
        """Mean, (n, |A|) or (n,) of given actions, and variance (n,) over Gaussian outputs."""
        taste, k = self._taste(obs), self.dim_relevant
        shift = np.einsum("nk,nk->n", taste, outputs.shift[:, :k])
        variance = np.einsum("nk,k->n", taste**2, outputs.variance[:k])
        if action is not None:
            return shift + np.einsum("nk,nk->n", taste, outputs.prompt[action, :k]), variance
        return shift[:, None] + taste @ outputs.prompt[:, :k].T, variance

    def _taste(self, obs: Observation) -> FloatArray:
        """(xC + qQ) / normalizer, (n, k): what this user likes to see."""
        features = obs.features()
        if features.shape[1] != len(self._matrix):
            raise ValueError(
                f"observation: expected {len(self._matrix)} context and query features, got {features.shape[1]}"
            )
        taste: FloatArray = np.einsum("nd,dk->nk", features, self._matrix)
        return taste


class ProbitReward:
    """The probability of a binary reward: Φ(score), the score being a bilinear reward.

    Over Gaussian outputs its mean is Φ(m / sqrt(1 + v)) with m and v the score's mean and variance.
    """

    def __init__(self, score: BilinearReward) -> None:
        self.score = score

    def expected(self, obs: Observation, output: Output) -> FloatArray:
        return _normal_cdf(self.score.expected(obs, output))

    def mean_over(self, obs: Observation, outputs: GaussianOutputs, action: IntArray | None) -> FloatArray:
        mean, variance = self.score.moments_over(obs, outputs, action)
        scale = np.sqrt(1 + variance)
        return _normal_cdf(mean / (scale if action is not None else scale[:, None]))


def _normal_cdf(z: FloatArray) -> FloatArray:
    from scipy.special import ndtr  # slow to import, and only binary rewards need it

    probability: FloatArray = ndtr(z)
    return probability
