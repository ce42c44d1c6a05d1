"""From outputs to prompts: a reward model by action that imitates one by output."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import inf
from typing import Protocol, runtime_checkable

import numpy as np

from prompt_bandits.policies import Uniform
from prompt_bandits.rounds import Rounds
from prompt_bandits.types import Observation

from .batch import features_of, to_tensor
from .fresh_pairs import N_JUDGED, MakePairs, fresh_pairs, judged_pairs
from .pair_models import ActionRewardModel, OutputReward
from .protocols import Callback, LoggedData, SamplesOutputs
from .reward_training import Pairs, RewardTraining, new_model, regress
from .sampling import output_embedding, without_mask
from .segments import segments


@runtime_checkable
class ObservesRounds(Protocol):
    """Says who arrives."""

    def observe(self, rounds: Rounds) -> Observation: ...


_LABEL = "reward model by action, distilled"


def distil_reward_model(
    teacher: OutputReward,
    data: LoggedData | None,
    simulator: SamplesOutputs,
    training: RewardTraining | None = None,
    *,
    seed: int,
    callback: Callback | None = None,
) -> ActionRewardModel:
    """q̂(x, a) ≈ E_{o ~ LLM(x, a)}[r̂(x, o)], by regression on (a, r̂(x, o)) with a uniform over the allowed prompts.

    The second stage of the two-stage regression in OfflinePrompts (Kiyohara et al., 2025): the teacher learned from
    logged outputs, the student answers for prompts that were never logged.

    Args:
        teacher: a reward model by output.
        data: whose contexts to ask about, their prompts and rewards left aside; a part of them is held out as
            `training` says. None: fresh contexts of `simulator.observe`, and 4096 further ones held out.
        simulator: samples outputs, afresh at every step.
        training: settings.
        seed: of the initial weights and all draws.
        callback: called at every log.

    Raises:
        ValueError: no data and a simulator that observes nothing, a penalty, or a teacher outside [0, 1] with
            `loss="bce"`.
    """
    training = training or RewardTraining()
    training.refuse_pessimism("the student sees every prompt equally often")
    lesson = _Lesson(teacher, simulator, training)
    if data is None:
        like, sources, held_out, n_judged = _online(lesson, simulator)
    else:
        like, sources, held_out, n_judged = _offline(lesson, data, training, seed)
    model = new_model(ActionRewardModel, like, like.prompts.embedding.shape[1], training, seed)
    pairs = fresh_pairs(sources, training, seed, _LABEL)
    judged = None if held_out is None else judged_pairs(held_out, n_judged, training, seed, _LABEL)
    regress(model, lambda: next(pairs), training, label=_LABEL, judged=judged, callback=callback)
    return model


class _Lesson:
    """What the teacher says of fresh outputs to random prompts."""

    def __init__(self, teacher: OutputReward, simulator: SamplesOutputs, training: RewardTraining) -> None:
        self._teacher, self._simulator, self._training = teacher, simulator, training

    def about(self, obs: Observation, rounds: Rounds) -> Pairs:
        action, _ = Uniform().sample(obs, rounds)
        output = output_embedding(self._simulator, without_mask(obs), action, rounds)
        target = self._training.check_targets(self._teacher.predict(obs, output)).astype(np.float32)
        device = self._training.device
        prompts = to_tensor(obs.prompts.embedding[action], device)
        return Pairs(features_of(obs, device), prompts, to_tensor(target, device))

    def about_some(self, obs: Observation, rounds: Rounds) -> Pairs:
        """Of contexts at random, with replacement."""
        return self.about(obs.take(rounds.integers("row", len(obs))), rounds)


_Sources = tuple[Observation, Iterator[tuple[MakePairs, float]], MakePairs | None, int]
"""What rounds are like, what makes pairs for how many steps, what makes pairs held out, and how many of those."""


def _online(lesson: _Lesson, simulator: SamplesOutputs) -> _Sources:
    if not isinstance(simulator, ObservesRounds):
        raise ValueError(f"data: expected logged rounds, or a simulator with `observe`, got None and {simulator!r}")
    observe = simulator.observe
    make: MakePairs = lambda rounds: lesson.about(observe(rounds), rounds)  # noqa: E731
    return observe(Rounds(0, 0, 1, "fit/probe")), iter([(make, inf)]), make, N_JUDGED


def _offline(lesson: _Lesson, data: LoggedData, training: RewardTraining, seed: int) -> _Sources:
    rounds = segments(data, training, seed)
    sources = ((partial(lesson.about_some, part.data.obs), part.steps) for part in rounds.parts)
    held_out = None if rounds.held_out is None else partial(lesson.about, rounds.held_out.obs)
    return rounds.like.obs, sources, held_out, 0 if rounds.held_out is None else len(rounds.held_out)
