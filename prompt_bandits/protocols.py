"""The parts that can be replaced: one required method each, structural, so that third parties subclass nothing."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from prompt_bandits.rounds import Rounds
from prompt_bandits.types import FloatArray, GaussianOutputs, IntArray, Observation, Output, Prompts, TextArray


@runtime_checkable
class ContextQuerySource(Protocol):
    """Who arrives, asking what, with which candidate prompts."""

    def observe(self, rounds: Rounds, prompts: Prompts) -> Observation: ...


@runtime_checkable
class FrozenLLM(Protocol):
    """Writes an output from query and prompt."""

    def generate(self, obs: Observation, action: IntArray | None, rounds: Rounds) -> Output:
        """Outputs of `n` rounds for the actions taken (n,); None asks for the output without a prompt."""
        ...


@runtime_checkable
class GaussianLLM(FrozenLLM, Protocol):
    """A frozen LLM that knows the distribution of its outputs; with an `IntegrableReward` the oracle is exact."""

    def output_distribution(self, obs: Observation) -> GaussianOutputs: ...


@runtime_checkable
class RewardModel(Protocol):
    """The user: the mean reward given the output."""

    def expected(self, obs: Observation, output: Output) -> FloatArray: ...


@runtime_checkable
class IntegrableReward(RewardModel, Protocol):
    """A reward model with a closed-form mean over Gaussian outputs."""

    def mean_over(self, obs: Observation, outputs: GaussianOutputs, action: IntArray | None) -> FloatArray:
        """(n,) for the given actions, or (n, |A|) for `action=None`."""
        ...


@runtime_checkable
class RewardNoise(Protocol):
    """What the user reports of an expected reward."""

    def sample(self, expected: FloatArray, rounds: Rounds) -> FloatArray: ...


@runtime_checkable
class SentenceEncoder(Protocol):
    """Features φ(s) of sentences."""

    def encode(self, texts: TextArray) -> FloatArray: ...


@runtime_checkable
class ActionScore(Protocol):
    """A number for every candidate prompt: a reward model, a network's logits, the oracle."""

    def scores(self, obs: Observation) -> FloatArray: ...


@runtime_checkable
class Policy(Protocol):
    """Chooses prompts. Rows of `action_dist` (n, |A|) sum to 1 and are 0 where the action mask is False."""

    def action_dist(self, obs: Observation) -> FloatArray: ...


@runtime_checkable
class SamplingPolicy(Policy, Protocol):
    """A policy with a draw cheaper than its whole distribution."""

    def sample(self, obs: Observation, rounds: Rounds) -> tuple[IntArray, FloatArray]:
        """Actions (n,) and the probabilities (n,) that they were drawn with."""
        ...
