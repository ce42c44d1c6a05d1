"""Greedy on a reward model: no policy to train."""

from __future__ import annotations

from dataclasses import dataclass, field

from prompt_bandits.policies import EpsilonGreedy

from ..protocols import Callback, LoggedData, QFunction, SamplesOutputs
from ..requirements import check_given
from ..reward_models import RewardTraining, fit_action_reward_model


@dataclass(frozen=True)
class RewardGreedy:
    """Shows the prompt that a reward model by action likes best, argmax_a q̂(x, a); any other with probability ε."""

    epsilon: float = 0.0
    reward_training: RewardTraining = field(default_factory=RewardTraining)  # where fit is given no model

    def fit(
        self,
        data: LoggedData,
        *,
        seed: int,
        simulator: SamplesOutputs | None = None,
        callback: Callback | None = None,
        q_hat: QFunction | None = None,
    ) -> EpsilonGreedy:
        """Learns from (context, query, action, reward), unless `q_hat` is given. `simulator` is not used, and
        `callback` hears of the reward model.
        """
        check_given(q_hat=q_hat)
        if q_hat is None:
            q_hat = fit_action_reward_model(data, self.reward_training, seed=seed, callback=callback)
        return EpsilonGreedy(q_hat, self.epsilon)
