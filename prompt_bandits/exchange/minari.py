"""Minari's datasets: rounds as steps that each terminate, many of them to an episode.

An episode of its own for every round would cost Minari 9-16 ms and 16 kB each, so `rounds_per_episode` of them share
one. It has one observation more than rounds, a copy of its last; nothing follows from it, since each step terminates.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from prompt_bandits.checking import check_choice, check_integer
from prompt_bandits.datasets.columns import EXTRAS, ORACLE, Columns, concat, n_rows, row_columns, rows_of
from prompt_bandits.datasets.dataset import BanditDataset
from prompt_bandits.exchange.logged import LoggedData, in_parts, require
from prompt_bandits.types import Observation, Prompts

ROUNDS = 1000
"""Rounds an episode."""
_MOST = 10_000
"""Of its Arrow and Parquet storages, which read no more than the first batch of an episode: 32,767 rounds or fewer."""
_OWN = ("context", "query", "action", "reward")  # the others are infos


def to_minari(
    data: LoggedData, dataset_id: str, *, rounds_per_episode: int = ROUNDS, data_format: str = "hdf5", **about: Any
) -> Any:
    """A new `minari.MinariDataset` among the local ones, written an episode at a time.

    `infos` hold what else is known of a round, propensities first, where Minari has it: those of step t at t + 1.
    Lost: the prompts but their number, oracle columns, logging policies.

    Args:
        data: rounds.
        dataset_id: such as "prompts/synthetic-v0".
        rounds_per_episode: rounds that share an episode, the last may have fewer.
        data_format: Minari's storage: "hdf5", "arrow" or "parquet".
        about: what `minari.create_dataset_from_buffers` takes beside: `author`, `author_email`, `description`, …

    Raises:
        ImportError: Minari is not installed.
        ValueError: no rounds, or an id that is malformed or taken.
    """
    minari = _minari()
    _check(data, rounds_per_episode, data_format)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*is set to None|.*env_spec is None", UserWarning)
        return minari.create_dataset_from_buffers(
            dataset_id,
            _episodes(data, rounds_per_episode),
            env=_env_spec(data.spec),
            data_format=data_format,
            **_spaces(data),
            **about,
        )


def from_minari(dataset: Any, *, prompts: Prompts | int | None = None) -> BanditDataset:
    """The rounds of a Minari dataset whose steps all terminate.

    Args:
        dataset: a `minari.MinariDataset` of discrete actions, whose observations are vectors or a dict of `context`
            and perhaps `query`.
        prompts: the table, or their number; None: as many as its action space has.

    Raises:
        ValueError: steps that do not terminate, or other actions or observations.
    """
    space = dataset.action_space
    if not isinstance(space, gym.spaces.Discrete) or space.start != 0:
        raise ValueError(f"action_space: expected Discrete from 0, got {space}")
    table = Prompts.one_hot(int(space.n)) if prompts is None else prompts
    parts = [_columns(episode) for episode in dataset]
    if not parts:
        raise ValueError("episodes: expected at least one, got none")
    if sum(map(n_rows, parts)) != dataset.total_steps:
        raise ValueError(f"episodes: expected {dataset.total_steps:,} steps, Minari reads {sum(map(n_rows, parts)):,}")
    return rows_of(concat(parts), table if isinstance(table, Prompts) else Prompts.one_hot(table))


def export_file(data: LoggedData, path: Path, *, rounds_per_episode: int = ROUNDS, data_format: str = "hdf5") -> None:
    """Writes a dataset's folder as Minari keeps it, an episode at a time; see `to_minari`.

    Args:
        data: rounds.
        path: a new folder; `minari.MinariDataset(path / "data")` opens it, and so does Minari by the folder's name
            where the folder is among its datasets.
        rounds_per_episode: as in `to_minari`.
        data_format: as in `to_minari`.

    Raises:
        ImportError, ValueError: as `to_minari`; more than 10,000 rounds an episode of Arrow or Parquet.
    """
    minari = _minari()
    from minari.dataset.minari_storage import MinariStorage

    _check(data, rounds_per_episode, data_format)
    path = path.resolve()  # its storage looks for relative ones twice over
    (path / "data").mkdir(parents=True)
    storage = MinariStorage.new(path / "data", env_spec=_env_spec(data.spec), data_format=data_format, **_spaces(data))
    storage.update_metadata({"dataset_id": f"{_name(path)}-v0", "minari_version": minari.__version__})
    storage.update_episodes(_episodes(data, rounds_per_episode))


def import_file(path: Path, *, prompts: Prompts | int | None = None) -> BanditDataset:
    """Reads a folder of Minari's; see `from_minari`.

    Args:
        path: of the dataset, or of the `data` in it.
        prompts: as in `from_minari`.

    Raises:
        ImportError, ValueError: as `from_minari`.
    """
    minari = _minari()
    return from_minari(minari.MinariDataset(path / "data" if (path / "data").is_dir() else path), prompts=prompts)


def _minari() -> Any:
    return require("minari", "minari", "a Minari dataset")


def _check(data: LoggedData, rounds_per_episode: int, data_format: str) -> None:
    check_choice("data_format", data_format, ("hdf5", "arrow", "parquet"))
    check_integer("rounds_per_episode", rounds_per_episode, 1, None if data_format == "hdf5" else _MOST)
    if not len(data):
        raise ValueError("rounds: expected at least one, got none")


def _name(path: Path) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in path.name).removesuffix("-v0") or "dataset"


def _env_spec(spec: Mapping[str, Any] | None) -> Any:
    """Gymnasium's, where the rounds come from an environment that can be made from it."""
    from gymnasium.envs.registration import EnvSpec

    return EnvSpec.from_json(json.dumps(dict(spec))) if spec is not None and "entry_point" in spec else None


