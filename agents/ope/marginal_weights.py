"""Importance weights of what prompts have in common, in place of the prompts themselves."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from prompt_bandits.types import FloatArray, IntArray

from ..protocols import LoggedData
from .chunk import Chunk
from .columns import Weight
from .models import LOGGER_SHARES, Fitter, Models, ModelSpec


@dataclass(frozen=True)
class MarginalWeight(Weight):
    """Σ_a π(a|x_i)·p(e_i|x_i, a) / Σ_a π0(a|x_i)·p(e_i|x_i, a), which is the mean of π/π0 over the prompts that may be
    behind e_i (Saito and Joachims, 2022, equation 7 and lemma 3.5). Subclasses say what e is.
    """

    def refusal(self, data: LoggedData, models: Models) -> str | None:
        return None if data.policies or models.propensity is not None else _NO_LOGGER

    @abstractmethod
    def evidence(self, chunk: Chunk) -> FloatArray:
        """p(e_i|x_i, a), (k, |A|), up to a factor of the round's own."""

    def of(self, chunk: Chunk) -> FloatArray:
        evidence = self.evidence(chunk)
        theirs = mean_under(supported_dist(chunk, self.loggers), evidence)
        return np.divide(mean_under(chunk.action_dist, evidence), theirs, out=np.zeros(len(chunk)), where=theirs > 0)


_NO_LOGGER = (
    "logging_policy: this weight asks what the logging policy would have done instead, but this dataset carries none; "
    "propensities='estimated' fits one"
)


def mean_under(dist: FloatArray, values: FloatArray) -> FloatArray:
    """Σ_a dist·values of tables (k, |A|), (k,)."""
    assert dist.shape == values.shape
    return np.asarray(np.einsum("ka,ka->k", dist, values, dtype=np.float64))


def logging_dist(chunk: Chunk, loggers: str) -> FloatArray:
    """π0(·|x_i), (k, |A|), of the policy that logged the round, or of the average of all if they are "balanced"."""
    if loggers == "naive" or chunk.models.propensity is not None:
        return chunk.logging_dist

    def balanced() -> FloatArray:
        policies, shares = chunk.rows.require_logging_policies(), chunk.models.get(LOGGER_SHARES)
        parts = (share * one.action_dist(chunk.rows.obs) for one, share in zip(policies, shares, strict=True))
        return np.asarray(sum(parts))

    dist: FloatArray = chunk.kept("balanced logging_dist", balanced)
    return dist


def supported_dist(chunk: Chunk, loggers: str) -> FloatArray:
    """`logging_dist`, once it is seen that it takes what was logged.

    Raises:
        ValueError: it gives a logged prompt probability 0.
    """
    dist = logging_dist(chunk, loggers)
    own = chunk.at_logged(dist)
    if not (own > 0).all():
        row = int(np.argmin(own > 0))
        raise ValueError(
            f"logging_policy: expected one that takes the logged prompts, got probability {own[row]:g} for prompt "
            f"{chunk.rows.action[row]} in round {chunk.first + row}"
        )
    return dist


@dataclass(frozen=True)
class GroupWeight(MarginalWeight):
    """The weight of the group of prompts that the logged one belongs to, Σ_{a∈g_i} π / Σ_{a∈g_i} π0."""

    groups: ModelSpec = field(kw_only=True)  # fits to (|A|,) the group of every prompt

    @property
    def needs(self) -> tuple[ModelSpec, ...]:  # type: ignore[override]
        return (*super().needs, self.groups)

    def evidence(self, chunk: Chunk) -> FloatArray:
        group: IntArray = chunk.models.get(self.groups)
        return np.asarray(group[chunk.rows.action][:, None] == group[None, :])


@dataclass(frozen=True)
class PromptCells:
    """Prompts whose embeddings agree in some dimensions, each cut into `bins` quantiles; a dimension with no more
    values than that is left as it is.
    """

    dimensions: tuple[int, ...] | None = None
    bins: int = 4
    name: ClassVar[str] = "prompt_cells"
    of_policy: ClassVar[bool] = False

    def fit(self, fitter: Fitter) -> IntArray:
        """(|A|,). Raises a ValueError where there is no such dimension."""
        return cells(fitter.data.prompts.embedding, self.dimensions, self.bins)


def cells(embedding: FloatArray, dimensions: tuple[int, ...] | None, bins: int) -> IntArray:
    """(|A|,) the cell of each prompt, given embeddings (|A|, d_a); the cells numbered from 0.

    Raises:
        ValueError: a dimension that there is not.
    """
    d = embedding.shape[1]
    chosen = tuple(range(d)) if dimensions is None else dimensions
    if chosen and not 0 <= min(chosen) <= max(chosen) < d:
        raise ValueError(f"dimensions: expected some of 0 … {d - 1}, got {chosen}")
    codes = np.stack([np.zeros(len(embedding), np.int64), *(_binned(embedding[:, j], bins) for j in chosen)], axis=1)
    return np.asarray(np.unique(codes, axis=0, return_inverse=True)[1]).reshape(-1).astype(np.int64)


def _binned(values: FloatArray, bins: int) -> IntArray:
    distinct = np.unique(values)
    if len(distinct) <= bins:
        return np.searchsorted(distinct, values).astype(np.int64)
    edges = np.quantile(values, np.arange(1, bins) / bins)
    return np.searchsorted(edges, values, side="right").astype(np.int64)


@dataclass(frozen=True)
class Clusters:
    """Prompts in clusters, at most as many as there are distinct prompts."""

    n_clusters: int = 10
    by: str = "prompts"  # as `clustering.cluster_prompts`
    name: ClassVar[str] = "clusters"
    of_policy: ClassVar[bool] = False

    def fit(self, fitter: Fitter) -> IntArray:
        """(|A|,). Raises a ValueError where the log says nothing to cluster by."""
        from ..clustering import cluster_prompts

        embedding = fitter.data.prompts.embedding
        most = len(embedding if self.by == "random" else np.unique(embedding, axis=0))
        return cluster_prompts(fitter.data, self.by, min(self.n_clusters, most), seed=fitter.seed).assignment
