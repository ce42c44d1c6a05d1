"""Groups of prompts, for policies in two stages."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from prompt_bandits.protocols import Policy
from prompt_bandits.types import BoolArray, FloatArray, IntArray, Observation, Prompts


@dataclass(frozen=True, eq=False)
class Clustering:
    """Which cluster every prompt belongs to.

    Raises:
        ValueError: an assignment outside 0 … K−1, or an empty cluster.
    """

    assignment: IntArray  # (|A|,)
    centers: FloatArray  # (K, d) features of the clusters
    saved_as: ClassVar[str] = "clustering"

    def __post_init__(self) -> None:
        if not np.array_equal(np.unique(self.assignment), np.arange(len(self.centers))):
            raise ValueError(
                f"assignment: expected every cluster 0 … {len(self.centers) - 1}, got {np.unique(self.assignment)}"
            )

    @property
    def n_clusters(self) -> int:
        return len(self.centers)

    def sum_by_cluster(self, values: FloatArray) -> FloatArray:
        """Σ over the prompts of each cluster: (n, |A|) -> (n, K). Of an `action_dist` these are the cluster
        probabilities.
        """
        members = np.zeros((len(self.assignment), self.n_clusters), dtype=values.dtype)
        members[np.arange(len(self.assignment)), self.assignment] = 1
        return values @ members

    def within(self, obs: Observation, policy: Policy) -> FloatArray:
        """π(a|x, c(a)), (n, |A|): the policy confined to each cluster in turn; 0 where a mask empties a cluster."""
        out = np.zeros((len(obs), obs.n_actions))
        allowed = np.ones(out.shape, dtype=bool) if obs.action_mask is None else obs.action_mask
        for cluster in range(self.n_clusters):
            members = allowed & (self.assignment == cluster)
            empty = ~members.any(axis=1, keepdims=True)
            confined = replace(obs, action_mask=np.where(empty, allowed, members))
            out += np.where(empty, 0, policy.action_dist(confined))
        return out

    def observation(self, obs: Observation) -> Observation:
        """The same rounds with clusters for prompts."""
        return replace(obs, prompts=Prompts.from_embedding(self.centers), action_mask=self.mask(obs))

    def mask(self, obs: Observation) -> BoolArray | None:
        """(n, K) a cluster is allowed if one of its prompts is; None without a mask."""
        return None if obs.action_mask is None else self.sum_by_cluster(obs.action_mask.astype(float)) > 0

    def inverse_probability_spread(self, dist: FloatArray) -> FloatArray:
        """Standard deviation over clusters of 1/π0(c|x), (n,): how uneven cluster-level importance weights will be;
        `inf` where a cluster is never taken.
        """
        probability = self.sum_by_cluster(dist)
        if (probability <= 0).any():
            probability = np.where(probability <= 0, np.nan, probability)
        spread = (1 / probability).std(axis=1)
        return np.where(np.isnan(spread), np.inf, spread)


def kmeans(features: FloatArray, n_clusters: int, seed: int = 0) -> Clustering:
    """K-means on features (|A|, d) of the prompts: their embeddings, or mean outputs.

    Raises:
        ValueError: not 1 … |A| clusters, or fewer distinct prompts than clusters.
    """
    from sklearn.cluster import KMeans

    distinct = len(np.unique(features, axis=0))
    if not 1 <= n_clusters <= distinct:
        raise ValueError(f"n_clusters: expected 1 … {distinct} (distinct prompts), got {n_clusters}")
    fitted = KMeans(n_clusters, n_init=10, random_state=seed).fit(features)
    return Clustering(fitted.labels_.astype(np.int64), fitted.cluster_centers_.astype(np.float32))
