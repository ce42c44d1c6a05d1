"""Ensembles fitted: the same model several times, on bootstrap resamples of the rounds or from other weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from prompt_bandits.datasets import BanditDataset
from prompt_bandits.rounds import named_generator

from .all_rounds import all_rounds
from .ensembles import ActionEnsemble, OutputEnsemble
from .pair_models import ActionRewardModel, OutputRewardModel
from .protocols import Callback, LoggedData, SamplesOutputs
from .reward_models import ByAction, ByOutput, View, fit_on
from .reward_training import M, RewardTraining
from .segments import Segment, Segments, segments


@dataclass(frozen=True)
class EnsembleTraining(RewardTraining):
    """How the members of an ensemble are fitted.

    Raises:
        ValueError: fewer than two members, or an unknown way to make them differ.
    """

    members: int = 5
    differ_by: str = "rounds"  # a bootstrap resample each, beside the weights; or "weights": initial ones, minibatches

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.members < 2:
            raise ValueError(f"members: expected >= 2, got {self.members}")
        if self.differ_by not in ("rounds", "weights"):
            raise ValueError(f"differ_by: expected 'rounds' or 'weights', got {self.differ_by!r}")


def fit_action_ensemble(
    data: LoggedData, training: EnsembleTraining | None = None, *, seed: int, callback: Callback | None = None
) -> ActionEnsemble:
    """Reward models by action, each fitted on rounds drawn with replacement, and validated on rounds that are not
    among them.

    Raises:
        ValueError: a folder larger than `memory_mb` to draw from, or as `fit_action_reward_model`.
    """
    training = training or EnsembleTraining()
    view = ByAction(data.prompts, training.device)
    return ActionEnsemble(_members(data, ActionRewardModel, view, training, seed, callback))


def fit_output_ensemble(
    data: LoggedData,
    training: EnsembleTraining | None = None,
    *,
    seed: int,
    simulator: SamplesOutputs | None = None,
    callback: Callback | None = None,
) -> OutputEnsemble:
    """Reward models by output, as `fit_action_ensemble`; `simulator` as in `fit_output_reward_model`."""
    training = training or EnsembleTraining()
    view = ByOutput(simulator, training.device)
    return OutputEnsemble(_members(data, OutputRewardModel, view, training, seed, callback))


def _members(
    data: LoggedData, cls: type[M], view: View, training: EnsembleTraining, seed: int, callback: Callback | None
) -> tuple[M, ...]:
    rounds: Callable[[int], Segments] = lambda own: segments(data, training, own)  # noqa: E731
    if training.differ_by == "rounds":
        whole = all_rounds(data, training.memory_mb, "a bootstrap")
        rounds = lambda own: resampled(segments(whole, training, own), own)  # noqa: E731
    seeds = member_seeds(seed, "ensemble", training.members)
    return tuple(fit_on(rounds(own), cls, view, training, seed=own, callback=callback) for own in seeds)


def resampled(rounds: Segments, seed: int) -> Segments:
    """As many of the rounds to train on, drawn with replacement; those held out stay apart."""

    def draw(part: BanditDataset) -> BanditDataset:
        return part.take(named_generator(seed, "bootstrap").integers(len(part), size=len(part)))

    return replace(rounds, parts=(Segment(draw(part.data), part.steps) for part in rounds.parts))


def member_seeds(seed: int, purpose: str, n: int) -> list[int]:
    """A seed for each of several models."""
    return [int(named_generator(seed, purpose, str(k)).integers(2**62)) for k in range(n)]
