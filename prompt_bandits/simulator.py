"""The parts composed: rounds go in, observations, outputs and rewards come out. Batched and pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from prompt_bandits import oracle
from prompt_bandits.action_values import asks_llm
from prompt_bandits.judging import Judging
from prompt_bandits.protocols import (
    BaselineReward,
    ContextQuerySource,
    FrozenLLM,
    Policy,
    PromptReward,
    RewardModel,
    RewardNoise,
)
from prompt_bandits.rounds import Rounds
from prompt_bandits.types import ActionValues, Estimate, Feedback, FloatArray, IntArray, Observation, Output, Prompts

PARTS = ("source", "prompts", "llm", "reward_model", "reward_noise")


@dataclass(frozen=True)
class GaussianNoise:
    """Continuous rewards: r ~ N(expected, std²)."""

    std: float = 1.0

    def __post_init__(self) -> None:
        if not self.std >= 0:
            raise ValueError(f"reward_std: expected >= 0, got {self.std}")

    def sample(self, expected: FloatArray, rounds: Rounds) -> FloatArray:
        return expected + self.std * rounds.normal("reward")


@dataclass(frozen=True)
class BernoulliNoise:
    """Binary rewards: r ~ Bernoulli(expected); the reward model gives probabilities."""

    def sample(self, expected: FloatArray, rounds: Rounds) -> FloatArray:
        if not (expected.min(initial=0) >= 0 and expected.max(initial=0) <= 1):
            raise ValueError(
                f"expected reward: expected probabilities, got {expected.min():.3g} … {expected.max():.3g}"
            )
        return (rounds.uniform("reward") < expected).astype(float)


class Recipe(Protocol):
    """Plain values that make a simulator."""

    def build(self) -> PromptSimulator: ...


@dataclass(frozen=True, eq=False)
class PromptSimulator:
    """Contexts, prompts, a frozen LLM and a user, as functions of rounds.

    Args:
        source: who arrives, asking what.
        prompts: the candidates.
        llm: writes the output.
        reward_model: the mean reward given the output.
        reward_noise: what is observed of it.
        split: `"train"` or `"test"`; names the streams that the rounds of this simulator belong to.

    Attributes:
        recipe: plain values that rebuild all of it, where `from_recipe` made it so; a copy with another part has none.
    """

    source: ContextQuerySource
    prompts: Prompts
    llm: FrozenLLM
    reward_model: RewardModel
    reward_noise: RewardNoise = field(default_factory=GaussianNoise)
    split: str = "train"
    recipe: Recipe | None = field(default=None, init=False)

    @classmethod
    def from_recipe(cls, recipe: Recipe, **parts: Any) -> PromptSimulator:
        """The simulator of these parts, which are what `recipe.build()` makes."""
        simulator = cls(**parts)
        object.__setattr__(simulator, "recipe", recipe)
        return simulator

    @property
    def n_actions(self) -> int:
        return len(self.prompts)

    @property
    def scope(self) -> str:
        """The scope of logged rounds."""
        return f"log/{self.split}"

    @property
    def oracle_scope(self) -> str:
        """The scope of the rounds that policies are judged on, apart from every logged one."""
        return f"oracle/{self.split}"

    def rounds(self, seed: int, start: int, n: int) -> Rounds:
        """Rounds as environments and `collect` play them."""
        return Rounds(seed, start, n, self.scope)

    def oracle_rounds(self, n: int, seed: int = 0) -> Rounds:
        """The rounds that policies are judged on: the same for all, so that they compare in pairs."""
        return Rounds(seed, 0, n, self.oracle_scope)

    def observe(self, rounds: Rounds) -> Observation:
        """Who arrives in these rounds."""
        return self.source.observe(rounds, self.prompts)

    def respond(self, obs: Observation, action: IntArray | None, rounds: Rounds) -> Output:
        """What the LLM writes for the actions (n,), or without a prompt."""
        return self.llm.generate(obs, action, rounds)

    def expected_reward(self, obs: Observation, output: Output, action: IntArray | None = None) -> FloatArray:
        """r(x, s), (n,); of a reward that looks at the prompt itself, given the actions (n,) too."""
        if action is not None and self._prompt_reward is not None:
            return self._prompt_reward.expected_given(obs, action, output)
        return self.reward_model.expected(obs, output)

    def reward(self, obs: Observation, output: Output, rounds: Rounds, action: IntArray | None = None) -> FloatArray:
        """Observed rewards, (n,)."""
        return self.reward_noise.sample(self.expected_reward(obs, output, action), rounds)

    def baseline(self, obs: Observation) -> FloatArray | None:
        """(n,) what the reward compares with, of a `BaselineReward`."""
        return None if self._baseline_reward is None else self._baseline_reward.baseline(obs)

    @cached_property  # the question takes longer than many a reward
    def _prompt_reward(self) -> PromptReward | None:
        return self.reward_model if isinstance(self.reward_model, PromptReward) else None

    @cached_property
    def _baseline_reward(self) -> BaselineReward | None:
        return self.reward_model if isinstance(self.reward_model, BaselineReward) else None

    def play(self, obs: Observation, action: IntArray, rounds: Rounds) -> Feedback:
        """`respond` and `reward` in one."""
        output = self.respond(obs, action, rounds)
        expected = self.expected_reward(obs, output, action)
        return Feedback(output, expected, self.reward_noise.sample(expected, rounds), self.baseline(obs))

    def action_value(self, obs: Observation, action: IntArray, n_outputs: int | None = None) -> ActionValues:
        """q(x_i, a_i) of given actions (n,). Exact where the parts allow; else Monte Carlo over `n_outputs`
        outputs (32, or 4 of a costly LLM), with `se`.
        """
        return oracle.action_value(self, obs, action, n_outputs)

    def action_values(self, obs: Observation, n_outputs: int | None = None) -> ActionValues:
        """q(x_i, a) of all actions, (n, |A|). Exact or Monte Carlo, as `action_value`."""
        return oracle.action_values(self, obs, n_outputs)

    def policy_value(
        self, policy: Policy | FloatArray, n: int | None = None, seed: int = 0, n_outputs: int | None = None
    ) -> Estimate:
        """V(π), the mean reward of a policy over fresh contexts, with its standard error.

        Actions and outputs are averaged out, not sampled, where the parts know all outputs. An LLM that is costly to
        ask is asked once a context, for an action drawn from the policy.

        Args:
            policy: or an `action_dist` array (n, |A|) for `observe(oracle_rounds(n, seed))`.
            n: contexts; 10,000 unless told, or 1000 where a costly LLM has to be asked.
            seed: of the contexts.
            n_outputs: for each action, where outputs are sampled; 32 unless told, of a costly LLM one.
        """
        return Estimate.from_terms(self.value_terms(policy, n, seed, n_outputs))

    def optimal_value(self, n: int | None = None, seed: int = 0, n_outputs: int | None = None) -> Estimate:
        """The value of the best prompt for each context; a lower bound where the oracle is Monte Carlo.

        Raises:
            ValueError: a costly LLM would have to be asked for every prompt, and `n` is not given.
        """
        return Estimate.from_terms(oracle.optimal_terms(self, Judging(n, seed, n_outputs)))

    def uniform_value(self, n: int | None = None, seed: int = 0, n_outputs: int | None = None) -> Estimate:
        """The value of choosing among the allowed prompts at random."""
        return Estimate.from_terms(oracle.uniform_terms(self, Judging(n, seed, n_outputs)))

    def no_prompt_value(self, n: int | None = None, seed: int = 0, n_outputs: int | None = None) -> Estimate:
        """The value of what the LLM writes without a prompt."""
        return Estimate.from_terms(self.no_prompt_terms(n, seed, n_outputs))

    def value_terms(
        self, policy: Policy | FloatArray, n: int | None = None, seed: int = 0, n_outputs: int | None = None
    ) -> FloatArray:
        """(n,) the policy's value in each of the contexts that `policy_value` averages: for comparisons in pairs."""
        return oracle.value_terms(self, policy, Judging(n, seed, n_outputs))

    def no_prompt_terms(self, n: int | None = None, seed: int = 0, n_outputs: int | None = None) -> FloatArray:
        """(n,) the same of `no_prompt_value`."""
        return oracle.no_prompt_terms(self, Judging(n, seed, n_outputs))

    def regret(
        self, policy: Policy | FloatArray, n: int | None = None, seed: int = 0, n_outputs: int | None = None
    ) -> Estimate:
        """V(optimal) − V(π), in pairs over the same contexts. Raises as `optimal_value`."""
        return oracle.regret(self, policy, Judging(n, seed, n_outputs))

    def optimality(
        self, policy: Policy | FloatArray, n: int | None = None, seed: int = 0, n_outputs: int | None = None
    ) -> float:
        """(V(π) − V(uniform)) / (V(optimal) − V(uniform)), over the same contexts. Raises as `optimal_value`."""
        return oracle.optimality(self, policy, Judging(n, seed, n_outputs))

    def is_costly(self, obs: Observation) -> bool:
        """Whether outputs in these rounds take time or money: a costly LLM, which does not know them beforehand."""
        return asks_llm(self, obs)

    def generation_cost(self, n: int, n_outputs: int | None = None) -> int:
        """How many outputs of a costly LLM `optimal_value` over `n` contexts asks for at most: those of every prompt,
        and those of the best again. What a cache or a bank holds costs nothing.
        """
        return oracle.generation_cost(self, n, n_outputs)
