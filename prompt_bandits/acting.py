"""Functions over any policy: drawing actions, their probabilities, what a policy would earn. Chunked over rounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from prompt_bandits.protocols import ActionScore, Policy, SamplingPolicy
from prompt_bandits.rounds import Rounds
from prompt_bandits.types import FloatArray, IntArray, Observation

_CELLS = 2_000_000  # rounds × actions worked on at a time


def act(policy: Policy, obs: Observation, rounds: Rounds) -> tuple[IntArray, FloatArray]:
    """The one way to act: one draw a round.

    Returns:
        action: (n,).
        propensity: (n,) float64, the probability that each was drawn with; never 0.
    """
    if isinstance(policy, SamplingPolicy):
        return policy.sample(obs, rounds)
    action, propensity = sample_many(policy, obs, rounds.uniform("action")[:, None])
    return action[:, 0], propensity[:, 0]


def sample_actions(
    policy: Policy, obs: Observation, rounds: Rounds, k: int, *, replacement: bool = True
) -> tuple[IntArray, FloatArray]:
    """`k` draws a round, with or without replacement.

    Returns:
        action: (n, k).
        probability: (n, k), π(a|x) of each. Without replacement that is the chance of being drawn first, not of
            being among the k.

    Raises:
        ValueError: more draws without replacement than prompts of positive probability.
    """
    uniform = rounds.uniform("actions", k)
    return sample_many(policy, obs, uniform) if replacement else _sample_distinct(policy, obs, uniform)


def sample_many(policy: Policy, obs: Observation, uniform: FloatArray) -> tuple[IntArray, FloatArray]:
    """Draws by the inverse of the cumulative distribution at `uniform` (n, k) in [0, 1); returns actions and
    probabilities (n, k).
    """
    action = np.empty(uniform.shape, dtype=np.int64)
    probability = np.empty(uniform.shape)
    for rows, dist in dist_chunks(policy, obs):
        cumulative = np.cumsum(dist, axis=1, dtype=np.float64)
        for column in range(uniform.shape[1]):
            drawn = _invert(cumulative, uniform[rows, column])
            action[rows, column] = drawn
            probability[rows, column] = np.minimum(_pick(dist, drawn) / cumulative[:, -1], 1)
    return action, probability


def sample_for_rows(policy: Policy, obs: Observation, row: IntArray, uniform: FloatArray) -> IntArray:
    """Draws for rounds that are asked for again and again: (m, k) actions for rounds `row` (m,) at `uniform` (m, k).

    The distribution of each distinct round is computed once.
    """
    action = np.empty(uniform.shape, dtype=np.int64)
    distinct, position = np.unique(row, return_inverse=True)
    order = np.argsort(position, kind="stable")
    bounds = np.concatenate([[0], np.cumsum(np.bincount(position, minlength=len(distinct)))])
    for rows, dist in dist_chunks(policy, obs.take(distinct)):
        cumulative = np.cumsum(dist, axis=1, dtype=np.float64)
        for i in range(rows.start, rows.stop):
            asked = order[bounds[i] : bounds[i + 1]]
            own = cumulative[i - rows.start]
            action[asked] = np.searchsorted(own, uniform[asked] * own[-1], side="right")
    return action


def _sample_distinct(policy: Policy, obs: Observation, uniform: FloatArray) -> tuple[IntArray, FloatArray]:
    action = np.empty(uniform.shape, dtype=np.int64)
    probability = np.empty(uniform.shape)
    for rows, dist in dist_chunks(policy, obs):
        fewest = int((dist > 0).sum(axis=1).min())
        if fewest < uniform.shape[1]:
            raise ValueError(
                f"k: expected at most {fewest}, the prompts of positive probability, got {uniform.shape[1]}"
            )
        left = dist.astype(np.float64)
        for column in range(uniform.shape[1]):
            drawn = _invert(np.cumsum(left, axis=1), uniform[rows, column])
            action[rows, column], probability[rows, column] = drawn, _pick(dist, drawn)
            left[np.arange(len(left)), drawn] = 0
    return action, probability


def _invert(cumulative: FloatArray, uniform: FloatArray) -> IntArray:
    """The first action whose cumulative mass exceeds u times the row's own total; so never one of probability 0.

    There always is one: draws are at most 1 − 2⁻⁵³, and float64 rounds (1 − 2⁻⁵³)·t below t.
    """
    target = uniform * cumulative[:, -1]
    action: IntArray = (cumulative > target[:, None]).argmax(axis=1)
    return action


def _pick(dist: FloatArray, action: IntArray) -> FloatArray:
    return dist[np.arange(len(dist)), action]


def dist_chunks(policy: Policy, obs: Observation) -> Iterator[tuple[slice, FloatArray]]:
    """`action_dist` a few rows at a time: (rows, (k, |A|)), so that nothing of size n × |A| lives at once.

    Raises:
        ValueError: it is no distribution.
    """
    step = max(1, _CELLS // obs.n_actions)
    for begin in range(0, len(obs), step):
        rows = slice(begin, min(begin + step, len(obs)))
        dist = policy.action_dist(obs.take(rows))
        check_action_dist(dist, (rows.stop - begin, obs.n_actions))
        yield rows, dist


def check_action_dist(dist: FloatArray, shape: tuple[int, int]) -> None:
    """Refuses an array that is no distribution over actions.

    Raises:
        ValueError: another shape, a negative or non-finite number, or rows that do not sum to 1 (within 1e-4).
    """
    if dist.shape != shape:
        raise ValueError(f"action_dist: expected shape {shape}, got {dist.shape}")
    if not np.isfinite(dist).all() or dist.min() < 0:
        raise ValueError("action_dist: expected finite, non-negative numbers")
    worst = float(np.abs(dist.sum(axis=1, dtype=np.float64) - 1).max())
    if worst > 1e-4:
        raise ValueError(f"action_dist: expected rows that sum to 1, got one off by {worst:.2g}")


def prob(policy: Policy, obs: Observation, action: IntArray) -> FloatArray:
    """π(a_i|x_i) of given actions, (n,)."""
    out = np.empty(len(obs))
    for rows, dist in dist_chunks(policy, obs):
        out[rows] = np.minimum(_pick(dist, action[rows]), 1)
    return out


def log_prob(policy: Policy, obs: Observation, action: IntArray) -> FloatArray:
    """log π(a_i|x_i), (n,); −inf where the policy never takes the action."""
    with np.errstate(divide="ignore"):
        return np.log(prob(policy, obs, action))


def greedy_action(policy: Policy, obs: Observation) -> IntArray:
    """The most probable action, (n,); the first of equals."""
    parts = [dist.argmax(axis=1) for _, dist in dist_chunks(policy, obs)]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


def predicted_value(policy: Policy, obs: Observation, q_hat: ActionScore) -> FloatArray:
    """Σ_a π(a|x_i)·q̂(x_i, a), (n,): what a reward model expects of the policy in each round."""
    out = np.empty(len(obs))
    for rows, dist in dist_chunks(policy, obs):
        out[rows] = np.einsum("na,na->n", dist, q_hat.scores(obs.take(rows)), dtype=np.float64)
    return out


def restrict(obs: Observation, candidates: Sequence[IntArray]) -> Observation:
    """The same rounds with only `candidates[i]` (action indices) allowed in round i, beside what is masked already.

    Raises:
        ValueError: another number of candidate sets than rounds, an unknown action, or a round without any.
    """
    if len(candidates) != len(obs):
        raise ValueError(f"candidates: expected {len(obs)} sets, one a round, got {len(candidates)}")
    mask = np.zeros((len(obs), obs.n_actions), dtype=bool)
    for row, allowed in enumerate(candidates):
        indices = np.asarray(allowed, dtype=np.int64)
        if indices.size and not (indices.min() >= 0 and indices.max() < obs.n_actions):
            raise ValueError(
                f"candidates[{row}]: expected actions in 0 … {obs.n_actions - 1}, got {indices.min()} … {indices.max()}"
            )
        mask[row, indices] = True
    if obs.action_mask is not None:
        mask &= obs.action_mask
    if not mask.any(axis=1).all():
        raise ValueError(
            f"candidates[{int((~mask.any(axis=1)).argmax())}]: expected at least one allowed action, got none"
        )
    return replace(obs, action_mask=mask)
