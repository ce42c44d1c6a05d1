"""Actor-critic: online REINFORCE whose baseline is learned."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from prompt_bandits.rounds import Rounds

from ..losses import policy_gradient_loss, squared_loss
from ..policies import NeuralPolicy
from ..protocols import Callback, LoggedData, PlaysRounds
from ..training import Loss, torch_seed
from .base import PolicyTraining, fit_online
from .online import require_player
from .steps import Step


@dataclass(frozen=True)
class ActorCritic(PolicyTraining):
    """On-policy policy gradient with the advantage r − V̂(x), beside a critic V̂(x) that is fitted to the rewards by
    squared error (Sutton and Barto, 2018, section 13.5, for episodes of one step).
    """

    critic_weight: float = 0.5  # of the critic's squared error beside the policy's loss

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.critic_weight > 0:
            raise ValueError(f"critic_weight: expected > 0, got {self.critic_weight}")

    def fit(
        self,
        data: LoggedData | None = None,
        *,
        seed: int,
        simulator: PlaysRounds | None = None,
        callback: Callback | None = None,
    ) -> NeuralPolicy:
        """Learns by playing `simulator`. `data` is not used.

        Raises:
            ValueError: no simulator to play.
        """
        player = require_player(simulator, "ActorCritic")
        dim = player.observe(Rounds(seed, 0, 1, "fit/critic/like")).features().shape[1]
        with torch_seed(seed, "critic"):
            critic = nn.Sequential(nn.Linear(dim, self.hidden), nn.ReLU(), nn.Linear(self.hidden, 1))
        critic.to(self.device)

        def loss(step: Step) -> Loss:
            return self._loss(step, critic(step.logged.features)[:, 0])

        return fit_online(self, player, loss, name="actor-critic", seed=seed, callback=callback, beside=critic)

    def _loss(self, step: Step, value: Tensor) -> Loss:
        reward = step.logged.reward
        actor = policy_gradient_loss(step.logged_log_prob(), torch.ones_like(reward), reward - value.detach())
        error = squared_loss(value, reward)
        return Loss(actor + self.critic_weight * error, {"reward": reward.mean(), "critic_error": error})
