"""The part of a loss that believes a reward model: E_{a~π}[q̂(x, a)] over logged contexts."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from prompt_bandits.datasets import BanditDataset
from prompt_bandits.types import FloatArray

from ..batch import to_array, to_tensor
from ..cross_fitting import unseen_models
from ..losses import expected_reward_loss, policy_gradient_loss
from ..protocols import QFunction
from ..training import Loss
from .steps import MakeLoss, Step, StepLoss, at


def model_value_loss(model: QFunction, *, sampled: bool = False) -> MakeLoss:
    """Minus the model's value of the policy: exactly over the arms, or with one a ~ π a round, as published."""

    def make(rounds: BanditDataset) -> StepLoss:
        answers = _Answers(model, rounds)
        term = _sampled if sampled else _exact
        return lambda step: Loss(term(answers, step))

    return make


def _exact(answers: _Answers, step: Step) -> Tensor:
    return expected_reward_loss(step.log_probs, to_tensor(answers.scores(step), step.log_probs.device))


def _sampled(answers: _Answers, step: Step) -> Tensor:
    action = step.draw()
    q_hat = to_tensor(answers.predict(step, action), step.log_probs.device)
    return policy_gradient_loss(at(step.log_probs, action), torch.ones_like(q_hat), q_hat)


_KEPT_CELLS, _AT_A_TIME = 1 << 24, 1 << 20  # rounds × arms


class _Answers:
    """q̂ of rows: looked up where all of them fit in memory, for they are asked for often; else computed. Of a
    cross-fitted model, by those that have not seen the row.
    """

    def __init__(self, model: QFunction, rounds: BanditDataset) -> None:
        self._model, self._rounds = model, rounds
        small = len(rounds) * rounds.n_actions <= _KEPT_CELLS
        self._table = _table(model, rounds) if small else None

    def scores(self, step: Step) -> FloatArray:
        """q̂(x_i, ·), (B, K)."""
        return _table(self._model, self._rounds.take(step.index)) if self._table is None else self._table[step.index]

    def predict(self, step: Step, action: Tensor) -> FloatArray:
        """q̂(x_i, a_i), (B,)."""
        chosen = to_array(action)
        if self._table is not None:
            return np.asarray(self._table[step.index, chosen])
        out = np.empty(len(chosen), dtype=np.float32)
        for rows, unseen in unseen_models(self._model, self._rounds.take(step.index)):
            out[rows] = unseen.predict(step.obs.take(rows), chosen[rows])
        return out


def _table(model: QFunction, rounds: BanditDataset) -> FloatArray:
    """q̂ of all rows, (n, K), a few at a time."""
    chunk = max(1, _AT_A_TIME // rounds.n_actions)
    order, parts = [], []
    for rows, unseen in unseen_models(model, rounds):
        for begin in range(0, len(rows), chunk):
            order.append(rows[begin : begin + chunk])
            parts.append(np.asarray(unseen.scores(rounds.obs.take(order[-1])), dtype=np.float32))
    return np.concatenate(parts)[np.argsort(np.concatenate(order))]
