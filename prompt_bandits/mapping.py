"""From what an environment gives, ours or a third party's, to the columns of `Observation` and the rounds behind
them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from prompt_bandits.rounds import Rounds
from prompt_bandits.simulator import PromptSimulator
from prompt_bandits.types import ORACLE_COLUMNS, IntArray, Prompts

Columns = dict[str, NDArray[Any]]
Mapped = Callable[[Any, Mapping[str, Any]], Mapping[str, Any]]
"""From an environment's observation and info to `context` and, if there are such, the other fields of `Observation`."""

_FROM_INFO = ("user_id", "query_id", "query_text", "action_mask")
OUTCOME = ("action", "output", "sentence", *ORACLE_COLUMNS)
"""What environments of ours tell of a finished round in `info`."""
_MOST_ONE_HOT = 10_000


def simulator_of(env: Any) -> PromptSimulator | None:
    """The simulator inside an environment of ours, under any wrappers."""
    found = getattr(env.unwrapped, "simulator", None)
    return found if isinstance(found, PromptSimulator) else None


def prompts_of(env: Any, single_action_space: spaces.Space[Any], given: Prompts | None) -> Prompts:
    """The prompt table: the environment's, the given one, or ids only for a third party's Discrete actions."""
    simulator = simulator_of(env)
    if simulator is not None:
        return simulator.prompts
    if not isinstance(single_action_space, spaces.Discrete) or single_action_space.start != 0:
        raise ValueError(
            f"action_space: expected Discrete starting at 0 in a third party's environment, got {single_action_space}"
        )
    n = int(single_action_space.n)
    if given is None and n > _MOST_ONE_HOT:
        raise ValueError(f"prompts: expected a table for {n} actions; ids alone do for at most {_MOST_ONE_HOT}")
    prompts = Prompts.one_hot(n) if given is None else given
    if len(prompts) != n:
        raise ValueError(f"prompts: expected {n}, as many as actions, got {len(prompts)}")
    return prompts


def observation_columns(
    space: spaces.Space[Any], simulator: PromptSimulator | None, obs: Any, info: Mapping[str, Any]
) -> Columns:
    """Batched fields of `Observation` from batched observations; `space` is that of a single round."""
    columns: Columns = {name: np.asarray(info[name]) for name in _FROM_INFO if name in info}
    if "action_mask" in columns:
        columns["action_mask"] = columns["action_mask"].astype(bool)
    named = _named_features(space, simulator, obs, info)
    if named:
        return columns | {name: np.array(column, dtype=np.float32) for name, column in named.items()}
    if not isinstance(space, spaces.Box):
        raise ValueError(f"observation_space: expected a Box or a Dict with 'context', got {space}; give mapping=")
    flat = np.asarray(obs, dtype=np.float32).reshape(len(obs), -1)
    return columns | _split_query(flat, simulator)


def _named_features(
    space: spaces.Space[Any], simulator: PromptSimulator | None, obs: Any, info: Mapping[str, Any]
) -> dict[str, Any]:
    """Context and query where they go by these names: in the observation, or in the info of ours that shows texts."""
    if not isinstance(space, spaces.Dict):
        return {}
    shown = obs if "context" in space.spaces else info if simulator is not None and "context" in info else {}
    return {name: shown[name] for name in ("context", "query") if name in shown}


def _split_query(flat: NDArray[Any], simulator: PromptSimulator | None) -> Columns:
    """Context and query of flattened observations of ours; anything else is all context."""
    if simulator is not None:
        probe = simulator.observe(Rounds(0, 0, 1, "probe"))
        if probe.query is not None and flat.shape[1] == probe.context.shape[1] + probe.query.shape[1]:
            width = probe.context.shape[1]
            return {"context": flat[:, :width], "query": flat[:, width:]}
    return {"context": flat}


def single_columns(
    space: spaces.Space[Any], simulator: PromptSimulator | None, obs: Any, info: Mapping[str, Any]
) -> Columns:
    """As `observation_columns` for one round, of any space that Gymnasium can flatten."""
    batched_info = {name: np.asarray([info[name]]) for name in _FROM_INFO if name in info}
    named = _named_features(space, simulator, obs, info)
    if named:
        batch = {name: np.asarray(value)[None] for name, value in named.items()}
        return observation_columns(space, simulator, batch, batched_info | batch)
    flat = np.asarray(spaces.flatten(space, obs), dtype=np.float32)
    box = spaces.Box(-np.inf, np.inf, flat.shape)
    return observation_columns(box, simulator, flat[None], batched_info)


def rounds_of(
    simulator: PromptSimulator | None, seed: IntArray, round_id: IntArray
) -> list[tuple[NDArray[Any], Rounds]]:
    """The rounds of these keys, one group a seed: (positions, rounds)."""
    scope = "log/train" if simulator is None else simulator.scope
    groups = [(one, np.flatnonzero(seed == one)) for one in np.unique(seed)]
    return [(rows, Rounds(int(one), np.asarray(round_id[rows]), scope=scope)) for one, rows in groups]


def info_columns(infos: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """The arrays of a vector environment's infos, without masks, nested infos and observations."""
    return {
        name: np.asarray(column)
        for name, column in infos.items()
        if not name.startswith("_") and not isinstance(column, dict) and name != "final_obs"
    }


def merge_rows(kept: Columns, infos: Mapping[str, Any], new: NDArray[np.bool_]) -> Columns:
    """`kept` with the rows of `infos` where `new` is True and the info has a value (Gymnasium's mask `_name`)."""
    merged = dict(kept)
    for name, column in info_columns(infos).items():
        present = new & np.asarray(infos.get(f"_{name}", True))
        if name in kept and not present.all():
            column = np.where(present.reshape(-1, *[1] * (column.ndim - 1)), column, kept[name])
        merged[name] = column
    return merged
