"""Weights of clusters of prompts, and a reward model for what differs within them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ..columns import Column
from ..marginal_weights import Clusters, GroupWeight
from .doubly_robust import DR

CLUSTER_BY = ("prompts", "outputs", "random")


@dataclass(frozen=True)
class OffCEM(DR):
    """mean(Σ_a π·q̂ + w·(r − q̂(x_i, a_i))) with the weight of the logged prompt's cluster, Σ_{a∈c_i} π / Σ_{a∈c_i} π0
    (Saito, Ren and Joachims, 2023, equation 5).

    Unbiased where q̂ knows by how much prompts of one cluster differ, however wrong it is about the clusters; singleton
    clusters are DR, a single one is the direct method with its mean error taken off.

    Raises:
        ValueError: no clusters, an unknown way to cluster, or as `DR`.
    """

    n_clusters: int = 10
    by: str = "prompts"  # their embeddings; "outputs", what the LLM writes for them; or at "random"
    short: ClassVar[str] = "offcem"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_clusters < 1:
            raise ValueError(f"n_clusters: expected >= 1, got {self.n_clusters}")
        if self.by not in CLUSTER_BY:
            raise ValueError(f"by: expected one of {', '.join(CLUSTER_BY)}, got {self.by!r}")

    def columns(self) -> Mapping[str, Column]:
        weight = GroupWeight(self.loggers, groups=Clusters(self.n_clusters, self.by))
        return {**super().columns(), "weight": weight}
