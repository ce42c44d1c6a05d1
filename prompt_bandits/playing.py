"""How rounds of an environment are played many at a time: through its simulator, or through its wrappers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker

from prompt_bandits.acting import act
from prompt_bandits.datasets.dataset import BanditDataset
from prompt_bandits.mapping import simulator_of
from prompt_bandits.protocols import Policy
from prompt_bandits.rounds import BLOCK, in_blocks
from prompt_bandits.simulator import PromptSimulator
from prompt_bandits.specs import simulator_spec, stored_spec
from prompt_bandits.wrappers import RecordBanditDataset, RecordBanditDatasetVector

_TRANSPARENT = (PassiveEnvChecker, OrderEnforcing)


class Play:
    """Plays rounds of one seed with one policy.

    Args:
        env: an environment, a vector environment or a simulator.
        policy: the logging policy.
        seed: of the rounds.
        spec: what rows say of their environment; None: what can be told of `env`.
    """

    def __init__(self, env: Any, policy: Policy, seed: int, spec: dict[str, Any] | None = None) -> None:
        self.env, self.policy, self.seed = env, policy, seed
        bare = isinstance(env, PromptSimulator)
        self.simulator: PromptSimulator | None = env if bare else _simulator_alone(env)
        self.spec = spec or (simulator_spec(env) if bare else stored_spec(env))

    def rows(self, ranges: Sequence[tuple[int, int]]) -> Iterator[BanditDataset]:
        """The rounds begin … end−1 of each range, about a block at a time."""
        for begin, end in ranges:
            yield from self._simulate(begin, end) if self.simulator is not None else self._step(begin, end)

    def refuse_resuming(self) -> None:
        """Raises a ValueError where the rounds are not numbered, or not within one seed."""
        if self.simulator is None and simulator_of(self.env) is None:
            raise ValueError("resume: expected an environment that numbers its rounds within one seed")

    def _simulate(self, begin: int, end: int) -> Iterator[BanditDataset]:
        for first, last in in_blocks(begin, end):
            yield self._simulate_block(first, last)

    def _simulate_block(self, begin: int, end: int) -> BanditDataset:
        """Rounds begin … end−1 of one block; the policy sees the whole block, the LLM only these rounds."""
        assert self.simulator is not None
        base = begin - begin % BLOCK
        first, last = begin - base, end - base
        block = self.simulator.rounds(self.seed, base, BLOCK)
        obs = self.simulator.observe(block)
        action, propensity = act(self.policy, obs, block)
        rounds, rows = block.part(first, last), slice(first, last)
        feedback = self.simulator.play(obs.take(rows), action[rows], rounds)
        return BanditDataset(
            obs=obs.take(rows),
            action=action[rows],
            reward=feedback.reward,
            propensity=propensity[rows],
            output=feedback.output,
            seed=np.full(last - first, self.seed, dtype=np.int64),
            round_id=rounds.round_id,
            policies=(self.policy,),
            oracle=feedback.oracle,
            spec=self.spec,
        )

    def _step(self, begin: int, end: int) -> Iterator[BanditDataset]:
        if begin and simulator_of(self.env) is None:
            raise ValueError(f"start: expected 0 for an environment that numbers no rounds, got {begin}")
        vector = isinstance(self.env, VectorEnv)
        wrapper: Any = RecordBanditDatasetVector if vector else RecordBanditDataset
        recorder = wrapper(self.env, logging_policy=self.policy)
        recorder.reset(seed=self.seed, options={"round": begin} if begin else None)
        drain, given = recorder._recorder.drain, 0
        while recorder.n_recorded < end - begin:
            _, _, terminated, truncated, _ = recorder.act()
            if recorder.n_recorded - given >= BLOCK:
                rows = drain()
                given += len(rows)
                yield rows
            if not vector and (terminated or truncated) and recorder.n_recorded < end - begin:
                recorder.reset()
        yield drain().take(slice(0, end - begin - given))


def _simulator_alone(env: Any) -> PromptSimulator | None:
    """The simulator of an environment whose wrappers change nothing about its rounds."""
    wrapped = env
    while isinstance(wrapped, (gym.Wrapper, VectorWrapper)):
        if not isinstance(wrapped, _TRANSPARENT):
            return None
        wrapped = wrapped.env
    return simulator_of(env)
