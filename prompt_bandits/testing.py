"""Checks that say in plain words what is wrong with a part or a policy; for third parties and for our own tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from prompt_bandits.acting import check_action_dist
from prompt_bandits.rounds import Rounds
from prompt_bandits.types import FloatArray, Observation, Output

if TYPE_CHECKING:
    from prompt_bandits.protocols import Policy
    from prompt_bandits.simulator import PromptSimulator

_PROBED = 2


def check_simulator(simulator: PromptSimulator) -> None:
    """Plays two rounds and says which part does not fit, and how.

    Raises:
        ValueError: a part fails on what the parts before it give, gives a wrong shape, or gives different draws
            for the same rounds.
    """
    rounds = Rounds(0, 0, _PROBED, "probe")
    obs = _observe(simulator, rounds)
    again = _observe(simulator, Rounds(0, 0, _PROBED, "probe"))
    if not np.array_equal(obs.context, again.context):
        raise ValueError("source.observe: expected the same contexts for the same rounds; draw from `rounds` only")
    action = np.arange(_PROBED) % simulator.n_actions
    output = _generate(simulator, obs, action, rounds)
    second = _generate(simulator, obs, action, Rounds(0, 0, _PROBED, "probe"))
    if output.embedding is not None and not np.array_equal(
        output.embedding, second.embedding if second.embedding is not None else np.nan
    ):
        raise ValueError("llm.generate: expected the same outputs for the same rounds; draw from `rounds` only")
    _reward(simulator, obs, action, output, rounds)


def check_policy(policy: Policy, obs: Observation) -> None:
    """Says what is wrong with a policy's distribution over the actions of `obs`.

    Raises:
        ValueError: a wrong shape, rows that are no distribution, mass on masked prompts, or rows that depend on
            their neighbours.
    """
    dist = policy.action_dist(obs)
    check_action_dist(dist, (len(obs), obs.n_actions))
    if obs.action_mask is not None and dist[~obs.action_mask].max(initial=0) > 0:
        raise ValueError("action_dist: expected 0 on masked prompts, got a positive probability")
    alone = policy.action_dist(obs.take(slice(0, 1)))
    if not np.allclose(alone, dist[:1], atol=1e-5):
        raise ValueError("action_dist: expected a row that does not depend on the other rows of the batch")


def _observe(simulator: PromptSimulator, rounds: Rounds) -> Observation:
    obs = simulator.observe(rounds)
    for name in ("context", "query"):
        column: FloatArray | None = getattr(obs, name)
        if column is not None and (column.ndim != 2 or len(column) != len(rounds)):
            raise ValueError(f"source.observe: expected {name} of shape ({len(rounds)}, d), got {column.shape}")
    if obs.action_mask is not None and obs.action_mask.shape != (len(rounds), simulator.n_actions):
        expected = (len(rounds), simulator.n_actions)
        raise ValueError(f"source.observe: expected action_mask of shape {expected}, got {obs.action_mask.shape}")
    return obs


def _generate(
    simulator: PromptSimulator, obs: Observation, action: np.ndarray[tuple[int], np.dtype[np.int64]], rounds: Rounds
) -> Output:
    try:
        output = simulator.respond(obs, action, rounds)
    except (ValueError, IndexError, TypeError) as error:
        query = None if obs.query is None else obs.query.shape
        raise ValueError(
            f"llm.generate: fails for queries {query} and prompts {simulator.prompts.embedding.shape}: {error}"
        ) from error
    if output.embedding is None and output.text is None:
        raise ValueError("llm.generate: expected an output with an embedding or a text, got neither")
    for name in ("embedding", "text"):
        column = getattr(output, name)
        if column is not None and (not isinstance(column, np.ndarray) or len(column) != len(obs)):
            got = f"{len(column)} rows of {type(column).__name__}"
            raise ValueError(f"llm.generate: expected {name} as an array of {len(obs)} rows, got {got}")
    return output


def _reward(
    simulator: PromptSimulator,
    obs: Observation,
    action: np.ndarray[tuple[int], np.dtype[np.int64]],
    output: Output,
    rounds: Rounds,
) -> None:
    shape = "text only" if output.embedding is None else output.embedding.shape
    try:
        expected = simulator.expected_reward(obs, output, action)
    except (ValueError, IndexError, TypeError) as error:
        raise ValueError(
            f"reward_model.expected: fails for outputs {shape} and contexts {obs.context.shape}: {error}"
        ) from error
    if np.shape(expected) != (len(obs),):
        raise ValueError(f"reward_model.expected: expected shape ({len(obs)},), got {np.shape(expected)}")
    baseline = simulator.baseline(obs)
    if baseline is not None and np.shape(baseline) != (len(obs),):
        raise ValueError(f"reward_model.baseline: expected shape ({len(obs)},), got {np.shape(baseline)}")
    try:
        reward = simulator.reward_noise.sample(expected, rounds)
    except ValueError as error:
        raise ValueError(f"reward_noise.sample: fails for what reward_model.expected gives: {error}") from error
    if np.shape(reward) != (len(obs),):
        raise ValueError(f"reward_noise.sample: expected shape ({len(obs)},), got {np.shape(reward)}")
