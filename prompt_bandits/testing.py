"""Checks that say in plain words what is wrong with a part or a policy; for third parties and for our own tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from prompt_bandits.acting import check_action_dist
from prompt_bandits.part_checks import check_llm, check_reward_model, check_source, checked_output
from prompt_bandits.probing import check_array, left_alone, no_global_draws, require_method
from prompt_bandits.protocols import SamplingPolicy
from prompt_bandits.rounds import Rounds
from prompt_bandits.types import FloatArray, Observation

if TYPE_CHECKING:
    from prompt_bandits.protocols import Policy
    from prompt_bandits.simulator import PromptSimulator

__all__ = ["check_llm", "check_policy", "check_reward_model", "check_simulator", "check_source"]

_PROBED = 2


def check_simulator(simulator: PromptSimulator) -> None:
    """Plays two rounds and says which part does not fit, and how: four generations of the LLM.

    `check_source`, `check_llm` and `check_reward_model` look closer at one part.

    Raises:
        ValueError: a part fails on what the parts before it give, gives a wrong shape, or gives different draws
            for the same rounds.
    """
    check_source(simulator.source, simulator.prompts, _PROBED)
    rounds = Rounds(0, 0, _PROBED, "probe")
    obs = simulator.observe(rounds)
    action = np.arange(_PROBED) % simulator.n_actions
    output = checked_output(simulator.llm, obs, action)
    check_reward_model(simulator.reward_model, obs, output)
    expected = simulator.expected_reward(obs, output, action)
    noise = simulator.reward_noise
    require_method("reward_noise", noise, "sample", "sample(expected, rounds)")
    try:
        with no_global_draws("reward_noise.sample", "draw from `rounds` only"):
            reward = noise.sample(expected, rounds)
    except ValueError as error:
        if str(error).startswith("reward_noise.sample"):
            raise
        raise ValueError(f"reward_noise.sample: fails for what reward_model.expected gives: {error}") from error
    check_array("reward_noise.sample", reward, (len(obs),))
    if not np.array_equal(reward, noise.sample(expected, Rounds(0, 0, _PROBED, "probe"))):
        raise ValueError("reward_noise.sample: expected the same rewards for the same rounds; draw from `rounds` only")


def check_policy(policy: Policy, obs: Observation) -> None:
    """Says what is wrong with a policy's distribution over the actions of `obs`, which has at least two rounds.

    Raises:
        ValueError: a wrong shape, rows that are no distribution, mass on masked prompts, rows that depend on their
            neighbours or differ when asked again, observations that were written to, global randomness, or a `sample`
            that does not fit.
    """
    require_method("policy", policy, "action_dist", "action_dist(obs)")
    who = "action_dist"
    advice = "it is asked for probabilities, `rounds` are for `sample`"
    with no_global_draws(who, advice), left_alone(who, obs=obs):
        dist = policy.action_dist(obs)
    _check_dist(dist, obs)
    if not np.array_equal(policy.action_dist(obs), dist):
        raise ValueError(f"{who}: expected the same probabilities each time it is asked; a policy does not change")
    last = slice(len(obs) - 1, len(obs))
    for row in (slice(0, 1), last):
        if not np.allclose(policy.action_dist(obs.take(row)), dist[row], atol=1e-5):
            raise ValueError(f"{who}: expected a row that does not depend on the other rows of the batch")
    if isinstance(policy, SamplingPolicy):
        _check_sample(policy, obs, dist)


def _check_dist(dist: FloatArray, obs: Observation) -> None:
    who = "action_dist"
    check_array(who, dist, (len(obs), obs.n_actions))
    row = int(dist.min(axis=1).argmin())
    if dist[row].min() < 0:
        raise ValueError(
            f"{who}: expected finite, non-negative numbers, got {dist[row].min():.3g} in row {row}; a softmax makes "
            "probabilities of scores (prompt_bandits.policies.Softmax)"
        )
    total = dist.sum(axis=1, dtype=np.float64)
    row = int(np.abs(total - 1).argmax())
    if abs(total[row] - 1) > 1e-4:
        raise ValueError(f"{who}: expected rows that sum to 1, row {row} sums to {total[row]:.4g}")
    check_action_dist(dist, (len(obs), obs.n_actions))
    if obs.action_mask is not None and dist[~obs.action_mask].max(initial=0) > 0:
        row = int(((dist > 0) & ~obs.action_mask).any(axis=1).argmax())
        raise ValueError(f"{who}: expected 0 on masked prompts, got a positive probability in row {row}")


def _check_sample(policy: SamplingPolicy, obs: Observation, dist: FloatArray) -> None:
    who = "sample"
    rounds = Rounds(0, 0, len(obs), "probe")
    with no_global_draws(who, "draw from `rounds` only"), left_alone(who, obs=obs):
        drawn = policy.sample(obs, rounds)
    if not isinstance(drawn, tuple) or len(drawn) != 2:
        raise ValueError(f"{who}: expected a pair, actions (n,) and their probabilities (n,), got {drawn!r}")
    action, propensity = drawn
    check_array(f"{who}: actions", action, (len(obs),))
    check_array(f"{who}: probabilities", propensity, (len(obs),))
    if not np.issubdtype(action.dtype, np.integer) or not 0 <= action.min() <= action.max() < obs.n_actions:
        raise ValueError(f"{who}: expected integer actions in 0 … {obs.n_actions - 1}, got {action}")
    again = policy.sample(obs, Rounds(0, 0, len(obs), "probe"))
    if not np.array_equal(action, again[0]):
        raise ValueError(f"{who}: expected the same actions for the same rounds; draw from `rounds` only")
    own = dist[np.arange(len(obs)), action]
    if not np.allclose(propensity, own, rtol=1e-3, atol=1e-6):
        row = int(np.abs(propensity - own).argmax())
        raise ValueError(
            f"{who}: expected the probability that action_dist gives the action, {own[row]:.4g} in row {row}, got "
            f"{propensity[row]:.4g}"
        )
