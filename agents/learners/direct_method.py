"""The direct method: believe a reward model."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..policies import NeuralPolicy
from ..protocols import Callback, LoggedData, QFunction, SamplesOutputs
from ..requirements import check_given
from ..reward_models import RewardTraining, fit_action_reward_model
from .base import PolicyTraining, fit_policy
from .model_value import model_value_loss


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
        check_given(q_hat=q_hat)
        model = fit_action_reward_model(data, self.reward_training, seed=seed) if q_hat is None else q_hat
        loss, score = model_value_loss(model, sampled=self.sampled), model_value_loss(model)
        return fit_policy(self, data, loss, name="direct method", seed=seed, callback=callback, make_score=score)
