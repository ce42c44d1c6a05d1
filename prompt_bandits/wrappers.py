"""Wrappers that record a logged dataset from a single environment or a vector of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, VectorEnv, VectorWrapper
from numpy.typing import NDArray

from prompt_bandits.mapping import (
    OUTCOME,
    Mapped,
    info_columns,
    merge_rows,
    observation_columns,
    simulator_of,
    single_columns,
)
from prompt_bandits.protocols import Policy
from prompt_bandits.recording import Recorder, RecordingMixin
from prompt_bandits.specs import single_spec
from prompt_bandits.types import FloatArray, IntArray, Prompts


class RecordBanditDataset(RecordingMixin, gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Records every round that is played, in memory or to a folder; `dataset()` gives the rows, `close()` ends it.

    With a `logging_policy`, `act()` draws an action from it and steps, and the propensity is the one it drew with;
    `step(action)` records the policy's probability of the given action. Without one, `annotate(propensity=...)` tells
    it after the step, or the propensity stays unknown. A row is open to `annotate` until the next `step`, `act` or
    `close`, through a `reset` in between.

    Args:
        env: any environment of ours, or a third party's with Discrete actions.
        path: a new folder, opened at the first row.
        logging_policy: what chooses the actions.
        prompts: the candidates of a third party's environment; ids only unless given.
        mapping: for a third party's: from (observation, info) to `context` and other fields of `Observation`, of
            one round.
        resume: go on with the dataset at `path`, if there is one: the first reset, and a reset with a seed that is
            recorded there, start behind its last round.

    Raises:
        ValueError: a round recorded already (seed, round_id); an action of propensity 0; rows some of which are
            annotated.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        path: str | Path | None = None,
        logging_policy: Policy | None = None,
        *,
        prompts: Prompts | None = None,
        mapping: Mapped | None = None,
        resume: bool = False,
    ) -> None:
        RecordConstructorArgs.__init__(self, path=None if path is None else str(path))
        gym.Wrapper.__init__(self, env)
        self._recorder = Recorder(env, env.action_space, 1, path, logging_policy, prompts, resume)
        self._mapping = mapping
        self._info: dict[str, Any] = {}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        seed, options = self._recorder.where(seed, options, single_seed=True)
        obs, info = self.env.reset(seed=seed, options=options)
        self._recorder.third_party.reset(self.env, seed, np.ones(1, dtype=bool))
        self._info = {}
        self._open(obs, info)
        return obs, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        index = self._recorder.index_of(_ONE, np.asarray(action)[None])
        return self._play(action, index, self._recorder.propensity_of(_ONE, index))

    def act(self) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Draws an action from the logging policy and steps with it."""
        index, propensity = self._recorder.draw(_ONE)
        action = self._recorder.points(index)[0]
        return self._play(action if self._recorder.by_embedding else int(action), index, propensity)

    def annotate(self, propensity: float | None = None, **extras: Any) -> None:
        """Tells the propensity of the round just played, and extra columns (group, session, time, anything).

        Raises:
            ValueError: no round is pending, or a value is no number, text or vector of numbers.
        """
        columns = {name: [value] for name, value in extras.items()}
        self._recorder.rows.annotate(None if propensity is None else [propensity], **columns)

    def close(self) -> None:
        """Seals the folder at `path`, if there is one, and closes the environment."""
        try:
            self._recorder.close()
        finally:
            super().close()

    def _open(self, obs: Any, info: Mapping[str, Any]) -> None:
        """The round is open; infos that came at the reset only hold for the whole episode."""
        recorder = self._recorder
        self._info = {**self._info, **info}
        if self._mapping is None:
            columns = single_columns(self.env.observation_space, recorder.simulator, obs, self._info)
        else:
            columns = {name: np.asarray(value)[None] for name, value in self._mapping(obs, self._info).items()}
        recorder.opened(columns, info)

    def _play(
        self, action: Any, index: IntArray, propensity: FloatArray | None
    ) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        recorder = self._recorder
        result = self.env.step(action)
        obs, reward, terminated, truncated, info = result
        outcome = {name: np.asarray([info[name]]) for name in OUTCOME if name in info}
        recorder.played(_ONE, index, propensity, [reward], outcome)
        if terminated or truncated:
            recorder.obs = None
        else:
            self._open(obs, info)
        return result


_ONE: IntArray = np.zeros(1, dtype=np.int64)


