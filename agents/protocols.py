"""What learners, models and callbacks have to look like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeAlias, runtime_checkable

from prompt_bandits.datasets import BanditDataset, StoredDataset
from prompt_bandits.protocols import ActionScore, Policy
from prompt_bandits.rounds import Rounds
from prompt_bandits.types import Estimate, Feedback, FloatArray, IntArray, Observation, Output

from . import identity  # noqa: F401  (refuses to be part of somebody else's package)

LoggedData: TypeAlias = BanditDataset | StoredDataset
"""What learners learn from: rounds in memory, or a folder, of which some are in memory at a time."""


class SamplesOutputs(Protocol):
    """Sampling rights on the frozen LLM: all that a learner may ask of a simulator."""

    def respond(self, obs: Observation, action: IntArray | None, rounds: Rounds) -> Output: ...


@runtime_checkable
class TellsCost(Protocol):
    """Sampling rights, and whether they are to be used sparingly."""

    def is_costly(self, obs: Observation) -> bool:
        """Whether outputs in these rounds take time or money."""
        ...


@runtime_checkable
class PlaysRounds(Protocol):
    """Users and the LLM at once: what an online learner plays against."""

    def observe(self, rounds: Rounds) -> Observation: ...
    def play(self, obs: Observation, action: IntArray, rounds: Rounds) -> Feedback: ...


class Judge(Protocol):
    """Knows the true value of policies, as a simulator does; `n=None` leaves the number of contexts to it."""

    def policy_value(self, policy: Policy, n: int | None) -> Estimate: ...
    def value_terms(self, policy: Policy, n: int | None, seed: int) -> FloatArray: ...
    def optimal_value(self, n: int | None, seed: int) -> Estimate: ...
    def uniform_value(self, n: int | None, seed: int) -> Estimate: ...


class Learner(Protocol):
    """Learns a policy from logged data. A frozen dataclass of plain values; `fit` leaves it unchanged."""

    def fit(
        self,
        data: LoggedData,
        *,
        seed: int,
        simulator: SamplesOutputs | None = None,
        callback: Callback | None = None,
    ) -> Policy: ...


@runtime_checkable
class QFunction(ActionScore, Protocol):
    """A fitted reward model by action: `scores` for all prompts, `predict` for given ones."""

    def predict(self, obs: Observation, action: IntArray) -> FloatArray:
        """q̂(x_i, a_i), (n,)."""
        ...


@runtime_checkable
class Density(Protocol):
    """The density of outputs under the logging policy, π0(φ(s)|x)."""

    def density(self, obs: Observation, output: FloatArray) -> FloatArray:
        """(n,) at the outputs (n, d_o)."""
        ...


class Callback(Protocol):
    """Called at every log. What it returns joins the metrics that later callbacks see."""

    def __call__(
        self, step: int, metrics: Mapping[str, float], policy: Policy | None
    ) -> Mapping[str, float] | None: ...