def _spaces(data: LoggedData) -> dict[str, gym.Space[Any]]:
    obs = next(in_parts(data, ("context", "query"), 1)).obs
    return {
        "observation_space": gym.spaces.Dict({name: _box(column) for name, column in _observed(obs).items()}),
        "action_space": gym.spaces.Discrete(data.n_actions),
    }


def _box(column: NDArray[Any]) -> gym.spaces.Box:
    return gym.spaces.Box(-np.inf, np.inf, column.shape[1:], np.float32)


def _observed(obs: Observation) -> dict[str, NDArray[Any]]:
    return {"context": obs.context} | ({} if obs.query is None else {"query": obs.query})


def _episodes(data: LoggedData, size: int) -> Iterator[Any]:
    from minari.data_collector.episode_buffer import EpisodeBuffer

    for rows in in_parts(data, size=size):
        n = len(rows)
        columns = row_columns(rows)
        slashed = [name for name in columns if "/" in name]
        if slashed:  # HDF5 would make groups of them
            raise ValueError(f"extras: expected names without a slash, got {slashed[0].removeprefix(EXTRAS)!r}")
        infos = {name: column for name, column in columns.items() if name not in _OWN and not name.startswith(ORACLE)}
        yield EpisodeBuffer(
            observations={name: _longer(column) for name, column in _observed(rows.obs).items()},
            actions=rows.action.astype(np.int64),
            rewards=rows.reward.astype(np.float64),
            terminations=np.ones(n, bool),
            truncations=np.zeros(n, bool),
            infos={name: _info(column) for name, column in infos.items()},
        )


def _longer(column: NDArray[Any]) -> NDArray[Any]:
    """With its last row once more."""
    return np.concatenate([column, column[-1:]])


def _info(column: NDArray[Any]) -> Any:
    """With its first row once more, before it: nothing is known of a step before it is done."""
    longer = np.concatenate([column[:1], column])
    return longer if longer.ndim > 1 else longer.tolist()  # its Arrow storage takes numbers as lists only


def _columns(episode: Any) -> Columns:
    if not np.asarray(episode.terminations).all():
        raise ValueError(f"terminations: expected True in every step, a round each, not so in episode {episode.id}")
    n, seen = len(episode.rewards), episode.observations
    observed = seen if isinstance(seen, dict) else {"context": seen}
    columns: Columns = {name: np.asarray(observed[name])[:n] for name in ("context", "query") if name in observed}
    if "context" not in columns or any(column.ndim != 2 for column in columns.values()):
        raise ValueError("observations: expected vectors, or a dict of the vectors context and query")
    columns |= {"action": np.asarray(episode.actions, np.int64), "reward": np.asarray(episode.rewards, np.float64)}
    return columns | {name: _column(values)[1:] for name, values in (episode.infos or {}).items() if _known(name)}


def _known(name: str) -> bool:
    ours = ("seed", "round_id", "policy_id", "propensity", "output", "sentence", *Observation.row_fields)
    return name in ours or name.startswith(EXTRAS)


def _column(values: Any) -> NDArray[Any]:
    column = np.asarray(values)
    if column.dtype.kind in "SUO":
        texts = [value.decode() if isinstance(value, bytes) else str(value) for value in column.tolist()]
        return np.array(texts, dtype=object)
    return column
