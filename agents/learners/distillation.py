"""Distillation: a student network that does what a teacher does."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from prompt_bandits.datasets import BanditDataset
from prompt_bandits.protocols import Policy

from ..batch import to_tensor
from ..losses import distillation_loss, squared_distillation_loss
from ..policies import NeuralPolicy
from ..protocols import Callback, LoggedData, PlaysRounds
from ..training import Loss
from .base import PolicyTraining, fit_online, fit_policy
from .online import require_player
from .steps import Step, StepLoss

_LOSSES = {"cross_entropy": distillation_loss, "squared": squared_distillation_loss}


@dataclass(frozen=True)
class Distillation(PolicyTraining):
    """Policy distillation: fits π to a teacher's π_T(·|x), by cross-entropy, or by Σ_a π_T(π − π_T)² as published.

    Any policy teaches: a slow ensemble, a policy in two stages, or an oracle, `EpsilonGreedy(OracleScore(simulator))`.
    """

    loss: str = "cross_entropy"  # or "squared"
    contexts: str = "logged"  # or "simulator": fresh ones, more than any log has

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loss not in _LOSSES:
            raise ValueError(f"loss: expected one of {', '.join(_LOSSES)}, got {self.loss!r}")
        if self.contexts not in ("logged", "simulator"):
            raise ValueError(f"contexts: expected 'logged' or 'simulator', got {self.contexts!r}")

    def fit(
        self,
        data: LoggedData | None = None,
        *,
        seed: int,
        simulator: PlaysRounds | None = None,
        callback: Callback | None = None,
        teacher: Policy | None = None,
    ) -> NeuralPolicy:
        """Learns from contexts, those of `data` or fresh ones of `simulator`; without a teacher it learns what the
        logging policy of the data does.

        Raises:
            ValueError: nothing to learn from.
        """
        if teacher is None:
            if data is None:
                raise ValueError("teacher: expected a policy, or data that carries its logging policy, got None")
            teacher = data.require_logging_policy()
        taught = self._taught(teacher)
        if self.contexts == "simulator":
            player = require_player(simulator, "Distillation(contexts='simulator')")
            return fit_online(self, player, taught, name="distillation", seed=seed, callback=callback, played=False)
        if data is None:
            raise ValueError("data: expected logged rounds for contexts='logged', got None")

        def make(_: BanditDataset) -> StepLoss:
            return taught

        return fit_policy(self, data, make, name="distillation", seed=seed, callback=callback, make_score=make)

    def _taught(self, teacher: Policy) -> StepLoss:
        def loss(step: Step) -> Loss:
            target: Tensor = to_tensor(teacher.action_dist(step.obs), step.log_probs.device)
            return Loss(_LOSSES[self.loss](step.log_probs, target))

        return loss
