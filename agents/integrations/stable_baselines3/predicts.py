"""Our policies where Stable-Baselines3 wants something with `predict`, such as `evaluate_policy`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv

from prompt_bandits.acting import act, greedy_action
from prompt_bandits.mapping import observation_columns
from prompt_bandits.protocols import Policy
from prompt_bandits.rounds import RoundStream
from prompt_bandits.simulator import PromptSimulator
from prompt_bandits.types import IntArray, Observation


class Predicts:
    """A policy of ours with SB3's `predict`.

    `evaluate_policy` asks for `deterministic=True` unless told otherwise: that is the policy's most probable prompt.
    With `deterministic=False` a prompt is drawn, which gives the policy's value. The policy sees what is in the
    observation, context and query; ids and texts, which are in `info`, it does not. Masks come as `action_masks`, which
    sb3-contrib's `evaluate_policy` hands over and SB3's own does not.

    Args:
        policy: what chooses.
        env: what it is asked about: a `VecEnv`, or an environment, single or vector.
        seed: of the draws, which are apart from those of every logged round.

    Raises:
        ValueError: an environment that is none of ours.
    """

    def __init__(self, policy: Policy, env: Any, seed: int = 0) -> None:
        self.policy = policy
        self.simulator, self.space = _simulator_and_space(env)
        self._draws = RoundStream(seed, "predict")

    def predict(
        self,
        observation: Any,
        state: tuple[np.ndarray[Any, Any], ...] | None = None,
        episode_start: np.ndarray[Any, Any] | None = None,
        deterministic: bool = False,
        action_masks: Any = None,
    ) -> tuple[IntArray, tuple[np.ndarray[Any, Any], ...] | None]:
        """Actions (n,) for a batch of observations, or () for a single one, and the state as it came.

        Args:
            observation: as the environment gives it.
            state: SB3's, of policies with memory; handed through.
            episode_start: not needed, as every step is an episode.
            deterministic: the most probable prompt, or one that is drawn.
            action_masks: (n, |A|) which prompts may be chosen.
        """
        single = self._is_single(observation)
        obs = self._observation(_batch_of_one(observation) if single else observation, action_masks)
        if deterministic:
            action = greedy_action(self.policy, obs)
        else:
            action = act(self.policy, obs, self._draws.next(len(obs)))[0]
        return (action[0] if single else action), state

    def _is_single(self, observation: Any) -> bool:
        if not isinstance(observation, dict):
            return bool(np.shape(observation) == self.space.shape)
        name = next(iter(observation))
        return bool(np.shape(observation[name]) == self.space[name].shape)

    def _observation(self, batch: Any, action_masks: Any) -> Observation:
        columns = observation_columns(self.space, self.simulator, batch, {})
        obs = Observation(prompts=self.simulator.prompts, **columns)
        if action_masks is None:
            return obs
        return replace(obs, action_mask=np.asarray(action_masks, dtype=bool).reshape(len(obs), obs.n_actions))


def _batch_of_one(observation: Any) -> Any:
    if isinstance(observation, dict):
        return {name: np.asarray(value)[None] for name, value in observation.items()}
    return np.asarray(observation)[None]


def _simulator_and_space(env: Any) -> tuple[PromptSimulator, Any]:
    """The simulator, and the observation space of one round."""
    if isinstance(env, VecEnv):
        found = env.get_attr("simulator")[0] if env.has_attr("simulator") else None
    else:
        found = getattr(env.unwrapped, "simulator", None)
    if not isinstance(found, PromptSimulator):
        raise ValueError(f"env: expected an environment of ours, with its prompts, got {env!r}")
    return found, getattr(env, "single_observation_space", env.observation_space)
