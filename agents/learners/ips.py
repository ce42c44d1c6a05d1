"""Importance sampling: reweigh what was logged by how likely the new policy would have done it."""

from __future__ import annotations

from dataclasses import dataclass

from ..losses import policy_gradient_loss
from ..policies import NeuralPolicy
from ..protocols import Callback, LoggedData, SamplesOutputs
from ..training import Loss
from ..weights import check_clip, importance_weight
from .base import PolicyTraining, Step, fit_policy


@dataclass(frozen=True)
class IPS(PolicyTraining):
    """Off-policy policy gradient with inverse propensity scores, 1/n Σ w ∇log π(a_i|x_i) r_i with w = π/π0, clipped.

    Unbiased for unclipped weights, of high variance where there are many prompts (Swaminathan and Joachims, 2015).
    """

    clip: float | None = 200.0

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
    ) -> NeuralPolicy:
        """Learns from (context, query, action, propensity, reward). `simulator` is not used.

        Raises:
            ValueError: the propensities are unknown.
        """
        data.require_columns("propensity")
        return fit_policy(self, data, lambda rounds: self._loss, name="ips", seed=seed, callback=callback)

    def _loss(self, step: Step) -> Loss:
        assert step.batch.propensity is not None
        log_prob = step.logged_log_prob()
        prob = log_prob.detach().exp()
        weight = importance_weight(prob, step.batch.propensity, self.clip)
        loss = policy_gradient_loss(log_prob, weight, step.batch.reward)
        return Loss(loss, {"weight": weight.mean()})
