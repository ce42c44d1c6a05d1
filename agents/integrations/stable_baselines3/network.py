"""What an SB3 model has learnt, as one network from features (n, d) to a number for every prompt (n, |A|)."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy, MultiInputActorCriticPolicy
from stable_baselines3.common.torch_layers import CombinedExtractor, FlattenExtractor
from stable_baselines3.dqn.policies import DQNPolicy
from stable_baselines3.dqn.policies import MultiInputPolicy as MultiInputDQNPolicy
from torch import Tensor, nn

from .plain_layers import copied_layers


def scoring_network(policy: BasePolicy) -> nn.Module:
    """A copy of the part that chooses: logits of an actor-critic policy, Q-values of a DQN.

    Plain layers where the policy is one of SB3's `MlpPolicy` or `MultiInputPolicy` (those can be saved), else the
    policy as a whole.

    Raises:
        ValueError: actions that are no list of prompts, or a policy that scores no prompts.
    """
    if not isinstance(policy.action_space, spaces.Discrete):
        raise ValueError(
            f"model: expected one that chooses among prompts (action_mode='index'), got actions {policy.action_space}"
        )
    if hasattr(policy, "lstm_actor") or (not hasattr(policy, "get_distribution") and _values(policy) is None):
        raise ValueError(
            "model: expected an actor-critic without memory (PPO, A2C, TRPO, MaskablePPO) or a DQN, got "
            f"{type(policy).__name__}"
        )
    return copied_layers(_layers(policy)) or WholePolicy(_copied(policy))


class WholePolicy(nn.Module):
    """A policy with layers of its own; features are handed to it in the shape of its observations."""

    def __init__(self, policy: Any) -> None:
        super().__init__()
        self.policy: Any = policy

    def forward(self, features: Tensor) -> Tensor:  # (n, d) -> (n, |A|)
        obs = _as_observation(features, self.policy.observation_space)
        values = _values(self.policy)
        scores: Tensor = self.policy.get_distribution(obs).distribution.logits if values is None else values(obs)
        return scores if scores.ndim == 2 else scores.mean(dim=1)  # quantiles (n, K, |A|)


def _values(policy: Any) -> Any:
    """The Q-network; None of policies that have none."""
    return getattr(policy, "quantile_net", getattr(policy, "q_net", None))


def _layers(policy: Any) -> list[nn.Module]:
    """The layers between features and scores, in order; none where anything but plain concatenation precedes them."""
    if type(policy) not in _plain_policies():
        return []
    q_net = _values(policy)
    extractor = policy.pi_features_extractor if q_net is None else q_net.features_extractor
    if type(extractor) not in (FlattenExtractor, CombinedExtractor) or not _only_vectors(policy.observation_space):
        return []
    return [*policy.mlp_extractor.policy_net, policy.action_net] if q_net is None else [*q_net.q_net]


def _plain_policies() -> tuple[type, ...]:
    """SB3's own, and those of MaskablePPO where sb3-contrib is installed."""
    own = (ActorCriticPolicy, MultiInputActorCriticPolicy, DQNPolicy, MultiInputDQNPolicy)
    try:
        from sb3_contrib.common.maskable import policies
    except ImportError:
        return own
    return (*own, policies.MaskableActorCriticPolicy, policies.MaskableMultiInputActorCriticPolicy)


def _only_vectors(space: spaces.Space[Any]) -> bool:
    parts = space.spaces.values() if isinstance(space, spaces.Dict) else (space,)
    return all(isinstance(part, spaces.Box) and len(part.shape) == 1 for part in parts)


def _copied(policy: BasePolicy) -> BasePolicy:
    """A copy without the optimiser, which may hold twice as much again, and without the last distribution, whose
    gradients cannot be copied.
    """
    left_out = (policy.optimizer, getattr(getattr(policy, "action_dist", None), "distribution", None))
    copy = deepcopy(policy, {id(part): None for part in left_out})
    copy.set_training_mode(False)
    return copy.cpu()


def _as_observation(features: Tensor, space: spaces.Space[Any]) -> Any:
    if not isinstance(space, spaces.Dict):
        return features.reshape(-1, *(space.shape or ()))
    sizes = [spaces.flatdim(part) for part in space.spaces.values()]
    columns = torch.split(features, sizes, dim=1)
    return {
        name: column.reshape(-1, *(part.shape or ()))
        for (name, part), column in zip(space.spaces.items(), columns, strict=True)
    }
