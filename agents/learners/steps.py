"""What a gradient step of a policy learner sees, and where steps come from: a log, a simulator, or contexts alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from prompt_bandits.datasets import BanditDataset
from prompt_bandits.rounds import Rounds, RoundStream
from prompt_bandits.types import FloatArray, IntArray, Observation

from ..batch import Batch, features_of, to_array, to_tensor
from ..clustering import Clustering
from ..policies import NeuralPolicy, masked_log_softmax
from ..processes import current
from ..protocols import PlaysRounds
from ..segments import Segment, per_step
from ..training import Loss


@dataclass(frozen=True, eq=False)
class Step:
    """What a loss gets: a minibatch, what the policy says of it, and fresh draws. The K arms are the prompts, or the
    clusters of a policy in two stages.
    """

    index: IntArray  # (B,) rows of the data; empty where there is none
    obs: Observation  # the rounds, as numpy
    batch: Batch | None  # what was done in them, as tensors; None where only contexts are known
    log_probs: Tensor  # (B, K) log π(a|x)
    rounds: Rounds  # B fresh rounds, apart from the log's own
    logging_probs: FloatArray | None = None  # (B, K) π0(a|x), where the policy is to stay close to it

    @property
    def logged(self) -> Batch:
        """What was done in the rounds."""
        assert self.batch is not None
        return self.batch

    @property
    def propensity(self) -> Tensor:
        """π0(a_i|x_i), (B,)."""
        assert self.logged.propensity is not None
        return self.logged.propensity

    def logged_log_prob(self) -> Tensor:
        """log π(a_i|x_i), (B,)."""
        return at(self.log_probs, self.logged.action)

    def draw(self) -> Tensor:
        """Actions a' ~ π, (B,)."""
        return self.draws(1)[:, 0]

    def draws(self, k: int) -> Tensor:
        """k independent actions a' ~ π, (B, k)."""
        # All in float64: a draw just below 1 would be 1 in float32, and take an action that cannot be.
        cumulative = self.log_probs.detach().double().exp().cumsum(dim=1)
        drawn = self.rounds.uniform("action") if k == 1 else self.rounds.uniform("action", k)
        uniform = torch.tensor(drawn.reshape(-1, k), device=cumulative.device)
        action: Tensor = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True)
        return action


def at(values: Tensor, action: Tensor) -> Tensor:
    """values[i, action_i], (B,); or (B, k) for actions (B, k)."""
    return values.gather(1, action[:, None])[:, 0] if action.ndim == 1 else values.gather(1, action)


StepLoss = Callable[[Step], Loss]
MakeLoss = Callable[[BanditDataset], StepLoss]
"""Given the rounds that the steps' rows come from: those trained on that are in memory, or those held out."""


class Steps(Protocol):
    """Endless steps, and the loss that belongs to the last one."""

    loss: StepLoss

    def next(self) -> Step: ...


class LoggedRows:
    """Logged rounds in memory, and the policy's opinion of them.

    Args:
        policy: what is trained.
        data: the rounds.
        device: of the tensors.
        clustering: given one, the arms are its clusters.
        with_logging: steps carry π0 of every arm.
    """

    def __init__(
        self,
        policy: NeuralPolicy,
        data: BanditDataset,
        device: str,
        clustering: Clustering | None = None,
        with_logging: bool = False,
    ) -> None:
        self.policy, self.data, self.device = policy, data, device
        self.clustering, self.with_logging = clustering, with_logging
        arms = data if clustering is None else clustering.rounds(data)
        self.batch = Batch.of(arms, device)
        self.prompts = to_tensor(arms.obs.prompts.embedding, device)

    def at(self, index: IntArray, rounds: Rounds) -> Step:
        batch = self.batch.take(to_tensor(index, self.device))
        log_probs = masked_log_softmax(self.policy.network(batch.features, self.prompts), batch.action_mask)
        logging = self._logging_probs(index) if self.with_logging else None
        return Step(index, self.data.obs.take(index), batch, log_probs, rounds, logging)

    def _logging_probs(self, index: IntArray) -> FloatArray:
        dist = self.data.logging_dist(index)
        return dist if self.clustering is None else self.clustering.sum_by_cluster(dist)


class LoggedSteps:
    """Minibatches of logged rounds, with replacement, and the loss that belongs to those in memory."""

    loss: StepLoss

    def __init__(
        self,
        parts: Iterator[Segment],
        rows_of: Callable[[BanditDataset], LoggedRows],
        make_loss: MakeLoss,
        stream: RoundStream,
        batch_size: int,
    ) -> None:
        self._stream, self._size = stream, batch_size
        self._prepared = per_step(parts, lambda data: (rows_of(data), make_loss(data)))

    def next(self) -> Step:
        rows, self.loss = next(self._prepared)
        rounds = current().share(self._stream.next(self._size))
        return rows.at(rounds.integers("row", len(rows.batch)), rounds)


_NO_ROWS = np.empty(0, dtype=np.int64)


class ContextSteps:
    """Fresh contexts of a simulator: who arrives, and nothing else."""

    def __init__(
        self, policy: NeuralPolicy, simulator: PlaysRounds, loss: StepLoss, stream: RoundStream, batch_size: int
    ) -> None:
        self.policy, self.simulator, self.loss = policy, simulator, loss
        self._stream, self._size = stream, batch_size

    def next(self) -> Step:
        rounds = current().share(self._stream.next(self._size))
        obs = self.simulator.observe(rounds)
        return Step(_NO_ROWS, obs, None, self.log_probs(obs), rounds)

    def log_probs(self, obs: Observation) -> Tensor:
        device = next(self.policy.network.parameters()).device
        mask = None if obs.action_mask is None else to_tensor(obs.action_mask, device)
        logits = self.policy.network(features_of(obs, device), to_tensor(obs.prompts.embedding, device))
        return masked_log_softmax(logits, mask)


Choose = Callable[[Observation, IntArray], IntArray]
"""Which prompt an arm stands for: rounds and arms (n,) -> actions (n,)."""


class PlayedSteps(ContextSteps):
    """Fresh rounds played by the policy as it is: on-policy minibatches, with the reward that came of them.

    Args:
        policy: what is trained.
        simulator: plays.
        loss: of a step.
        stream: of the rounds.
        batch_size: rounds a step.
        clustering: given one, the arms are its clusters, and `choose` picks the prompt.
        choose: which prompt an arm stands for; unless given, the arm itself.
    """

    def __init__(
        self,
        policy: NeuralPolicy,
        simulator: PlaysRounds,
        loss: StepLoss,
        stream: RoundStream,
        batch_size: int,
        clustering: Clustering | None = None,
        choose: Choose | None = None,
    ) -> None:
        super().__init__(policy, simulator, loss, stream, batch_size)
        self.clustering, self.choose = clustering, choose or (lambda _, arm: arm)

    def next(self) -> Step:
        rounds = current().share(self._stream.next(self._size))
        obs = self.simulator.observe(rounds)
        log_probs = self.log_probs(obs if self.clustering is None else self.clustering.observation(obs))
        arm = Step(_NO_ROWS, obs, None, log_probs, rounds).draw()
        reward = self.simulator.play(obs, self.choose(obs, to_array(arm)), rounds).reward
        device = log_probs.device
        batch = Batch(features_of(obs, device), arm, to_tensor(reward, device))
        return Step(_NO_ROWS, obs, batch, log_probs, rounds)
