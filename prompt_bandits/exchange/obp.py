"""Open Bandit Pipeline's `bandit_feedback` dict (Saito et al., 2021; https://github.com/st-tech/zr-obp)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from prompt_bandits.acting import dist_chunks
from prompt_bandits.datasets.dataset import BanditDataset
from prompt_bandits.exchange.logged import LoggedData, in_memory
from prompt_bandits.exchange.npz import read_npz, write_npz
from prompt_bandits.protocols import Policy
from prompt_bandits.types import FloatArray, Observation, Prompts

MEMORY_MB = 1024
_COLUMNS = ("query", "propensity", "action_mask", "extras.position", "oracle.action_value")


def to_obp(data: LoggedData, *, pi_b: bool = False, memory_mb: int = MEMORY_MB) -> dict[str, Any]:
    """Rounds as Open Bandit Pipeline takes them: `OffPolicyEvaluation(bandit_feedback=to_obp(data), …)`.

    `context` is context and query side by side, the last `dim_query` of them the query's (a key of our own);
    `action_context` the prompts' features; `pscore` is left out where propensities are unknown; `position` is the extra
    of that name, or None; `expected_reward` (n, |A|) is there if the oracle holds `action_value`. Texts, sentences,
    outputs, masks, ids, other extras and policies are lost.

    Args:
        data: rounds; of a folder, the columns above are read into memory.
        pi_b: with the logging policies' distributions (n, |A|, 1) float64.
        memory_mb: what `pi_b` may take.

    Raises:
        ValueError: `pi_b` would take more, or the dataset carries no logging policy.
    """
    rows = in_memory(data, _COLUMNS)
    feedback: dict[str, Any] = {
        "n_rounds": len(rows),
        "n_actions": rows.n_actions,
        "context": rows.obs.features(),
        "dim_query": 0 if rows.obs.query is None else rows.obs.query.shape[1],
        "action_context": rows.prompts.embedding,
        "action": rows.action,
        "position": rows.extras.get("position"),
        "reward": rows.reward,
    }
    if rows.propensity is not None:
        feedback["pscore"] = rows.propensity
    if "action_value" in rows.oracle:
        feedback["expected_reward"] = rows.oracle["action_value"]
    if pi_b:
        check_dense("pi_b", len(rows), rows.n_actions, memory_mb)
        feedback["pi_b"] = rows.logging_dist()[:, :, None]
    return feedback


def to_obp_dist(policy: Policy, obs: Observation, *, memory_mb: int = MEMORY_MB) -> FloatArray:
    """A policy as Open Bandit Pipeline evaluates it: `action_dist` (n, |A|, 1) float64.

    Raises:
        ValueError: it would take more than `memory_mb`.
    """
    check_dense("action_dist", len(obs), obs.n_actions, memory_mb)
    dist = np.empty((len(obs), obs.n_actions, 1))
    for rows, part in dist_chunks(policy, obs):
        dist[rows, :, 0] = part
    return dist


def from_obp(feedback: Mapping[str, Any], *, dim_query: int | None = None) -> BanditDataset:
    """A `bandit_feedback` dict as rounds.

    `position` becomes the extra of that name, `expected_reward` (n, |A|) the oracle's `action_value`; `pi_b` is left
    aside, `pscore` says what is needed. Features become float32.

    Args:
        feedback: the dict.
        dim_query: how many of the last features of `context` are the query's; None: what the dict says, or none.

    Raises:
        ValueError: what the dict must have is missing, or is no rounds.
    """
    missing = [name for name in ("context", "action", "reward") if feedback.get(name) is None]
    if missing:
        raise ValueError(f"bandit_feedback: expected {', '.join(missing)}, found {', '.join(feedback)}")
    context = np.asarray(feedback["context"], np.float32)
    width = int(feedback.get("dim_query") or 0) if dim_query is None else dim_query
    if context.ndim != 2 or not 0 <= width < context.shape[1]:
        raise ValueError(f"context: expected shape (n, d) with d > dim_query={width}, got {context.shape}")
    position, values = feedback.get("position"), feedback.get("expected_reward")
    return BanditDataset.from_arrays(
        context[:, : context.shape[1] - width],
        np.asarray(feedback["action"]).astype(np.int64, casting="safe"),
        feedback["reward"],
        prompts=_prompts(feedback),
        propensity=feedback.get("pscore"),
        query=context[:, context.shape[1] - width :] if width else None,
        extras={} if position is None else {"position": np.asarray(position, np.int64)},
        oracle={} if values is None else {"action_value": np.asarray(values, np.float64)},
    )


def export_file(data: LoggedData, path: Path, *, pi_b: bool = False, memory_mb: int = MEMORY_MB) -> None:
    """Writes the dict of `to_obp` as a .npz file without pickle; arguments and errors as there."""
    write_npz(path, to_obp(data, pi_b=pi_b, memory_mb=memory_mb))


def import_file(path: Path, *, dim_query: int | None = None) -> BanditDataset:
    """Reads a .npz file of `bandit_feedback`'s arrays; arguments and errors as `from_obp`."""
    return from_obp(read_npz(path, ("context", "action", "reward")), dim_query=dim_query)


def check_dense(name: str, n: int, n_actions: int, memory_mb: int) -> None:
    """Raises a ValueError where an array (n, |A|) float64 takes more than `memory_mb`."""
    needed = 8 * n * n_actions
    if needed > memory_mb << 20:
        raise ValueError(
            f"{name}: {n:,} rounds x {n_actions:,} prompts take {needed / (1 << 20):,.0f} MB, more than "
            f"memory_mb={memory_mb}; raise it, or give fewer rounds, such as data.take(slice(0, 10_000))"
        )


def _prompts(feedback: Mapping[str, Any]) -> Prompts:
    features, n = feedback.get("action_context"), feedback.get("n_actions")
    if features is None:
        return Prompts.one_hot(int(np.max(feedback["action"])) + 1 if n is None else int(n))
    prompts = Prompts.from_embedding(np.asarray(features, np.float32))
    if n is not None and len(prompts) != n:
        raise ValueError(f"action_context: expected a row for each of n_actions={n}, got {len(prompts)}")
    return prompts
