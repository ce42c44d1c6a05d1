"""Our native vector environment as Stable-Baselines3's `VecEnv`: one batch a step, one LLM call a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper


class PromptBanditVecEnv(VecEnv):
    """A vector environment in `AutoresetMode.SAME_STEP` under SB3's interface. `to_vec_env` makes one.

    Every step is a real round: observations belong to the new rounds, `infos[i]` to the finished ones, with their last
    observation under "terminal_observation" and "TimeLimit.truncated" False, so that nothing is bootstrapped.
    `reset_infos` has the infos of a reset. Seeds are ours: `seed(s)` starts at round 0 of seed s at the next reset,
    and the rows have no seeds of their own.
    """

    def __init__(self, vector_env: VectorEnv[Any, Any, Any]) -> None:
        self.vector_env = vector_env
        self.spec = vector_env.spec
        self._actions: NDArray[Any] | None = None
        super().__init__(vector_env.num_envs, vector_env.single_observation_space, vector_env.single_action_space)

    def reset(self) -> Any:
        options = self._options[0] or None
        obs, info = self.vector_env.reset(seed=self._seeds[0], options=options)
        self.reset_infos = _rows(info, self.num_envs)
        self._reset_seeds()
        self._reset_options()
        return obs

    def step_async(self, actions: NDArray[Any]) -> None:
        self._actions = actions

    def step_wait(self) -> tuple[Any, NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        assert self._actions is not None
        obs, reward, terminated, truncated, info = self.vector_env.step(self._actions)
        done = np.logical_or(terminated, truncated)
        infos = _rows(info, self.num_envs)
        if done.any():
            finished = _rows(info["final_info"], self.num_envs)
            for i in np.flatnonzero(done).tolist():
                finished[i]["terminal_observation"] = _row(info["final_obs"], i)
                self.reset_infos[i], infos[i] = infos[i], finished[i]
        for one, late in zip(infos, (np.asarray(truncated) & ~np.asarray(terminated)).tolist(), strict=True):
            one["TimeLimit.truncated"] = late
        return obs, np.asarray(reward, dtype=np.float32), done, infos

    def close(self) -> None:
        self.vector_env.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The attribute once for each place: of arrays with a row a place that row, of methods theirs for the place.

        Raises:
            AttributeError: neither the environment nor a wrapper has it.
        """
        found, places = self._find(attr_name), list(self._get_indices(indices))
        if not callable(found):
            return _by_place(found, self.num_envs, places)
        return [_AtPlace(found, self.num_envs, place) for place in places]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Sets an attribute of the environment as a whole.

        Raises:
            ValueError: for some places only; they are one environment.
        """
        if len(list(self._get_indices(indices))) != self.num_envs:
            raise ValueError(f"set_attr: expected all {self.num_envs} places, which are one environment, got {indices}")
        setattr(self.vector_env.unwrapped, attr_name, value)

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        """Calls the environment's method once; a result with one row a place is handed out row by row."""
        result = self._find(method_name)(*method_args, **method_kwargs)
        return _by_place(result, self.num_envs, list(self._get_indices(indices)))

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Whether a wrapper of the vector environment is of this class; a wrapper of single ones never is."""
        wrapped = any(isinstance(layer, wrapper_class) for layer in _layers(self.vector_env))
        return [wrapped for _ in self._get_indices(indices)]

    def _find(self, name: str) -> Any:
        """An attribute of the outermost layer that has it (Gymnasium's vector wrappers forward none)."""
        for layer in _layers(self.vector_env):
            if hasattr(layer, name):
                return getattr(layer, name)
        raise AttributeError(f"{name}: expected an attribute of {self.vector_env}, found none")


class SameRounds(VecEnvWrapper):
    """Starts every reset at round 0 of `seed`, so that evaluations compare in pairs: same users, same noise.

    Goes next to the environment, under `VecMonitor` and `VecNormalize`.
    """

    def __init__(self, venv: VecEnv, seed: int) -> None:
        super().__init__(venv)
        self.rounds_seed = seed

    def reset(self) -> Any:
        self.venv.seed(self.rounds_seed)
        return self.venv.reset()

    def step_wait(self) -> Any:
        return self.venv.step_wait()


def to_vec_env(vector_env: Any) -> PromptBanditVecEnv:
    """`vector_env`, as `gym.make_vec` gives it or under `RecordBanditDatasetVector`, for Stable-Baselines3.

    Raises:
        TypeError: no vector environment.
        ValueError: another autoreset mode than SAME_STEP, or observations that SB3 cannot take, such as texts.
    """
    if not isinstance(vector_env, VectorEnv):
        made = f"{type(vector_env).__name__}; gym.make_vec(id, num_envs=...) makes one"
        raise TypeError(f"vector_env: expected a vector environment, got {made}")
    mode = vector_env.metadata.get("autoreset_mode")
    if mode != AutoresetMode.SAME_STEP:
        raise ValueError(
            f"autoreset_mode: expected SAME_STEP, as our native vector environments have it, got {mode}; in the others "
            "steps that play no round would count as rounds"
        )
    space = vector_env.single_observation_space
    parts = space.spaces.values() if isinstance(space, spaces.Dict) else (space,)
    for part in parts:
        if not isinstance(part, (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)):
            raise ValueError(
                f"observation_space: expected numbers, got {part}; Stable-Baselines3 takes no texts: obs_mode='numeric'"
            )
    return PromptBanditVecEnv(vector_env)


class _AtPlace:
    """A method of the vector environment as the one place knows it."""

    def __init__(self, method: Any, n: int, place: int) -> None:
        self._method, self._n, self._place = method, n, place

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return _by_place(self._method(*args, **kwargs), self._n, [self._place])[0]


def _by_place(value: Any, n: int, places: Sequence[int]) -> list[Any]:
    """Rows of what has one a place; anything else belongs to every place."""
    rows = isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim > 0)
    by_row = rows and len(value) == n
    return [value[place] if by_row else value for place in places]


def _layers(env: Any) -> list[Any]:
    layers: list[Any] = [env]
    while isinstance(layers[-1], (VectorWrapper, gym.Wrapper)):
        layers.append(layers[-1].env)
    return layers


def _row(obs: Any, i: int) -> Any:
    return {name: column[i] for name, column in obs.items()} if isinstance(obs, dict) else obs[i]


def _rows(info: Mapping[str, Any], n: int) -> list[dict[str, Any]]:
    """Batched infos as one dict a place, of plain scalars, texts and rows; a value that a place lacks is left out."""
    rows: list[dict[str, Any]] = [{} for _ in range(n)]
    for name, column in info.items():
        if name.startswith("_") or name in ("final_info", "final_obs") or not isinstance(column, np.ndarray):
            continue
        has = info.get(f"_{name}")
        values = column.tolist() if column.ndim == 1 else column
        for i in range(n) if has is None or has.all() else np.flatnonzero(has).tolist():
            rows[i][name] = values[i]
    return rows
