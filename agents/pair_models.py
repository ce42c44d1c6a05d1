"""Fitted models that are an MLP of a round and something in it: reward models by action, q̂(x, a), and by output,
r̂(x, o).
"""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from typing_extensions import Self

from prompt_bandits.types import FloatArray, IntArray, Observation

from .batch import features_of, to_array, to_tensor
from .networks import PairwiseMLP
from .saved_network import network_from_state, network_state

_CHUNK = 1 << 16
LINKS = ("identity", "logistic")


@runtime_checkable
class OutputReward(Protocol):
    """A fitted reward model by output."""

    def predict(self, obs: Observation, output: FloatArray) -> FloatArray:
        """r̂(x_i, o_i), (n,), for embeddings (n, d_o)."""
        ...


class PairModel:
    """An MLP [x; q; v] → a number, with numpy on the outside."""

    saved_as: ClassVar[str]

    def __init__(self, dims: dict[str, int], network: PairwiseMLP | None = None) -> None:
        self.dims = dims
        self.network = PairwiseMLP(**dims) if network is None else network

    def pairs(self, obs: Observation, other: FloatArray) -> FloatArray:
        """(n,) for features v (n, d_v), a few rows at a time."""
        device = next(self.network.parameters()).device
        if other.shape != (len(obs), self.dims["dim_other"]):
            raise ValueError(f"features: expected shape ({len(obs)}, {self.dims['dim_other']}), got {other.shape}")
        out = np.empty(len(obs), dtype=np.float32)
        with torch.inference_mode():
            for begin in range(0, len(obs), _CHUNK):
                rows = slice(begin, begin + _CHUNK)
                out[rows] = to_array(
                    self.network.pairs(features_of(obs.take(rows), device), to_tensor(other[rows], device))
                )
        return out

    def state(self) -> dict[str, Any]:
        return network_state("pairwise", self.dims, self.network)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        return cls(*_parts(state))


def _parts(state: dict[str, Any]) -> tuple[dict[str, int], PairwiseMLP]:
    _, dims, network = network_from_state(state)
    assert isinstance(network, PairwiseMLP)
    return dims, network


class RewardModel(PairModel):
    """What reward models share: the link from the network's number to the reward.

    Args:
        dims: the network's sizes.
        network: the network itself, built from `dims` unless given.
        link: "identity", or "logistic" for probabilities.
    """

    def __init__(self, dims: dict[str, int], network: PairwiseMLP | None = None, link: str = "identity") -> None:
        super().__init__(dims, network)
        if link not in LINKS:
            raise ValueError(f"link: expected one of {', '.join(LINKS)}, got {link!r}")
        self.link = link

    def linked(self, raw: Tensor) -> Tensor:
        """The reward that the network's numbers stand for, of the same shape."""
        return torch.sigmoid(raw) if self.link == "logistic" else raw

    def _predict(self, obs: Observation, other: FloatArray) -> FloatArray:
        return to_array(self.linked(torch.from_numpy(self.pairs(obs, other))))

    def state(self) -> dict[str, Any]:
        # the identity is left out, so that such a model's fingerprint is what it was before there were links
        return super().state() | ({} if self.link == "identity" else {"link": self.link})

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        return cls(*_parts(state), state.get("link", "identity"))


class ActionRewardModel(RewardModel):
    """q̂(x, a) from context, query and the prompt's features. A score, so `Softmax(model, beta)` is a policy."""

    saved_as: ClassVar[str] = "action_reward_model"

    def predict(self, obs: Observation, action: IntArray) -> FloatArray:
        """q̂(x_i, a_i), (n,)."""
        return self._predict(obs, obs.prompts.embedding[action])

    def scores(self, obs: Observation) -> FloatArray:
        """q̂(x_i, a), (n, |A|)."""
        device = next(self.network.parameters()).device
        with torch.inference_mode():
            table = to_tensor(obs.prompts.embedding, device)
            return to_array(self.linked(self.network(features_of(obs, device), table)))


class OutputRewardModel(RewardModel):
    """r̂(x, o) from context, query and the output's embedding."""

    saved_as: ClassVar[str] = "output_reward_model"

    def predict(self, obs: Observation, output: FloatArray) -> FloatArray:
        """r̂(x_i, o_i), (n,), for embeddings (n, d_o)."""
        return self._predict(obs, output)
