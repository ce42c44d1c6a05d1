"""Policies that are networks, and policies in two stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from prompt_bandits.policies import softmax
from prompt_bandits.protocols import ActionScore, Policy
from prompt_bandits.types import FloatArray, Observation

from .batch import features_of, to_array, to_tensor
from .clustering import Clustering
from .networks import make_network, network_dims
from .saved_network import network_from_state, network_state
from .training import torch_seed

_NEVER = -1e30  # a logit that no softmax gives mass to, and that has a finite gradient


def masked_log_softmax(logits: Tensor, mask: Tensor | None) -> Tensor:
    """log π(a|x), (B, |A|), over the allowed actions."""
    return torch.log_softmax(logits if mask is None else logits.masked_fill(~mask, _NEVER), dim=1)


class NeuralPolicy:
    """Softmax over a network's logits. Also a score: `Softmax(policy, beta=0.2)` is a softer version of it.

    Args:
        kind: `"mlp"` (by number of the prompt), `"scorer"` or `"pairwise"` (by its features, so that they take
            any table).
        dims: the network's sizes.
        network: the network itself, built from `kind` and `dims` unless given.
    """

    saved_as: ClassVar[str] = "neural_policy"

    def __init__(self, kind: str, dims: dict[str, int], network: nn.Module | None = None) -> None:
        self.kind, self.dims = kind, dims
        self.network = make_network(kind, dims) if network is None else network

    @classmethod
    def initial(cls, kind: str, obs: Observation, hidden: int, seed: int) -> NeuralPolicy:
        """An untrained policy for rounds like `obs`."""
        dims = network_dims(
            kind,
            dim_features=obs.features().shape[1],
            dim_other=obs.prompts.embedding.shape[1],
            n_actions=obs.n_actions,
            hidden=hidden,
        )
        with torch_seed(seed, "policy"):
            return cls(kind, dims)

    def scores(self, obs: Observation) -> FloatArray:
        """Logits (n, |A|)."""
        device = next(self.network.parameters()).device
        with torch.inference_mode():
            return to_array(self.network(features_of(obs, device), to_tensor(obs.prompts.embedding, device)))

    def action_dist(self, obs: Observation) -> FloatArray:
        return softmax(self.scores(obs).astype(np.float64), obs.action_mask)

    def state(self) -> dict[str, Any]:
        return network_state(self.kind, self.dims, self.network)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> NeuralPolicy:
        return cls(*network_from_state(state))


@dataclass(frozen=True, eq=False)
class TwoStage:
    """π(a|x) = π1(c(a)|x)·π2(a|x, c(a)): a cluster first, then a prompt in it (POTEC; Saito et al., 2024).

    Args:
        first_stage: a policy over clusters: it sees the cluster centres as its prompts.
        second_stage: a policy over prompts, asked with all but the cluster's prompts masked.
        clustering: which prompt belongs where.
    """

    first_stage: Policy
    second_stage: Policy
    clustering: Clustering
    saved_as: ClassVar[str] = "two_stage"

    def action_dist(self, obs: Observation) -> FloatArray:
        within = self.clustering.within(obs, self.second_stage)
        first = self.first_stage.action_dist(self.clustering.observation(obs))
        return within * first[:, self.clustering.assignment]


@dataclass(frozen=True, eq=False)
class RewardTwoStage:
    """Two stages, the first by what the second would earn: π1(c|x) ∝ exp(β·Σ_{a∈c} π2(a|x, c)·q̂(x, a)).

    Args:
        second_stage: a policy over prompts, asked with all but the cluster's prompts masked.
        q_hat: a reward model by action, or the oracle.
        clustering: which prompt belongs where.
        beta: inverse temperature of the first stage.
    """

    second_stage: Policy
    q_hat: ActionScore
    clustering: Clustering
    beta: float = 1.0
    saved_as: ClassVar[str] = "reward_two_stage"

    def action_dist(self, obs: Observation) -> FloatArray:
        within = self.clustering.within(obs, self.second_stage)
        value = self.clustering.sum_by_cluster(within * self.q_hat.scores(obs))
        first = softmax(self.beta * value.astype(np.float64), self.clustering.mask(obs))
        return within * first[:, self.clustering.assignment]
