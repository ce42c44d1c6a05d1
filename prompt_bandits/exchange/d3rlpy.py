"""d3rlpy's MDPDataset, in memory: an episode of one step for each round."""

from __future__ import annotations

from typing import Any

import numpy as np

from prompt_bandits.checking import check_integer
from prompt_bandits.datasets.dataset import BanditDataset
from prompt_bandits.exchange.logged import LoggedData, in_memory
from prompt_bandits.types import FloatArray, Prompts


def to_d3rlpy(data: LoggedData) -> Any:
    """A `d3rlpy.dataset.MDPDataset` of context and query side by side, actions (n, 1), rewards (n, 1) and terminals.

    Each row becomes an `Episode` object. Lost: propensities, for which it has no place, masks, prompts, outputs, ids;
    rewards are float32.

    Raises:
        ImportError: d3rlpy is not installed.
    """
    try:
        from d3rlpy.constants import ActionSpace
        from d3rlpy.dataset import MDPDataset
    except ImportError as error:
        raise ImportError(
            "an MDPDataset needs d3rlpy: pip install d3rlpy, best in an environment of its own, since d3rlpy 2.8 asks "
            "for gymnasium 1.0.0 exactly"
        ) from error

    rows = in_memory(data, ("context", "query"))
    n = len(rows)
    return MDPDataset(
        observations=rows.obs.features().astype(np.float32),
        actions=rows.action.reshape(n, 1),
        rewards=rows.reward.reshape(n, 1).astype(np.float32),
        terminals=np.ones(n, np.float32),
        action_space=ActionSpace.DISCRETE,
        action_size=rows.n_actions,
    )


def from_d3rlpy(
    dataset: Any, *, prompts: Prompts | int | None = None, d_x: int | None = None, propensity: FloatArray | None = None
) -> BanditDataset:
    """The rounds of an MDPDataset or another replay buffer of one-step episodes.

    Args:
        dataset: of vector observations and discrete actions.
        prompts: the table, or their number; None: the dataset's `action_size`.
        d_x: so many features are the context, the others the query; None: all are context.
        propensity: (n,) of the actions, in the order of the episodes; None: unknown.

    Raises:
        ValueError: episodes of several steps, actions that are not discrete, or observations that are no vectors.
    """
    episodes = list(dataset.episodes)
    for i, episode in enumerate(episodes):
        if len(episode.rewards) != 1 or not episode.terminated:
            raise ValueError(
                f"episodes: expected one step each, terminated, got {len(episode.rewards)} steps, "
                f"terminated {bool(episode.terminated)}, in episode {i}"
            )
    if not episodes:
        raise ValueError("episodes: expected at least one, got none")
    features = np.concatenate([np.asarray(episode.observations) for episode in episodes])
    action = np.concatenate([np.asarray(episode.actions) for episode in episodes])
    if features.ndim != 2:
        raise ValueError(f"observations: expected vectors, got shape {features.shape[1:]}")
    if action.shape[1:] != (1,) or not np.issubdtype(action.dtype, np.integer):
        raise ValueError(f"actions: expected discrete ones (n, 1), got {action.dtype} {action.shape}")
    width = features.shape[1] if d_x is None else d_x
    check_integer("d_x", width, 1, features.shape[1])
    return BanditDataset.from_arrays(
        features[:, :width],
        action[:, 0].astype(np.int64),
        np.concatenate([np.asarray(episode.rewards) for episode in episodes])[:, 0],
        prompts=int(dataset.dataset_info.action_size) if prompts is None else prompts,
        query=features[:, width:] if width < features.shape[1] else None,
        propensity=propensity,
    )
