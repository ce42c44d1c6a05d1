"""scope-rl's `logged_dataset` dict: trajectories of one step (https://github.com/hakuhodo-technologies/scope-rl)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from prompt_bandits.datasets.columns import Columns, row_columns, rows_of
from prompt_bandits.datasets.dataset import BanditDataset
from prompt_bandits.exchange.logged import LoggedData, in_memory
from prompt_bandits.exchange.npz import read_npz, write_npz
from prompt_bandits.types import Prompts, text_array

_OWN = ("context", "query", "action", "reward", "propensity")  # have keys of their own
_REQUIRED = ("state", "action", "reward", "step_per_trajectory", "action_type")


def to_scope_rl(data: LoggedData, *, behavior_policy: str = "logging", dataset_id: int = 0) -> dict[str, Any]:
    """Rounds as scope-rl takes them:
    `OffPolicyEvaluation(logged_dataset=to_scope_rl(data), …, disable_reward_after_done=False)`.

    Every round is a trajectory of one step that ends it: `done` is 1, as fitted Q evaluation needs it. By default
    scope-rl's `OffPolicyEvaluation` takes rewards of steps that are done for 0, hence the argument above. `state` is
    context and query side by side, told apart by `state_keys`; `action_meaning` are the prompts' texts, or their ids;
    `info` holds every other column of the rounds (sentences, query texts, outputs, masks, ids, extras), as the
    environments that scope-rl knows tell theirs. Keys of our own are `action_context` and `prompt_id`. Policies, oracle
    columns and the environment's spec are lost.

    Args:
        data: rounds; a folder is read into memory.
        behavior_policy: the name by which scope-rl's reports call who logged.
        dataset_id: which of several datasets of that policy it is.
    """
    rows = in_memory(data)
    n, ones = len(rows), np.ones(len(rows))
    width = 0 if rows.obs.query is None else rows.obs.query.shape[1]
    keys = [f"context_{i}" for i in range(rows.obs.context.shape[1])] + [f"query_{i}" for i in range(width)]
    names = rows.prompts.prompt_id if rows.prompts.text is None else rows.prompts.text
    return {
        "size": n,
        "n_trajectories": n,
        "step_per_trajectory": 1,
        "action_type": "discrete",
        "n_actions": rows.n_actions,
        "action_dim": None,
        "action_keys": None,
        "action_meaning": dict(enumerate(names.tolist())),
        "state_dim": len(keys),
        "state_keys": keys,
        "state": rows.obs.features(),
        "action": rows.action,
        "reward": rows.reward,
        "done": ones,
        "terminal": ones,
        "info": {k: v for k, v in row_columns(rows).items() if k not in _OWN and not k.startswith("oracle.")},
        "pscore": rows.propensity,
        "behavior_policy": behavior_policy,
        "dataset_id": dataset_id,
        "action_context": rows.prompts.embedding,
        "prompt_id": rows.prompts.prompt_id,
    }


def from_scope_rl(dataset: Mapping[str, Any]) -> BanditDataset:
    """A `logged_dataset` dict of one-step trajectories with discrete actions as rounds; what `info` says of unknown
    names becomes extras.

    Raises:
        ValueError: longer trajectories, continuous actions, or what it must have is missing.
    """
    missing = [name for name in _REQUIRED if dataset.get(name) is None]
    if missing:
        raise ValueError(f"logged_dataset: expected {', '.join(missing)}, found {', '.join(dataset)}")
    for name, expected in (("step_per_trajectory", 1), ("action_type", "discrete")):
        if dataset[name] != expected:
            raise ValueError(f"{name}: expected {expected}, got {dataset[name]!r}: no rounds of a bandit")
    state = np.asarray(dataset["state"], np.float32)
    width = sum(str(key).startswith("query_") for key in _or(dataset.get("state_keys"), ()))
    columns: Columns = {
        "context": state[:, : state.shape[1] - width],
        "action": np.asarray(dataset["action"]).astype(np.int64),
        "reward": np.asarray(dataset["reward"], np.float64),
    }
    if width:
        columns["query"] = state[:, state.shape[1] - width :]
    if dataset.get("pscore") is not None:
        columns["propensity"] = np.asarray(dataset["pscore"], np.float64)
    return rows_of(columns | _info(_or(dataset.get("info"), {}), len(state)), _prompts(dataset))


def export_file(data: LoggedData, path: Path, *, behavior_policy: str = "logging", dataset_id: int = 0) -> None:
    """Writes the dict of `to_scope_rl` as a .npz file without pickle, `info` and `action_meaning` as `info.<name>` and
    an array of meanings.
    """
    dataset = to_scope_rl(data, behavior_policy=behavior_policy, dataset_id=dataset_id)
    write_npz(path, dataset | {"action_meaning": list(dataset["action_meaning"].values())})


def import_file(path: Path) -> BanditDataset:
    """Reads what `export_file` wrote; errors as `from_scope_rl`."""
    found = read_npz(path, _REQUIRED)
    info = {name.removeprefix("info."): found.pop(name) for name in list(found) if name.startswith("info.")}
    if "action_meaning" in found:
        found["action_meaning"] = dict(enumerate(found["action_meaning"].tolist()))
    return from_scope_rl(found | {"info": info})


def _or(value: Any, instead: Any) -> Any:
    return instead if value is None else value


def _info(info: Mapping[str, Any], n: int) -> Columns:
    """What `info` says of our columns; the rest as extras."""
    known = {"seed", "round_id", "policy_id", "user_id", "query_id", "query_text", "action_mask", "output", "sentence"}
    named = {name if name in known or name.startswith("extras.") else f"extras.{name}": info[name] for name in info}
    columns: Columns = {name: np.asarray(value) for name, value in named.items()}
    return {name: column for name, column in columns.items() if column.ndim and len(column) == n}


def _prompts(dataset: Mapping[str, Any]) -> Prompts:
    features, ids = dataset.get("action_context"), dataset.get("prompt_id")
    n, meaning = dataset.get("n_actions"), _or(dataset.get("action_meaning"), {})
    n = int(np.max(dataset["action"])) + 1 if n is None else int(n)
    prompts = Prompts.one_hot(n) if features is None else Prompts.from_embedding(np.asarray(features))
    texts = [meaning.get(action) for action in range(n)]
    text = text_array(texts) if texts and all(isinstance(text, str) for text in texts) else None
    return Prompts(prompts.prompt_id if ids is None else np.asarray(ids), prompts.embedding, text)
