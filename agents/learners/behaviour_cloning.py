"""Behaviour cloning: imitate what was logged."""

from __future__ import annotations

from dataclasses import dataclass

from prompt_bandits.datasets import BanditDataset

from ..losses import behaviour_cloning_loss
from ..policies import NeuralPolicy
from ..protocols import Callback, LoggedData, SamplesOutputs
from ..training import Loss
from .base import PolicyTraining, fit_policy
from .steps import Step, StepLoss


@dataclass(frozen=True)
class BehaviourCloning(PolicyTraining):
    """Maximum likelihood on logged actions: −mean(log π(a_i|x_i)). Needs no propensities. Validated by the same on
    held-out rounds.
    """

    def fit(
        self,
        data: LoggedData,
        *,
        seed: int,
        simulator: SamplesOutputs | None = None,
        callback: Callback | None = None,
    ) -> NeuralPolicy:
        """Learns from (context, query, action). `simulator` is not used."""
        name = "behaviour cloning"
        return fit_policy(self, data, _make, name=name, seed=seed, callback=callback, make_score=_make)


def _make(rounds: BanditDataset) -> StepLoss:
    return _loss


def _loss(step: Step) -> Loss:
    log_prob = step.logged_log_prob()
    return Loss(behaviour_cloning_loss(log_prob))
