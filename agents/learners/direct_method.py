"""The direct method: believe a reward model."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from agents.batch import to_array, to_tensor
from agents.learners.base import PolicyTraining, Step, StepLoss, at, fit_policy
from agents.losses import expected_reward_loss, policy_gradient_loss
from agents.policies import NeuralPolicy
from agents.protocols import Callback, QFunction, SamplesOutputs
from agents.reward_models import RewardTraining, fit_action_reward_model
from agents.training import Loss
from prompt_bandits.datasets import BanditDataset


@dataclass(frozen=True)
class DirectMethod(PolicyTraining):
    """Policy gradient on a reward model, E_{a~π}[q̂(x, a)] over the logged contexts. Needs no propensities.

    Biased where the reward model is; of low variance. Validated by the model's own value on held-out rounds.
    """

    reward_training: RewardTraining = field(default_factory=RewardTraining)  # where fit is given no model
    sampled: bool = False  # one a ~ π a round, as published, in place of the exact expectation over all prompts

    @classmethod
    def published(cls) -> DirectMethod:
        """The published settings."""
        return cls(reward_training=RewardTraining.published(), sampled=True)

    def fit(
        self,
        data: BanditDataset,
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
        make = _sampled if self.sampled else _exact
        loss, score = make(model), _exact(model)
        return fit_policy(
            self, data, lambda train: loss, name="direct method", seed=seed, callback=callback, score=score
        )


def _exact(model: QFunction) -> StepLoss:
    def loss(step: Step) -> Loss:
        q_hat = to_tensor(model.scores(step.obs), step.log_probs.device)
        return Loss(
            expected_reward_loss(step.log_probs, q_hat), {"logged_action_prob": step.logged_log_prob().exp().mean()}
        )

    return loss


def _sampled(model: QFunction) -> StepLoss:
    def loss(step: Step) -> Loss:
        action = step.draw()
        q_hat = to_tensor(model.predict(step.obs, to_array(action)), step.log_probs.device)
        loss = policy_gradient_loss(at(step.log_probs, action), torch.ones_like(q_hat), q_hat)
        return Loss(loss, {"logged_action_prob": step.logged_log_prob().exp().mean()})

    return loss
