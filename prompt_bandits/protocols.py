"""The parts that can be replaced: one required method each, structural, so that third parties subclass nothing."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from prompt_bandits.rounds import Rounds
from prompt_bandits.types import (
    FiniteOutputs,
    FloatArray,
    GaussianOutputs,
    IntArray,
    Observation,
    Output,
    Prompts,
    TextArray,
)


@runtime_checkable
class ContextQuerySource(Protocol):
    """Who arrives, asking what, with which candidate prompts."""

    def observe(self, rounds: Rounds, prompts: Prompts) -> Observation: ...


@runtime_checkable
class DescribesUsers(ContextQuerySource, Protocol):
    """A source that can say in words what its users are like."""

    def about(self, obs: Observation) -> TextArray:
        """(n,) what the users of these rounds like."""
        ...


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
class FiniteLLM(FrozenLLM, Protocol):
    """A frozen LLM that can write but few things for a query and a prompt, and knows all of them: the oracle is exact
    with any reward.
    """

    def finite_outputs(self, obs: Observation) -> FiniteOutputs | None:
        """The outputs of every prompt; None where not all are known for these rounds."""
        ...


@runtime_checkable
class FiniteBaseLLM(FrozenLLM, Protocol):
    """A frozen LLM that knows all that it can write without a prompt."""

    def finite_base_outputs(self, obs: Observation) -> FiniteOutputs | None:
        """As `FiniteLLM.finite_outputs`, with no prompt as the single one: `rows` (G, 1, K)."""
        ...


@runtime_checkable
class CostlyLLM(FrozenLLM, Protocol):
    """A frozen LLM that takes time or money to ask: with `costly=True` the oracle asks for no more than it was told
    to.
    """

    costly: bool


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
class FiniteReward(RewardModel, Protocol):
    """A reward model with a fast path to its mean over equally likely outputs."""

    def mean_over_finite(self, obs: Observation, outputs: FiniteOutputs, action: IntArray | None) -> FloatArray:
        """(n,) for the given actions, or (n, |A|) for `action=None`."""
        ...


@runtime_checkable
class PromptReward(RewardModel, Protocol):
    """A reward model that looks at the prompt itself, where there is one."""

    def expected_given(self, obs: Observation, action: IntArray, output: Output) -> FloatArray: ...


@runtime_checkable
class BaselineReward(RewardModel, Protocol):
    """A reward model that compares with what the user thinks of outputs without a prompt."""

    def baseline(self, obs: Observation) -> FloatArray:
        """(n,) on the scale of the reward."""
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
