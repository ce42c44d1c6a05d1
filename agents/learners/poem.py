"""POEM: importance sampling that also minds how far its estimate may be off."""

from __future__ import annotations

from dataclasses import dataclass

from prompt_bandits.datasets import BanditDataset

from ..clipping import check_clip
from ..losses import variance_penalty
from ..policies import NeuralPolicy
from ..processes import require_one_process
from ..protocols import Callback, LoggedData, SamplesOutputs
from ..training import Loss
from ..weights import clipped
from .base import PolicyTraining, fit_policy
from .steps import Step, StepLoss


@dataclass(frozen=True)
class POEM(PolicyTraining):
    """Counterfactual risk minimisation: minimises mean(u) + λ·sqrt(Var(u) / n) with u = −min(π/π0, M)·r over the log,
    so that a policy is preferred of which the log is sure (Swaminathan and Joachims, 2015, eq. 8).

    The variance is that of the minibatch, n the number of logged rounds.
    """

    variance_penalty: float = 1.0  # λ
    clip: float | None = 200.0  # M

    def __post_init__(self) -> None:
        super().__post_init__()
        check_clip(self.clip)
        if not self.variance_penalty >= 0:
            raise ValueError(f"variance_penalty: expected >= 0, got {self.variance_penalty}")

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
        if self.variance_penalty:
            require_one_process("variance_penalty")
        data.require_columns("propensity")
        n = len(data)

        def make_loss(_: BanditDataset) -> StepLoss:
            return lambda step: self._loss(step, n)

        return fit_policy(self, data, make_loss, name="poem", seed=seed, callback=callback)

    def _loss(self, step: Step, n: int) -> Loss:
        weight = clipped(step.logged_log_prob().exp() / step.propensity, self.clip)
        terms = -weight * step.logged.reward
        penalty = variance_penalty(terms, n)
        metrics = {"weight": weight.detach().mean(), "variance_penalty": penalty}
        return Loss(terms.mean() + self.variance_penalty * penalty, metrics)
