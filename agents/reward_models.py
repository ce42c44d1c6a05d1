"""Fitted reward models: by action, q̂(x, a), and by output, r̂(x, o)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor

from prompt_bandits.rounds import RoundStream
from prompt_bandits.types import FloatArray, IntArray, Observation

from .batch import Batch, draw_rows, features_of, to_array, to_tensor
from .losses import squared_loss
from .networks import PairwiseMLP
from .protocols import Callback, LoggedData
from .saved_network import network_from_state, network_state
from .segments import Segments, per_step, segments
from .training import Loss, TrainingConfig, optimise, torch_seed

_CHUNK = 1 << 16


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
    def from_state(cls, state: dict[str, Any]) -> PairModel:
        _, dims, network = network_from_state(state)
        assert isinstance(network, PairwiseMLP)
        return cls(dims, network)


class ActionRewardModel(PairModel):
    """q̂(x, a) from context, query and the prompt's features. A score, so `Softmax(model, beta)` is a policy."""

    saved_as: ClassVar[str] = "action_reward_model"

    def predict(self, obs: Observation, action: IntArray) -> FloatArray:
        """q̂(x_i, a_i), (n,)."""
        return self.pairs(obs, obs.prompts.embedding[action])

    def scores(self, obs: Observation) -> FloatArray:
        """q̂(x_i, a), (n, |A|)."""
        device = next(self.network.parameters()).device
        with torch.inference_mode():
            return to_array(self.network(features_of(obs, device), to_tensor(obs.prompts.embedding, device)))


class OutputRewardModel(PairModel):
    """r̂(x, o) from context, query and the output's embedding."""

    saved_as: ClassVar[str] = "output_reward_model"

    def predict(self, obs: Observation, output: FloatArray) -> FloatArray:
        """r̂(x_i, o_i), (n,), for embeddings (n, d_o)."""
        return self.pairs(obs, output)


@dataclass(frozen=True)
class RewardTraining(TrainingConfig):
    """How reward models are fitted: squared error, the best checkpoint on held-out rounds."""

    lr: float = 1e-3
    weight_decay: float = 1e-4
    steps: int = 5_000
    batch_size: int = 256
    log_every: int = 250
    validation_fraction: float = 0.1
    patience: int | None = 5
    hidden: int = 100

    @classmethod
    def published(cls) -> RewardTraining:
        """The published settings: Adam 1e-4, 100 × 1000 steps of 32; a fifth held out, but the last weights kept."""
        return cls(
            lr=1e-4,
            weight_decay=0.0,
            steps=100_000,
            batch_size=32,
            log_every=1000,
            validation_fraction=0.2,
            checkpoint="last",
            patience=None,
        )


def fit_action_reward_model(
    data: LoggedData, training: RewardTraining | None = None, *, seed: int, callback: Callback | None = None
) -> ActionRewardModel:
    """q̂(x, a) by regression on logged (context, query, prompt, reward)."""
    training = training or RewardTraining()
    rounds = segments(data, training, seed)
    table = to_tensor(data.prompts.embedding, training.device)
    model = _new(ActionRewardModel, rounds, table.shape[1], training.hidden, seed)
    label = "reward model by action"
    _regress(model.network, rounds, lambda batch: table[batch.action], training, seed, label, callback)
    return model


def fit_output_reward_model(
    data: LoggedData, training: RewardTraining | None = None, *, seed: int, callback: Callback | None = None
) -> OutputRewardModel:
    """r̂(x, o) by regression on logged (context, query, output, reward)."""
    training = training or RewardTraining()
    rounds = segments(data, training, seed)
    model = _new(OutputRewardModel, rounds, rounds.like.require_output().shape[1], training.hidden, seed)
    _regress(model.network, rounds, _output_of, training, seed, "reward model by output", callback)
    return model


def _output_of(batch: Batch) -> Tensor:
    assert batch.output is not None
    return batch.output


_Model = TypeVar("_Model", bound=PairModel)


def _new(cls: type[_Model], rounds: Segments, dim_other: int, hidden: int, seed: int) -> _Model:
    dim_features = rounds.like.obs.features().shape[1]
    with torch_seed(seed, cls.saved_as):
        return cls({"dim_features": dim_features, "dim_other": dim_other, "hidden": hidden})


def _regress(
    network: PairwiseMLP,
    rounds: Segments,
    other: Callable[[Batch], Tensor],
    training: RewardTraining,
    seed: int,
    label: str,
    callback: Callback | None,
) -> None:
    batches = per_step(rounds.parts, lambda data: Batch.of(data, training.device))
    stream = RoundStream(seed, f"fit/{label}")
    network.to(training.device)

    def error(rows: Batch) -> Tensor:
        return squared_loss(network.pairs(rows.features, other(rows)), rows.reward)

    validate = None
    if rounds.held_out is not None:
        judged = Batch.of(rounds.held_out, training.device)
        validate = lambda: float(error(judged))  # noqa: E731

    def loss(_: int) -> Loss:
        batch = next(batches)
        return Loss(error(batch.take(draw_rows(stream, training.batch_size, len(batch), training.device))))

    optimise(network, loss, training, label=label, validate=validate, callback=callback)
