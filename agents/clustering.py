"""Groups of prompts, for policies in two stages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from prompt_bandits.datasets import BanditDataset
from prompt_bandits.policies import EpsilonGreedy, Softmax
from prompt_bandits.protocols import Policy
from prompt_bandits.rounds import named_generator
from prompt_bandits.types import BoolArray, FloatArray, IntArray, Observation, Prompts

from .cross_fitting import unseen_models
from .output_model import fit_output_model
from .protocols import LoggedData, QFunction

_CELLS = 1 << 22  # rounds × prompts worked on at a time


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

    def check(self, prompts: Prompts) -> None:
        """Raises a ValueError unless there is an assignment for each of these prompts."""
        if len(self.assignment) != len(prompts):
            raise ValueError(f"clustering: expected one of {len(prompts)} prompts, got one of {len(self.assignment)}")

    def sum_by_cluster(self, values: FloatArray) -> FloatArray:
        """Σ over the prompts of each cluster: (n, |A|) -> (n, K). Of an `action_dist` these are the cluster
        probabilities.
        """
        members = np.zeros((len(self.assignment), self.n_clusters), dtype=values.dtype)
        members[np.arange(len(self.assignment)), self.assignment] = 1
        return values @ members

    def within(self, obs: Observation, policy: Policy) -> FloatArray:
        """π(a|x, c(a)), (n, |A|): the policy confined to each cluster in turn; 0 where a mask empties a cluster."""
        if isinstance(policy, EpsilonGreedy | Softmax):  # asked once a cluster, it would score every prompt each time
            policy = replace(policy, score=_Known(policy.score.scores(obs)))
        out = np.zeros((len(obs), obs.n_actions))
        allowed = np.ones(out.shape, dtype=bool) if obs.action_mask is None else obs.action_mask
        for cluster in range(self.n_clusters):
            members = allowed & (self.assignment == cluster)
            empty = ~members.any(axis=1, keepdims=True)
            confined = replace(obs, action_mask=np.where(empty, allowed, members))
            out += np.where(empty, 0, policy.action_dist(confined))
        return out

    def rounds(self, data: BanditDataset) -> BanditDataset:
        """The same log with clusters for prompts: who was in which cluster, and π0(c_i|x_i) = Σ_{a∈c_i} π0(a|x_i).

        Without logging policies the propensities become unknown.
        """
        cluster = self.assignment[data.action]
        propensity = None
        if data.policies:
            chunk = max(1, _CELLS // data.n_actions)
            propensity = np.empty(len(data))
            for begin in range(0, len(data), chunk):
                rows = slice(begin, begin + chunk)
                dist = self.sum_by_cluster(data.logging_dist(rows))
                propensity[rows] = np.minimum(dist[np.arange(len(dist)), cluster[rows]], 1)
        return replace(
            data, obs=self.observation(data.obs), action=cluster, propensity=propensity, policies=(), policy_id=None
        )

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


@dataclass(frozen=True, eq=False)
class _Known:
    """Scores that are known already."""

    value: FloatArray  # (n, |A|)

    def scores(self, obs: Observation) -> FloatArray:
        return self.value


@dataclass(frozen=True, eq=False)
class ClusterReward:
    """What a reward model by action expects of each cluster when its best prompt is shown: a reward model whose
    actions are clusters.

    Args:
        q_hat: of the prompts.
        clustering: which prompt belongs where.
    """

    q_hat: QFunction
    clustering: Clustering

    def best(self, obs: Observation) -> IntArray:
        """argmax_{a∈c} q̂(x, a), (n, K); of a cluster with all prompts masked, any."""
        return self._best(obs, self.q_hat.scores(obs))

    def scores(self, obs: Observation) -> FloatArray:
        """max_{a∈c} q̂(x, a), (n, K)."""
        scores = self.q_hat.scores(obs)
        return np.take_along_axis(scores, self._best(obs, scores), axis=1)

    def predict(self, obs: Observation, action: IntArray) -> FloatArray:
        """max_{a∈c_i} q̂(x_i, a), (n,)."""
        return self.scores(obs)[np.arange(len(obs)), action]

    def unseen(self, data: BanditDataset) -> Iterator[tuple[IntArray, QFunction]]:
        """Row numbers, and what is to be asked about them, where q̂ is cross-fitted."""
        for rows, model in unseen_models(self.q_hat, data):
            yield rows, ClusterReward(model, self.clustering)

    def _best(self, obs: Observation, scores: FloatArray) -> IntArray:
        if obs.action_mask is not None:
            scores = np.where(obs.action_mask, scores, -np.inf)
        members = [np.flatnonzero(self.clustering.assignment == k) for k in range(self.clustering.n_clusters)]
        return np.stack([own[scores[:, own].argmax(axis=1)] for own in members], axis=1)


def random_clusters(n_actions: int, n_clusters: int, seed: int = 0) -> Clustering:
    """Prompts dealt out at random, in clusters of one size; a cluster's features are its own number's.

    Raises:
        ValueError: not 1 … |A| clusters.
    """
    if not 1 <= n_clusters <= n_actions:
        raise ValueError(f"n_clusters: expected 1 … {n_actions} (n_actions), got {n_clusters}")
    dealt = named_generator(seed, "clusters").permutation(n_actions)
    return Clustering(dealt % n_clusters, np.eye(n_clusters, dtype=np.float32))


def kmeans(features: FloatArray, n_clusters: int, seed: int = 0) -> Clustering:
    """K-means on features (|A|, d) of the prompts: their embeddings, or mean outputs.

    Raises:
        ValueError: not 1 … |A| clusters, or fewer distinct prompts than clusters.
    """
    from sklearn.cluster import KMeans

    distinct = len(np.unique(features, axis=0))
    if not 1 <= n_clusters <= distinct:
        raise ValueError(f"n_clusters: expected 1 … {distinct} (distinct prompts), got {n_clusters}")
    state = int(named_generator(seed, "k-means").integers(2**32))
    fitted = KMeans(n_clusters, n_init=10, random_state=state).fit(features)
    return Clustering(fitted.labels_.astype(np.int64), fitted.cluster_centers_.astype(np.float32))


def cluster_prompts(data: LoggedData, by: str, n_clusters: int, *, seed: int) -> Clustering:
    """The prompts of a log in clusters: by k-means on their embeddings (`by="prompts"`) or on what the LLM writes for
    them on average (`"outputs"`, as far as the log tells), or at `"random"`.

    Raises:
        ValueError: more clusters than distinct prompts, or no outputs in the log.
    """
    if by == "random":
        return random_clusters(len(data.prompts), n_clusters, seed)
    if by == "outputs":
        return kmeans(fit_output_model(data, seed=seed).mean_by_prompt(), n_clusters, seed)
    return kmeans(data.prompts.embedding, n_clusters, seed)
