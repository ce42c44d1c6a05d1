"""What online learners look like."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from prompt_bandits.protocols import Policy
from prompt_bandits.rounds import Rounds
from prompt_bandits.types import ActionValues, FloatArray, IntArray, Observation

from ..protocols import PlaysRounds


@runtime_checkable
class OnlineLearner(Protocol):
    """Learns while it plays. It changes with every `update`; a run starts with a new one."""

    def act(self, obs: Observation, rounds: Rounds) -> tuple[IntArray, FloatArray | None]:
        """Actions (n,), and the probabilities (n,) with which they are taken, None where it cannot say. Draws from
        `rounds` only.
        """
        ...

    def update(self, obs: Observation, action: IntArray, reward: FloatArray) -> None:
        """Learns from what the actions earned."""
        ...


@runtime_checkable
class GivesPolicy(OnlineLearner, Protocol):
    """An online learner that says what it would do without exploring."""

    def policy(self) -> Policy: ...


@runtime_checkable
class World(PlaysRounds, Protocol):
    """What is played: a simulator."""

    @property
    def scope(self) -> str:
        """The scope of its rounds."""
        ...


@runtime_checkable
class KnowsValues(World, Protocol):
    """A simulator that knows what prompts are worth."""

    def action_values(self, obs: Observation, n_outputs: int | None) -> ActionValues:
        """q(x_i, a), (n, |A|); with a standard error where it is sampled."""
        ...
