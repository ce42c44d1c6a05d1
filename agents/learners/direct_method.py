"""The direct method: believe a reward model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch

from prompt_bandits.datasets import BanditDataset
from prompt_bandits.types import FloatArray, IntArray, Observation

from ..batch import to_array, to_tensor
from ..losses import expected_reward_loss, policy_gradient_loss
from ..policies import NeuralPolicy
from ..protocols import Callback, LoggedData, QFunction, SamplesOutputs
from ..reward_models import RewardTraining, fit_action_reward_model
from ..training import Loss
from .base import PolicyTraining, Step, StepLoss, at, fit_policy


@dataclass(frozen=True)
class DirectMethod(PolicyTraining):
    """Policy gradient on a reward model, E_{a~π}[q̂(x, a)] over the logged contexts. Needs no propensities.

    Biased where the reward model is; of low variance. Held-out rounds validate the policy by the model's own value;
    they say nothing of the model, which has held-out rounds of its own while it is fitted.
    """

    reward_training: RewardTraining = field(default_factory=RewardTraining)  # where fit is given no model
    sampled: bool = False  # one a ~ π a round, as published, in place of the exact expectation over all prompts

    @classmethod
    def published(cls) -> DirectMethod:
        """The published settings."""
        return cls(reward_training=RewardTraining.published(), sampled=True)

    def fit(
        self,
        data: LoggedData,
        *,
        seed: int,
        simulator: SamplesOutputs | None = None,
        callback: Callback | None = None,
        q_hat: QFunction | None = None,
    ) -> NeuralPolicy:
        """Learns from (context, query) and a reward model, fitted on the data unless `q_hat` is given. `simulator`
        is not used.
        """
        model = fit_action_reward_model(data, self.reward_training, seed=seed) if q_hat is None else q_hat
        exact = partial(_exact, model)
        make_loss = partial(_sampled, model) if self.sampled else exact
        return fit_policy(self, data, make_loss, name="direct method", seed=seed, callback=callback, make_score=exact)


def _exact(model: QFunction, rounds: BanditDataset) -> StepLoss:
    scores_at = _scores_by_row(model, rounds.obs)

    def loss(step: Step) -> Loss:
        q_hat = to_tensor(scores_at(step.index), step.log_probs.device)
        value = expected_reward_loss(step.log_probs, q_hat)
        return Loss(value)

    return loss


def _sampled(model: QFunction, rounds: BanditDataset) -> StepLoss:
    def loss(step: Step) -> Loss:
        action = step.draw()
        q_hat = to_tensor(model.predict(step.obs, to_array(action)), step.log_probs.device)
        value = policy_gradient_loss(at(step.log_probs, action), torch.ones_like(q_hat), q_hat)
        return Loss(value)

    return loss


_KEPT_CELLS = 1 << 24


def _scores_by_row(model: QFunction, obs: Observation) -> Callable[[IntArray], FloatArray]:
    """q̂(x, ·) of rows: looked up where all of them fit in memory, for they are asked for often; else computed."""
    if len(obs) * obs.n_actions > _KEPT_CELLS:
        return lambda index: model.scores(obs.take(index))
    chunk = max(1, _KEPT_CELLS // 16 // obs.n_actions)
    parts = [model.scores(obs.take(slice(begin, begin + chunk))) for begin in range(0, len(obs), chunk)]
    table = np.concatenate(parts).astype(np.float32)
    return lambda index: table[index]
