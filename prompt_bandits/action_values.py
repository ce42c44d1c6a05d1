"""The mean reward of prompts, q(x, a): exact where the parts know all that the LLM may write, else over samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from prompt_bandits.protocols import (
    CostlyLLM,
    FiniteBaseLLM,
    FiniteLLM,
    FiniteReward,
    FrozenLLM,
    GaussianLLM,
    IntegrableReward,
)
from prompt_bandits.rounds import Rounds
from prompt_bandits.types import ActionValues, FiniteOutputs, FloatArray, IntArray, Observation, Output

if TYPE_CHECKING:
    from prompt_bandits.simulator import PromptSimulator

_OUTPUTS = 1 << 17  # worked on at a time


@dataclass(frozen=True)
class Draws:
    """Where sampled outputs come from: two purposes share no noise, nor do chunks, numbered by `start`."""

    purpose: str = "values"  # what a policy may look at; judging draws its own
    seed: int = 0
    start: int = 0


def exact_values(simulator: PromptSimulator, obs: Observation, action: IntArray | None) -> FloatArray | None:
    """q of given actions (n,), or of all of them (n, |A|); None where the parts do not tell."""
    llm, reward = simulator.llm, simulator.reward_model
    if isinstance(llm, GaussianLLM) and isinstance(reward, IntegrableReward):
        return reward.mean_over(obs, llm.output_distribution(obs), action)
    outputs = finite_outputs(simulator, obs)
    if outputs is None:
        return None
    if isinstance(reward, FiniteReward):
        return reward.mean_over_finite(obs, outputs, action)
    values = _mean_over_finite(simulator, obs, outputs, every_action(obs) if action is None else action[:, None])
    return values if action is None else values[:, 0]


def exact_base_values(simulator: PromptSimulator, obs: Observation) -> FloatArray | None:
    """The mean reward without a prompt, (n,); None where the parts do not tell."""
    llm, reward = simulator.llm, simulator.reward_model
    if isinstance(llm, GaussianLLM) and isinstance(reward, IntegrableReward):
        outputs = llm.output_distribution(obs)
        bare = replace(outputs, prompt=np.zeros_like(outputs.prompt[:1]))
        return reward.mean_over(obs, bare, np.zeros(len(obs), dtype=np.int64))
    finite = llm.finite_base_outputs(obs) if isinstance(llm, FiniteBaseLLM) else None
    return None if finite is None else _mean_over_finite(simulator, obs, finite, None)[:, 0]


def asks_llm(simulator: PromptSimulator, obs: Observation) -> bool:
    """Whether the values of these rounds take outputs of an LLM that is costly to ask."""
    return is_costly(simulator.llm) and finite_outputs(simulator, obs) is None


def is_costly(llm: FrozenLLM) -> bool:
    """Whether it takes time or money to ask for an output."""
    return isinstance(llm, CostlyLLM) and llm.costly


def finite_outputs(simulator: PromptSimulator, obs: Observation) -> FiniteOutputs | None:
    """All that the LLM may write in these rounds, where it knows."""
    return simulator.llm.finite_outputs(obs) if isinstance(simulator.llm, FiniteLLM) else None


def every_action(obs: Observation) -> IntArray:
    """All prompts for every round, (n, |A|)."""
    return np.broadcast_to(np.arange(obs.n_actions), (len(obs), obs.n_actions))


def sampled_values(
    simulator: PromptSimulator, obs: Observation, actions: IntArray | None, n_outputs: int, draws: Draws
) -> ActionValues:
    """Means over sampled outputs of actions (n, k), or (n, 1) without a prompt, and their standard errors, which a
    single output does not have (`inf`).

    Raises:
        ValueError: n_outputs < 1.
    """
    if n_outputs < 1:
        raise ValueError(f"n_outputs: expected at least 1, got {n_outputs}")

    def ask(rows: IntArray, asked: Observation, taken: IntArray | None) -> Output:
        first = (draws.start + int(rows[0])) * (len(asked) // len(rows))
        rounds = Rounds(draws.seed, first, len(asked), f"{simulator.oracle_scope}/{draws.purpose}")
        return simulator.respond(asked, taken, rounds)

    value = np.empty((len(obs), 1) if actions is None else actions.shape)
    se = np.full(value.shape, np.inf)
    for rows, drawn in _rewards(simulator, obs, actions, n_outputs, ask):
        value[rows] = drawn.mean(-1)
        if n_outputs > 1:
            se[rows] = drawn.std(-1, ddof=1) / np.sqrt(n_outputs)
    return ActionValues(value, se)


def _mean_over_finite(
    simulator: PromptSimulator, obs: Observation, outputs: FiniteOutputs, actions: IntArray | None
) -> FloatArray:
    """Means over all outputs of actions (n, k), or (n, 1) without a prompt."""

    def look_up(rows: IntArray, asked: Observation, taken: IntArray | None) -> Output:
        written = outputs.rows[outputs.group[rows]]  # (c, |A|, K)
        if actions is not None:
            written = np.take_along_axis(written, actions[rows][:, :, None], axis=1)
        return outputs.table.take(written.ravel())

    value = np.empty((len(obs), 1) if actions is None else actions.shape)
    for rows, rewards in _rewards(simulator, obs, actions, outputs.rows.shape[2], look_up):
        value[rows] = rewards.mean(-1)
    return value


_Write: TypeAlias = Callable[[IntArray, Observation, "IntArray | None"], Output]


def _rewards(
    simulator: PromptSimulator, obs: Observation, actions: IntArray | None, n_outputs: int, write: _Write
) -> Iterator[tuple[IntArray, FloatArray]]:
    """(rows, expected rewards (c, k, n_outputs)) of actions (n, k), a few rounds at a time; None: without a prompt.

    `write` is asked for the outputs of (rows, the rounds, their actions), each round k·n_outputs times in a row.
    """
    k = 1 if actions is None else actions.shape[1]
    bare = replace(obs, action_mask=None)
    step = max(1, _OUTPUTS // (k * n_outputs))
    for begin in range(0, len(obs), step):
        rows = np.arange(begin, min(begin + step, len(obs)))
        asked = bare.take(np.repeat(rows, k * n_outputs))
        taken = None if actions is None else np.repeat(actions[rows].ravel(), n_outputs)
        expected = simulator.expected_reward(asked, write(rows, asked, taken), taken)
        yield rows, expected.reshape(len(rows), k, n_outputs)
