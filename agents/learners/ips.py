"""Importance sampling: reweigh what was logged by how likely the new policy would have done it."""

from __future__ import annotations

from dataclasses import dataclass

from ..clipping import check_clip
from ..losses import policy_gradient_loss
from ..policies import NeuralPolicy
from ..processes import require_one_process
from ..protocols import Callback, LoggedData, SamplesOutputs
from ..training import Loss
from ..weights import importance_weight, self_normalised
from .base import PolicyTraining, fit_policy
from .steps import Step


@dataclass(frozen=True)
class IPS(PolicyTraining):
    """Off-policy policy gradient with inverse propensity scores, 1/n Σ w ∇log π(a_i|x_i) r_i with w = π/π0, clipped.

    Unbiased for unclipped weights, of high variance where there are many prompts (Swaminathan and Joachims, 2015a).
    Self-normalised, it climbs Σ w r / Σ w over each minibatch, whose gradient counts rewards from their weighted mean:
    rewards may then be moved by a constant (Swaminathan and Joachims, 2015b).
    """

    clip: float | None = 200.0
    self_normalised: bool = False

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
        if self.self_normalised:
            require_one_process("self_normalised")
        data.require_columns("propensity")
        return fit_policy(self, data, lambda rounds: self._loss, name="ips", seed=seed, callback=callback)

    def _loss(self, step: Step) -> Loss:
        return ips_loss(step, self.clip, self_normalise=self.self_normalised)


def ips_loss(step: Step, clip: float | None, *, self_normalise: bool = False) -> Loss:
    """−mean(w·r·log π(a_i|x_i)); self-normalised, −mean(w̃·(r − mean(w̃·r))·log π(a_i|x_i)) with mean(w̃) = 1."""
    log_prob, reward = step.logged_log_prob(), step.logged.reward
    raw = importance_weight(log_prob.exp(), step.propensity, clip)
    weight = raw
    if self_normalise:
        weight = self_normalised(raw)
        reward = reward - (weight * reward).mean()
    return Loss(policy_gradient_loss(log_prob, weight, reward), {"weight": raw.mean()})
