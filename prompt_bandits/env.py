"""The Gymnasium environments: reset and step over a `PromptSimulator`."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from prompt_bandits.interface import (
    BanditInterface,
    feedback_columns,
    first_seed,
    with_masks,
)
from prompt_bandits.simulator import PromptSimulator
from prompt_bandits.types import BoolArray, FloatArray, IntArray, Observation

_MASKED = "action: expected a prompt that this round's action_mask allows, got {}"


class PromptBanditEnv(BanditInterface, gym.Env[Any, Any]):
    """One round an episode: a user with a query arrives, `step` shows them a prompt's output.

    Observation: `Dict(context, query)` of Box, one Box with `flatten_obs=True`, and with `obs_mode="both"` also
    `query_text`, a `UnicodeText`; with `obs_mode="text"` that alone, context and query being in `info`.
    Action: the index of a prompt, or with `action_mode="embedding"` a point whose nearest prompt is taken.
    `info` after reset: `seed`, `round_id`, and where present `action_mask`, `user_id`, `query_id`, `query_text`.
    `info` after step: also `action`, `prompt_id`, `output`, `expected_reward`, and where there are such `prompt` and
    `sentence` (texts) and `baseline`.

    Args:
        simulator: what the environment plays.
        flatten_obs: one Box in place of the Dict.
        obs_mode: `"numeric"`, `"text"` (the query's text alone), or `"both"`.
        action_mode: `"index"` or `"embedding"`.
        render_mode: `"ansi"` (render() returns a card), `"human"` (every step prints one), or None.

    Raises:
        ValueError: an unknown mode; in `step` an action outside the space or masked.
        ResetNeeded: a second `step` of the same round.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi", "human"], "render_fps": 1}

    def __init__(
        self,
        simulator: PromptSimulator,
        *,
        flatten_obs: bool = False,
        obs_mode: str = "numeric",
        action_mode: str = "index",
        render_mode: str | None = None,
    ) -> None:
        self.observation_space, self.action_space = self._connect(
            simulator, flatten_obs, obs_mode, action_mode, render_mode
        )

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """The next round; `seed` starts again at round 0 of that seed, `options={"round": k}` goes to round k."""
        super().reset(seed=first_seed(seed, self._np_random))
        stream = self._select_rounds(seed, options)
        rounds = stream.peek(1)
        obs = self._observe(rounds)
        self._open(stream, rounds, obs)
        self._finished = None
        return self._encode_one(obs), self._info_one(obs, rounds)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Plays the round. Always terminates, never truncates."""
        obs, rounds = self._current()
        taken = np.array([self._action_index(action, obs)])
        feedback = self.simulator.play(obs, taken, rounds)
        info = self._info_one(obs, rounds)
        info["action"] = int(taken[0])
        for key, column in feedback_columns(obs, taken, feedback):
            info[key] = column[0].copy() if column.ndim > 1 else column.item()
        self._finished, self._obs = (obs, taken, feedback), None
        if self.render_mode == "human":
            print(self._cards()[0])
        return self._encode_one(obs), float(feedback.reward[0]), True, False, info

    def action_masks(self) -> BoolArray:
        """(|A|,) which prompts this round allows; the name that MaskablePPO asks for."""
        obs, _ = self._current()
        return np.ones(obs.n_actions, dtype=bool) if obs.action_mask is None else obs.action_mask[0].copy()

    def render(self) -> str | None:
        """A readable card of the round: returned in mode "ansi", printed in mode "human"."""
        card = self._cards()[0]
        if self.render_mode == "human":
            print(card)
        return card if self.render_mode == "ansi" else None

    def _action_index(self, action: Any, obs: Observation) -> int:
        if self.action_mode == "embedding":
            if np.shape(action) != self.action_space.shape or not np.isfinite(action).all():
                raise ValueError(f"action: expected {self.action_space.shape[0]} finite numbers, got {action!r}")  # type: ignore[index]
            return int(obs.prompts.nearest(np.asarray(action, dtype=np.float32)[None], obs.action_mask)[0])
        index = action.item() if isinstance(action, (np.ndarray, np.generic)) and action.size == 1 else action
        if type(index) is not int or not 0 <= index < self.simulator.n_actions:
            raise ValueError(f"action: expected an integer in 0 … {self.simulator.n_actions - 1}, got {action!r}")
        if obs.action_mask is not None and not obs.action_mask[0, index]:
            raise ValueError(_MASKED.format(index))
        return index


class PromptBanditVectorEnv(BanditInterface, VectorEnv[Any, Any, Any]):
    """`num_envs` rounds a step, in one batch. `AutoresetMode.SAME_STEP`: every step is a real round.

    After `step` the observation and top-level `info` belong to the new rounds; `info["final_obs"]` and
    `info["final_info"]` (dicts of arrays) to the finished ones. A reset consumes `num_envs` rounds. Spaces and `info`
    are those of `PromptBanditEnv`, batched.

    Raises:
        ValueError: as `PromptBanditEnv`; a list of seeds (the rounds of all sub-environments have one seed).
    """

    metadata: dict[str, Any] = {
        "render_modes": ["ansi"],
        "render_fps": 1,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        simulator: PromptSimulator,
        num_envs: int = 1,
        *,
        flatten_obs: bool = False,
        obs_mode: str = "numeric",
        action_mode: str = "index",
        render_mode: str | None = None,
    ) -> None:
        if num_envs < 1:
            raise ValueError(f"num_envs: expected at least 1, got {num_envs}")
        self.num_envs = num_envs
        self.single_observation_space, self.single_action_space = self._connect(
            simulator, flatten_obs, obs_mode, action_mode, render_mode
        )
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """The next `num_envs` rounds; `seed` and `options` as in `PromptBanditEnv.reset`."""
        if seed is not None and not isinstance(seed, (int, np.integer)):
            raise ValueError(f"seed: expected one integer for the whole vector environment, got {seed!r}")
        super().reset(seed=first_seed(seed, self._np_random))
        stream = self._select_rounds(seed, options)
        rounds = stream.peek(self.num_envs)
        obs = self._observe(rounds)
        self._open(stream, rounds, obs)
        self._finished = None
        return self._encode(obs), with_masks(self._info(obs, rounds), self.num_envs)

    def step(self, actions: Any) -> tuple[Any, FloatArray, BoolArray, BoolArray, dict[str, Any]]:
        """Plays all rounds and observes the next ones."""
        obs, rounds = self._current()
        assert self._stream is not None
        taken = self._action_indices(actions, obs)
        feedback = self.simulator.play(obs, taken, rounds)
        next_rounds = self._stream.peek(self.num_envs)
        next_obs = self._observe(next_rounds)
        final = {
            **self._info(obs, rounds),
            "action": taken,
            **{key: column.copy() for key, column in feedback_columns(obs, taken, feedback)},
        }
        self._finished = (obs, taken, feedback)
        self._open(self._stream, next_rounds, next_obs)
        info = self._info(next_obs, next_rounds)
        info["final_obs"] = self._columns(obs)
        info["final_info"] = with_masks(final, self.num_envs)
        reward = feedback.reward.astype(np.float64)
        done, never = np.ones(self.num_envs, dtype=bool), np.zeros(self.num_envs, dtype=bool)
        return self._encode(next_obs), reward, done, never, with_masks(info, self.num_envs)

    def action_masks(self) -> BoolArray:
        """(num_envs, |A|) which prompts the current rounds allow."""
        obs, _ = self._current()
        return (
            np.ones((self.num_envs, obs.n_actions), dtype=bool) if obs.action_mask is None else obs.action_mask.copy()
        )

    def render(self) -> tuple[str, ...] | None:
        """The cards of all rounds: the finished ones after a step, the open ones after a reset."""
        return self._cards() if self.render_mode == "ansi" and self._obs is not None else None

    def _action_indices(self, actions: Any, obs: Observation) -> IntArray:
        given = np.asarray(actions)
        if given.shape != self.action_space.shape:
            raise ValueError(f"actions: expected shape {self.action_space.shape}, got {given.shape}")
        if self.action_mode == "embedding":
            if not np.isfinite(given).all():
                raise ValueError("actions: expected finite numbers, got NaN or infinity")
            return obs.prompts.nearest(given.astype(np.float32), obs.action_mask)
        if not np.issubdtype(given.dtype, np.integer):
            raise ValueError(f"actions: expected integers, got {given.dtype}")
        if given.min() < 0 or given.max() >= self.simulator.n_actions:
            raise ValueError(
                f"actions: expected integers in 0 … {self.simulator.n_actions - 1}, got {given.min()} … {given.max()}"
            )
        taken = given.astype(np.int64)
        if obs.action_mask is not None:
            allowed = obs.action_mask[np.arange(self.num_envs), taken]
            if not allowed.all():
                raise ValueError(_MASKED.format(f"{taken[~allowed][0]} in row {np.flatnonzero(~allowed)[0]}"))
        return taken
