"""Reward models fitted to logged rounds: by action, q̂(x, a), and by output, r̂(x, o)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from torch import Tensor

from prompt_bandits.datasets import BanditDataset
from prompt_bandits.policies import Uniform
from prompt_bandits.rounds import Rounds, RoundStream
from prompt_bandits.types import IntArray, Prompts

from .batch import Batch, to_tensor
from .pair_models import ActionRewardModel, OutputReward, OutputRewardModel, PairModel, RewardModel
from .processes import current
from .protocols import Callback, LoggedData, SamplesOutputs
from .reward_training import M, Pairs, RewardTraining, new_model, regress
from .sampling import output_embedding, without_mask
from .segments import Segment, Segments, per_step, segments

__all__ = [
    "ActionRewardModel",
    "OutputReward",
    "OutputRewardModel",
    "PairModel",
    "RewardModel",
    "RewardTraining",
    "fit_action_reward_model",
    "fit_output_reward_model",
]


def fit_action_reward_model(
    data: LoggedData, training: RewardTraining | None = None, *, seed: int, callback: Callback | None = None
) -> ActionRewardModel:
    """q̂(x, a) by regression on logged (context, query, prompt, reward).

    Raises:
        ValueError: rewards outside [0, 1] with `loss="bce"`.
    """
    training = training or RewardTraining()
    view = ByAction(data.prompts, training.device)
    return fit_on(segments(data, training, seed), ActionRewardModel, view, training, seed=seed, callback=callback)


def fit_output_reward_model(
    data: LoggedData,
    training: RewardTraining | None = None,
    *,
    seed: int,
    simulator: SamplesOutputs | None = None,
    callback: Callback | None = None,
) -> OutputRewardModel:
    """r̂(x, o) by regression on logged (context, query, output, reward).

    Args:
        data: logged rounds with output embeddings.
        training: settings.
        seed: of the initial weights, the minibatches and all other draws.
        simulator: sampling rights, used where `training.pessimism > 0`: the negative is a fresh output of a uniform
            random allowed prompt. Without a simulator it is what another round logged, which answers another query
            and comes from the logging policy's prompts; a cruder penalty.
        callback: called at every log.

    Raises:
        ValueError: no output embeddings, or rewards outside [0, 1] with `loss="bce"`.
    """
    training = training or RewardTraining()
    view = ByOutput(simulator, training.device)
    return fit_on(segments(data, training, seed), OutputRewardModel, view, training, seed=seed, callback=callback)


class View(Protocol):
    """What of a round the model looks at, beside context and query."""

    label: ClassVar[str]

    def dim(self, like: BanditDataset) -> int:
        """d_v."""
        ...

    def logged(self, rows: Batch) -> Tensor:
        """(B, d_v)."""
        ...

    def negative(self, data: BanditDataset, index: IntArray, rounds: Rounds) -> Tensor:
        """(B, d_v) of something else than was logged in the rows `index` of the rounds in memory."""
        ...


class ByAction:
    """The prompt's features."""

    label: ClassVar[str] = "reward model by action"

    def __init__(self, prompts: Prompts, device: str) -> None:
        self.table, self.device = to_tensor(prompts.embedding, device), device

    def dim(self, like: BanditDataset) -> int:
        return int(self.table.shape[1])

    def logged(self, rows: Batch) -> Tensor:
        return self.table[rows.action]

    def negative(self, data: BanditDataset, index: IntArray, rounds: Rounds) -> Tensor:
        action, _ = Uniform().sample(data.obs.take(index), rounds)
        return self.table[to_tensor(action, self.device)]


class ByOutput:
    """The output's embedding."""

    label: ClassVar[str] = "reward model by output"

    def __init__(self, simulator: SamplesOutputs | None, device: str) -> None:
        self.simulator, self.device = simulator, device

    def dim(self, like: BanditDataset) -> int:
        return int(like.require_output().shape[1])

    def logged(self, rows: Batch) -> Tensor:
        assert rows.output is not None
        return rows.output

    def negative(self, data: BanditDataset, index: IntArray, rounds: Rounds) -> Tensor:
        if self.simulator is not None:
            obs = data.obs.take(index)
            action, _ = Uniform().sample(obs, rounds)
            return to_tensor(output_embedding(self.simulator, without_mask(obs), action, rounds), self.device)
        further = 1 + rounds.integers("negative", max(1, len(data) - 1))
        return to_tensor(data.require_output()[(index + further) % len(data)], self.device)


def fit_on(
    rounds: Segments, cls: type[M], view: View, training: RewardTraining, *, seed: int, callback: Callback | None
) -> M:
    """A model of these rounds, which may have been resampled."""
    model = new_model(cls, rounds.like.obs, view.dim(rounds.like), training, seed)
    pairs = _LoggedPairs(view, rounds.parts, training, seed)
    judged = None if rounds.held_out is None else pairs.all_of(rounds.held_out)
    regress(model, pairs.next, training, label=view.label, judged=judged, callback=callback)
    return model


@dataclass(frozen=True, eq=False)
class _InMemory:
    data: BanditDataset
    batch: Batch


class _LoggedPairs:
    """Minibatches of logged rounds, with replacement."""

    def __init__(self, view: View, parts: Iterator[Segment], training: RewardTraining, seed: int) -> None:
        self._view, self._training = view, training
        self._prepared = per_step(parts, self._prepare)
        self._stream = RoundStream(seed, f"fit/{view.label}")

    def next(self) -> Pairs:
        rows, rounds = next(self._prepared), current().share(self._stream.next(self._training.batch_size))
        return self._at(rows, rounds.integers("row", len(rows.batch)), rounds)

    def all_of(self, data: BanditDataset) -> Pairs:
        """Every row once, with draws of their own."""
        rounds = Rounds(self._stream.seed, 0, len(data), f"{self._stream.scope}/validation")
        return self._at(self._prepare(data), np.arange(len(data)), rounds)

    def _prepare(self, data: BanditDataset) -> _InMemory:
        self._training.check_targets(data.reward)
        return _InMemory(data, Batch.of(data, self._training.device))

    def _at(self, rows: _InMemory, index: IntArray, rounds: Rounds) -> Pairs:
        batch = rows.batch.take(to_tensor(index, self._training.device))
        negative = self._view.negative(rows.data, index, rounds) if self._training.pessimism else None
        return Pairs(batch.features, self._view.logged(batch), batch.reward, negative)
