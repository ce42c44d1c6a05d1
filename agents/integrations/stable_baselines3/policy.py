"""A Stable-Baselines3 model as our `Policy`, with the probabilities that the model itself draws with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import nn

from prompt_bandits.policies import EpsilonGreedy, softmax
from prompt_bandits.saving import register_saved
from prompt_bandits.types import FloatArray, Observation

from ...batch import to_array, to_tensor
from .network import scoring_network
from .normalizing import Standardising
from .plain_layers import layers_from_state, layers_state


@register_saved
@dataclass(frozen=True, eq=False)
class SB3Policy:
    """What `model.predict(obs, deterministic=False)` plays, as it is now; the model may learn on.

    PPO, A2C, TRPO and MaskablePPO: the softmax of their logits, over the allowed prompts where a round has a mask. DQN:
    ε-greedy, with probability ε any allowed prompt (the best included), else the best. Masks hold for models that know
    nothing of them too. `scores` are the logits or Q-values, so `EpsilonGreedy(policy)` is the model's deterministic
    choice and `Softmax(policy, beta)` a softer or harder one.

    Args:
        network: features (n, d) to scores (n, |A|).
        epsilon: None for softmax.
        standardising: what `VecNormalize` does to features, where the model learnt under one.
        dim_features: d, for a message where it does not fit.
    """

    network: nn.Module
    epsilon: float | None
    standardising: Standardising | None
    dim_features: int
    saved_as: ClassVar[str] = "sb3_policy"

    @classmethod
    def of(cls, model: BaseAlgorithm, epsilon: float | None = None) -> SB3Policy:
        """A snapshot of the model.

        Args:
            model: with Discrete actions, learnt on vectors or on Dicts of vectors.
            epsilon: of a DQN; its present `exploration_rate` unless given.

        Raises:
            ValueError: a model that does not choose among prompts (SAC, PPO on embeddings), one with memory, or an ε
                for a model that has none.
        """
        network, greedy = scoring_network(model.policy), hasattr(model, "exploration_rate")
        if epsilon is not None and not (greedy and 0 <= epsilon <= 1):
            raise ValueError(f"epsilon: expected one in [0, 1], of a DQN, got {epsilon} for {type(model).__name__}")
        own = float(getattr(model, "exploration_rate", 0.0)) if epsilon is None else epsilon
        standardising = Standardising.of(model.get_vec_normalize_env(), model.observation_space)
        assert model.observation_space is not None
        return cls(network, own if greedy else None, standardising, _dim(model.observation_space))

    def scores(self, obs: Observation) -> FloatArray:
        """Logits or Q-values (n, |A|) float32."""
        features = obs.features()
        if features.shape[1] != self.dim_features:
            raise ValueError(
                f"obs: expected {self.dim_features} features a round, as the model learnt on, got {features.shape[1]}"
            )
        if self.standardising is not None:
            features = self.standardising(features)
        with torch.inference_mode():
            scores = to_array(self.network(to_tensor(features)))
        if scores.shape[1] != obs.n_actions:
            raise ValueError(f"obs: expected {scores.shape[1]} prompts, as the model learnt on, got {obs.n_actions}")
        return scores

    def action_dist(self, obs: Observation) -> FloatArray:
        if self.epsilon is None:
            return softmax(self.scores(obs).astype(np.float64), obs.action_mask)
        return EpsilonGreedy(self, self.epsilon).action_dist(obs)

    def state(self) -> dict[str, Any]:
        return {
            "layers": layers_state(self.network),
            "epsilon": self.epsilon,
            "standardising": self.standardising,
            "dim_features": self.dim_features,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> SB3Policy:
        network = layers_from_state(state["layers"])
        return cls(network, state["epsilon"], state["standardising"], state["dim_features"])


def _dim(space: Any) -> int:
    from gymnasium.spaces import flatdim

    return int(flatdim(space))
