"""The part of a loss that believes a reward model: E_{a~π}[q̂(x, a)] over logged contexts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from prompt_bandits.datasets import BanditDataset
from prompt_bandits.types import FloatArray, IntArray, Observation

from ..batch import to_array, to_tensor
from ..losses import expected_reward_loss, policy_gradient_loss
from ..protocols import QFunction
from ..training import Loss
from .steps import MakeLoss, Step, StepLoss, at


def model_value_loss(model: QFunction, *, sampled: bool = False) -> MakeLoss:
    """Minus the model's value of the policy: exactly over the arms, or with one a ~ π a round, as published."""
    if sampled:
        return lambda rounds: lambda step: Loss(_sampled(model, step))

    def exact(rounds: BanditDataset) -> StepLoss:
        scores_at = scores_by_row(model, rounds.obs)
        return lambda step: Loss(
            expected_reward_loss(step.log_probs, to_tensor(scores_at(step.index), step.log_probs.device))
        )

    return exact


def _sampled(model: QFunction, step: Step) -> Tensor:
    action = step.draw()
    q_hat = to_tensor(model.predict(step.obs, to_array(action)), step.log_probs.device)
    return policy_gradient_loss(at(step.log_probs, action), torch.ones_like(q_hat), q_hat)


_KEPT_CELLS = 1 << 24


def scores_by_row(model: QFunction, obs: Observation) -> Callable[[IntArray], FloatArray]:
    """q̂(x, ·) of rows: looked up where all of them fit in memory, for they are asked for often; else computed."""
    if len(obs) * obs.n_actions > _KEPT_CELLS:
        return lambda index: model.scores(obs.take(index))
    chunk = max(1, _KEPT_CELLS // 16 // obs.n_actions)
    parts = [model.scores(obs.take(slice(begin, begin + chunk))) for begin in range(0, len(obs), chunk)]
    table = np.concatenate(parts).astype(np.float32)
    return lambda index: table[index]
