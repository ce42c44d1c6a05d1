"""Exact values of actions and policies, from the simulator's own parts. Never for a learner's eyes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from prompt_bandits import types
from prompt_bandits.acting import check_action_dist
from prompt_bandits.protocols import GaussianLLM, IntegrableReward, Policy
from prompt_bandits.rounds import Rounds
from prompt_bandits.types import ActionValues, Estimate, FloatArray, IntArray, Observation

if TYPE_CHECKING:
    from prompt_bandits.simulator import PromptSimulator

N_CONTEXTS = 10_000
N_OUTPUTS = 32
_CELLS = 1_000_000  # rounds × actions (× outputs) worked on at a time


def action_value(simulator: PromptSimulator, obs: Observation, action: IntArray, n_outputs: int) -> ActionValues:
    """q(x_i, a_i), (n,)."""
    exact = _closed_form(simulator, obs, action)
    if exact is not None:
        return ActionValues(exact)
    sampled = _monte_carlo(simulator, obs, np.asarray(action)[:, None], n_outputs, _Draws())
    assert sampled.se is not None
    return ActionValues(sampled.value[:, 0], sampled.se[:, 0])


@dataclass(frozen=True)
class _Draws:
    """Where Monte Carlo outputs come from: two purposes share no noise, nor do chunks, numbered by `start`."""

    purpose: str = "values"  # what a policy may look at; judging draws its own
    seed: int = 0
    start: int = 0


def action_values(
    simulator: PromptSimulator, obs: Observation, n_outputs: int, draws: _Draws | None = None
) -> ActionValues:
    """q(x_i, a), (n, |A|)."""
    exact = _closed_form(simulator, obs, None)
    if exact is not None:
        return ActionValues(exact)
    every = np.broadcast_to(np.arange(simulator.n_actions), (len(obs), simulator.n_actions))
    return _monte_carlo(simulator, obs, every, n_outputs, draws or _Draws())


def policy_value(simulator: PromptSimulator, policy: Policy | FloatArray, n: int | None, seed: int) -> Estimate:
    """V(π)."""
    return Estimate.from_terms(value_terms(simulator, policy, n, seed))


def value_terms(simulator: PromptSimulator, policy: Policy | FloatArray, n: int | None, seed: int) -> FloatArray:
    """Σ_a π(a|x)·q(x, a) in each context, (n,)."""
    return _policy_terms(simulator, policy, n, seed)[0]


def optimal_value(simulator: PromptSimulator, n: int, seed: int) -> Estimate:
    """V of the best prompt for each context."""
    return Estimate.from_terms(_terms(simulator, n, seed, _best)[0])


def uniform_value(simulator: PromptSimulator, n: int, seed: int) -> Estimate:
    """V of the uniform policy over the allowed prompts."""
    return Estimate.from_terms(_terms(simulator, n, seed, _uniform)[0])


def regret(simulator: PromptSimulator, policy: Policy | FloatArray, n: int | None, seed: int) -> Estimate:
    """V(optimal) − V(π), paired."""
    own, best = _policy_terms(simulator, policy, n, seed, _best)
    return Estimate.from_terms(best - own)


def optimality(simulator: PromptSimulator, policy: Policy | FloatArray, n: int | None, seed: int) -> float:
    """(V(π) − V(uniform)) / (V(optimal) − V(uniform))."""
    own, best, uniform = (float(terms.mean()) for terms in _policy_terms(simulator, policy, n, seed, _best, _uniform))
    return types.optimality(own, uniform, best)


def _closed_form(simulator: PromptSimulator, obs: Observation, action: IntArray | None) -> FloatArray | None:
    if isinstance(simulator.llm, GaussianLLM) and isinstance(simulator.reward_model, IntegrableReward):
        return simulator.reward_model.mean_over(obs, simulator.llm.output_distribution(obs), action)
    return None


def _monte_carlo(
    simulator: PromptSimulator, obs: Observation, actions: IntArray, n_outputs: int, draws: _Draws
) -> ActionValues:
    """Means and standard errors over sampled outputs of actions (n, k)."""
    if n_outputs < 2:
        raise ValueError(f"n_outputs: expected at least 2 for a standard error, got {n_outputs}")
    n, k = actions.shape
    bare = replace(obs, action_mask=None)
    value, se = np.empty((n, k)), np.empty((n, k))
    step = max(1, _CELLS // (k * n_outputs))
    for begin in range(0, n, step):
        rows = np.arange(begin, min(begin + step, n))
        flat = bare.take(np.repeat(rows, k * n_outputs))
        first = (draws.start + begin) * k * n_outputs
        rounds = Rounds(draws.seed, first, len(flat), f"{simulator.oracle_scope}/{draws.purpose}")
        output = simulator.respond(flat, np.repeat(actions[rows].ravel(), n_outputs), rounds)
        drawn = simulator.expected_reward(flat, output).reshape(len(rows), k, n_outputs)
        value[rows], se[rows] = drawn.mean(-1), drawn.std(-1, ddof=1) / np.sqrt(n_outputs)
    return ActionValues(value, se)


@dataclass(frozen=True)
class _Chunk:
    simulator: PromptSimulator
    obs: Observation
    values: ActionValues  # (k, |A|)
    start: int
    seed: int


_Reduce: TypeAlias = Callable[[_Chunk], FloatArray]


def _terms(simulator: PromptSimulator, n: int, seed: int, *reduces: _Reduce) -> list[FloatArray]:
    """Per-context terms (n,) of each reduction, over the oracle's rounds."""
    parts = [[reduce(chunk) for reduce in reduces] for chunk in _chunks(simulator, n, seed)]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def _chunks(simulator: PromptSimulator, n: int, seed: int) -> Iterator[_Chunk]:
    if n < 1:
        raise ValueError(f"n: expected at least one context, got {n}")
    step = max(1, _CELLS // simulator.n_actions)
    for start in range(0, n, step):
        obs = simulator.observe(Rounds(seed, start, min(step, n - start), simulator.oracle_scope))
        judged = action_values(simulator, obs, N_OUTPUTS, _Draws("judge", seed, start))
        yield _Chunk(simulator, obs, judged, start, seed)


def _policy_terms(
    simulator: PromptSimulator, policy: Policy | FloatArray, n: int | None, seed: int, *others: _Reduce
) -> list[FloatArray]:
    if isinstance(policy, np.ndarray):
        check_action_dist(policy, (len(policy) if n is None else n, simulator.n_actions))
        n = len(policy)

    def own(chunk: _Chunk) -> FloatArray:
        if isinstance(policy, np.ndarray):
            dist = policy[chunk.start : chunk.start + len(chunk.obs)]
        else:
            dist = policy.action_dist(chunk.obs)
            check_action_dist(dist, (len(chunk.obs), simulator.n_actions))
        mask = chunk.obs.action_mask
        if mask is not None and dist[~mask].max(initial=0) > 0:
            raise ValueError("action_dist: expected 0 on masked prompts, got a positive probability")
        return np.asarray(np.einsum("na,na->n", dist, chunk.values.value, dtype=np.float64))

    return _terms(simulator, N_CONTEXTS if n is None else n, seed, own, *others)


def _best(chunk: _Chunk) -> FloatArray:
    """max_a q(x, a). A Monte Carlo q picks on some outputs and is judged on fresh ones: the luckiest pick gains
    nothing.
    """
    mask, values = chunk.obs.action_mask, chunk.values
    allowed = values.value if mask is None else np.where(mask, values.value, -np.inf)
    if values.se is None:
        return np.asarray(allowed.max(axis=1))
    best = allowed.argmax(axis=1)[:, None]
    fresh = _Draws("best", chunk.seed, chunk.start)
    return _monte_carlo(chunk.simulator, chunk.obs, best, N_OUTPUTS, fresh).value[:, 0]


def _uniform(chunk: _Chunk) -> FloatArray:
    mask, value = chunk.obs.action_mask, chunk.values.value
    if mask is None:
        return np.asarray(value.mean(axis=1, dtype=np.float64))
    return np.asarray(np.einsum("na,na->n", value, mask, dtype=np.float64) / mask.sum(axis=1))
