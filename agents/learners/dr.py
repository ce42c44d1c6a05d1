"""Doubly robust: a reward model, corrected by importance sampling where the log disagrees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor
from typing_extensions import Self

from prompt_bandits.datasets import BanditDataset

from ..batch import to_tensor
from ..clipping import check_clip
from ..cross_fitting import logged_predictions
from ..losses import policy_gradient_loss
from ..policies import NeuralPolicy
from ..protocols import Callback, LoggedData, QFunction, SamplesOutputs
from ..requirements import check_given
from ..reward_models import RewardTraining, fit_action_reward_model
from ..training import Loss
from ..weights import importance_weight
from .base import PolicyTraining, fit_policy
from .model_value import model_value_loss
from .steps import MakeLoss, Step, StepLoss


@dataclass(frozen=True)
class DR(PolicyTraining):
    """Doubly robust policy gradient, 1/n Σ {w ∇log π(a_i|x_i)(r_i − q̂(x_i, a_i)) + ∇E_{a~π}[q̂(x_i, a)]}.

    Right if either the propensities or the reward model are; of less variance than importance sampling if the model
    is any good (Dudík, Langford and Li, 2011). Given a cross-fitted model, no round is judged by one that has seen it.
    """

    clip: float | None = 200.0
    sampled: bool = False  # one a ~ π a round in the model's part, as published, in place of the expectation
    reward_training: RewardTraining = field(default_factory=RewardTraining)  # where fit is given no model

    @classmethod
    def published(cls) -> Self:
        """The published settings."""
        return cls(reward_training=RewardTraining.published(), sampled=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_clip(self.clip)

    def fit(
        self,
        data: LoggedData,
        *,
        seed: int,
        simulator: SamplesOutputs | None = None,
        callback: Callback | None = None,
        q_hat: QFunction | None = None,
    ) -> NeuralPolicy:
        """Learns from (context, query, action, propensity, reward) and a reward model, fitted on the data unless
        `q_hat` is given. `simulator` is not used.

        Raises:
            ValueError: the propensities are unknown.
        """
        check_given(q_hat=q_hat)
        data.require_columns("propensity")
        model = fit_action_reward_model(data, self.reward_training, seed=seed) if q_hat is None else q_hat
        make_loss = doubly_robust_loss(model, model, self._weight, sampled=self.sampled)
        return fit_policy(self, data, make_loss, name="dr", seed=seed, callback=callback)

    def _weight(self, prob: Tensor, propensity: Tensor) -> Tensor:
        return importance_weight(prob, propensity, self.clip)


@dataclass(frozen=True)
class SwitchDR(DR):
    """Doubly robust where the weight is at most `threshold`; where it is larger, the reward model alone (Wang, Agarwal
    and Dudík, 2017).
    """

    threshold: float = 20.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.threshold >= 0:
            raise ValueError(f"threshold: expected >= 0, got {self.threshold}")

    def _weight(self, prob: Tensor, propensity: Tensor) -> Tensor:
        small = importance_weight(prob, propensity) <= self.threshold
        return super()._weight(prob, propensity) * small


Weigh = Callable[[Tensor, Tensor], Tensor]
"""Probabilities under the policy and the logging policy, each (B,) -> weights (B,)."""


def doubly_robust_loss(q_hat: QFunction, arms: QFunction, weigh: Weigh, *, sampled: bool) -> MakeLoss:
    """−mean(w·(r − q̂(x_i, a_i))·log π(c_i|x_i)) − mean E_{c~π}[v̂(x_i, c)].

    Args:
        q_hat: the model of the prompts, which the logged rewards are compared with.
        arms: the model v̂ of the policy's arms c: the same, or what it says of clusters.
        weigh: probabilities of arms under the policy and the logging policy -> w.
        sampled: the second part by one draw.
    """
    model_part = model_value_loss(arms, sampled=sampled)

    def make(rounds: BanditDataset) -> StepLoss:
        residual = to_tensor(rounds.reward - logged_predictions(q_hat, rounds))
        believed = model_part(rounds)

        def loss(step: Step) -> Loss:
            log_prob = step.logged_log_prob()
            weight = weigh(log_prob.detach().exp(), step.propensity)
            off = residual[to_tensor(step.index)].to(log_prob.device)
            corrected = policy_gradient_loss(log_prob, weight, off)
            return Loss(corrected + believed(step).value, {"weight": weight.mean(), "residual": off.mean()})

        return loss

    return make