class RecordBanditDatasetVector(
    RecordingMixin, VectorWrapper, RecordConstructorArgs
):  # not subscripted: generic only in newer Gymnasium
    """`RecordBanditDataset` for vector environments of any autoreset mode.

    Dummy steps of `AutoresetMode.NEXT_STEP`, which play no round, are never recorded. `annotate` takes one value a
    row that the last step recorded.

    Args:
        env: a vector environment of ours, native, sync or async, or a third party's with Discrete actions.
        path: as in `RecordBanditDataset`.
        logging_policy: likewise.
        prompts: likewise.
        mapping: from batched (observations, infos) to batched columns.
        resume: as in `RecordBanditDataset`.
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        path: str | Path | None = None,
        logging_policy: Policy | None = None,
        *,
        prompts: Prompts | None = None,
        mapping: Mapped | None = None,
        resume: bool = False,
    ) -> None:
        RecordConstructorArgs.__init__(self, path=None if path is None else str(path))
        VectorWrapper.__init__(self, env)
        self._recorder = Recorder(
            _first_of(env), env.single_action_space, env.num_envs, path, logging_policy, prompts, resume
        )
        self._mapping = mapping
        self._mode = env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP)
        self._playing = np.zeros(env.num_envs, dtype=bool)
        self._info: dict[str, NDArray[Any]] = {}

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        mask = None if options is None else options.get("reset_mask")
        new = np.ones(self.num_envs, dtype=bool) if mask is None else np.array(mask, dtype=bool)
        seed, options = self._recorder.where(seed, options, single_seed=simulator_of(self.env) is not None)
        obs, infos = self.env.reset(seed=seed, options=options)  # type: ignore[arg-type]
        self._recorder.third_party.reset(self.env, seed, new)
        self._playing |= new
        self._info = {} if mask is None else self._info
        self._open(obs, infos, new)
        return obs, infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        rows = np.flatnonzero(self._playing)
        given = np.asarray(actions)
        index = self._recorder.index_of(rows, given[rows] if len(given) == self.num_envs else given)
        return self._play(actions, index, self._recorder.propensity_of(rows, index))

    def act(self) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Draws actions from the logging policy for the open rounds and steps with them."""
        rows = np.flatnonzero(self._playing)
        index, propensity = self._recorder.draw(rows)
        actions = np.zeros(self.num_envs, dtype=np.int64)
        actions[rows] = index
        return self._play(self._recorder.points(actions), index, propensity)

    def annotate(self, propensity: Any = None, **extras: Any) -> None:
        """Tells the propensities of the rounds just played, and extra columns, one value a recorded row.

        Raises:
            ValueError: no rounds are pending, or values that are no numbers or texts, one a row.
        """
        self._recorder.rows.annotate(propensity, **extras)

    def close(self, **kwargs: Any) -> None:
        """Seals the folder at `path`, if there is one, and closes the environments."""
        try:
            self._recorder.close()
        finally:
            super().close(**kwargs)

    def _open(self, obs: Any, infos: Mapping[str, Any], new: NDArray[np.bool_]) -> None:
        """Rounds at the places `new` are open; infos that came at a reset only hold for the whole episode."""
        self._info = merge_rows(self._info, infos, new)
        columns = (
            observation_columns(self.env.single_observation_space, self._recorder.simulator, obs, self._info)
            if self._mapping is None
            else self._mapping(obs, self._info)
        )
        self._recorder.opened(columns, self._info)

    def _play(
        self, actions: Any, index: IntArray, propensity: FloatArray | None
    ) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        rows = np.flatnonzero(self._playing)
        result = self.env.step(actions)
        obs, reward, terminated, truncated, infos = result
        done = np.logical_or(terminated, truncated)
        if len(rows):
            finished = self._finished(infos, done)
            outcome = {name: finished[name][rows] for name in OUTCOME if name in finished}
            self._recorder.played(rows, index, propensity, np.asarray(reward)[rows], outcome)
        if self._mode == AutoresetMode.SAME_STEP:
            self._open(obs, infos, np.ones(self.num_envs, dtype=bool))
        else:  # a finished round's place is empty until the next step (a dummy one) or the next reset
            self._playing = ~done & (self._playing | (self._mode == AutoresetMode.NEXT_STEP))
            self._open(obs, infos, self._playing)
        return result

    def _finished(self, infos: Mapping[str, Any], done: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
        """The infos of the rounds just played: under "final_info" where the mode moved on to new rounds already."""
        if self._mode != AutoresetMode.SAME_STEP or not done.any():
            return info_columns(infos)
        return merge_rows(info_columns(infos), infos["final_info"], done)


def _first_of(env: VectorEnv[Any, Any, Any]) -> Any:
    """Where simulator and spec are to be found: the native vector environment, the first of the sync ones, or, since
    async ones live in other processes, a new one of ours by the same spec.
    """
    bare = env.unwrapped
    if isinstance(bare, AsyncVectorEnv):
        spec = bare.get_attr("spec")[0]
        if spec is not None and str(spec.entry_point).startswith("prompt_bandits."):
            return gym.make(single_spec(spec))
        return bare
    envs = getattr(bare, "envs", None)
    return envs[0] if envs else bare
