"""Online REINFORCE: the skyline, which may try its choices on users."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch

from prompt_bandits.policies import EpsilonGreedy
from prompt_bandits.protocols import Policy
from prompt_bandits.types import IntArray, Observation

from ..callbacks import Seen
from ..clustering import Clustering, ClusterReward
from ..losses import policy_gradient_loss
from ..policies import TwoStage
from ..processes import require_one_process
from ..protocols import Callback, LoggedData, PlaysRounds, QFunction
from ..requirements import check_given
from ..training import Loss
from .base import PolicyTraining, fit_online
from .steps import Step, StepLoss


@dataclass(frozen=True)
class OnlineREINFORCE(PolicyTraining):
    """On-policy policy gradient on fresh rounds, E[∇log π(a|x)·(r − b)] (Williams, 1992).

    `baseline="none"` is b = 0, as published; `"mean"` is the running mean of past rewards, which changes nothing on
    average and makes gradients less noisy.
    """

    baseline: str = "none"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.baseline not in ("none", "mean"):
            raise ValueError(f"baseline: expected 'none' or 'mean', got {self.baseline!r}")

    def fit(
        self,
        data: LoggedData | None = None,
        *,
        seed: int,
        simulator: PlaysRounds | None = None,
        callback: Callback | None = None,
        q_hat: QFunction | None = None,
        clustering: Clustering | None = None,
    ) -> Policy:
        """Learns by playing `simulator`. `data` is not used. With `clustering` and `q_hat` it learns the first of two
        stages, the second being greedy on the reward model.

        Raises:
            ValueError: no simulator to play, or one of `q_hat` and `clustering` without the other.
        """
        player = require_player(simulator, "OnlineREINFORCE")
        check_given(q_hat=q_hat, clustering=clustering)
        if (q_hat is None) != (clustering is None):
            raise ValueError("q_hat, clustering: expected both, for two stages, or neither")
        if self.baseline == "mean":
            require_one_process("baseline='mean'")
        loss = self._loss()
        if q_hat is None or clustering is None:
            return fit_online(self, player, loss, name="online", seed=seed, callback=callback)
        whole = partial(TwoStage, second_stage=EpsilonGreedy(q_hat), clustering=clustering)
        best = ClusterReward(q_hat, clustering).best

        def choose(obs: Observation, arm: IntArray) -> IntArray:
            chosen: IntArray = best(obs)[range(len(obs)), arm]
            return chosen

        listen = None if callback is None else Seen(callback, whole)
        return whole(
            fit_online(
                self, player, loss, name="online", seed=seed, callback=listen, clustering=clustering, choose=choose
            )
        )

    def _loss(self) -> StepLoss:
        past = _Mean()

        def loss(step: Step) -> Loss:
            log_prob, reward = step.logged_log_prob(), step.logged.reward
            advantage = reward if self.baseline == "none" else reward - past.value
            past.add(reward)
            value = policy_gradient_loss(log_prob, torch.ones_like(reward), advantage)
            return Loss(value, {"reward": reward.mean()})

        return loss


class _Mean:
    """The mean of all rewards so far, 0 before the first."""

    def __init__(self) -> None:
        self._sum, self._n = torch.zeros(()), 0

    @property
    def value(self) -> torch.Tensor:
        return self._sum / max(1, self._n)

    def add(self, reward: torch.Tensor) -> None:
        self._sum, self._n = self._sum.to(reward.device) + reward.sum(), self._n + len(reward)


def require_player(simulator: object, who: str) -> PlaysRounds:
    """The simulator, as something to play.

    Raises:
        ValueError: it has no `observe` and `play`.
    """
    if not isinstance(simulator, PlaysRounds):
        raise ValueError(
            f"simulator: {who} learns by playing; expected an object with `observe` and `play`, such as "
            f"env.unwrapped.simulator, got {simulator!r}"
        )
    return simulator
