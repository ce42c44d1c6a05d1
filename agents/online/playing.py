"""An online learner against an environment: what it earned, what it missed, what it logged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker

from prompt_bandits.datasets import BanditDataset
from prompt_bandits.progress import progress_bar
from prompt_bandits.rounds import Rounds, in_blocks
from prompt_bandits.types import Feedback, FloatArray, IntArray, Observation, Output

from ..protocols import Callback, TellsCost
from .listening import Listening
from .protocols import KnowsValues, OnlineLearner, World


@dataclass(frozen=True, eq=False)
class OnlineRun:
    """A run of n rounds."""

    data: BanditDataset  # what was seen, done and earned; propensity is None where the learner could not say
    regret: FloatArray | None  # (n,) max_a q(x, a) − q(x, a_i); None where q is not known exactly
    learner: OnlineLearner  # as it is at the end

    def __len__(self) -> int:
        return len(self.data)

    @property
    def reward(self) -> FloatArray:
        """(n,)"""
        return self.data.reward

    def require_regret(self) -> FloatArray:
        """The regret (n,).

        Raises:
            ValueError: it is not known.
        """
        if self.regret is None:
            raise ValueError("regret: unknown, since every prompt's value is not known exactly; look at the rewards")
        return self.regret


def play_online(
    world: World | gym.Env[Any, Any],
    learner: OnlineLearner,
    n: int,
    seed: int = 0,
    batch: int = 1,
    *,
    callback: Callback | None = None,
    log_every: int = 1000,
    progress: bool = True,
) -> OnlineRun:
    """Plays rounds 0 … n−1 of `seed`, those of `reset(seed=seed)`, and lets the learner learn as it goes.

    Args:
        world: a simulator, or an environment of ours.
        learner: a new one; it is changed.
        n: rounds.
        seed: of the rounds, and so of what the learner draws.
        batch: rounds that are played before their rewards arrive together. 1 is the textbook's; larger is faster. A
            batch ends where a block of 1024 rounds does.
        callback: hears of the mean "reward" and "regret" about every `log_every` rounds and at the end; its step is
            the number of rounds.
        log_every: rounds.
        progress: show a bar where it takes long.

    Raises:
        ValueError: a number < 1, no simulator, or actions that are unknown, masked or of another shape.
    """
    if n < 1 or batch < 1 or log_every < 1:
        raise ValueError(f"play_online: expected n, batch and log_every >= 1, got {n}, {batch}, {log_every}")
    simulator = world_of(world)
    if not isinstance(learner, OnlineLearner):
        raise ValueError(f"learner: expected an object with `act` and `update`, got {learner!r}")
    listening = Listening(callback, log_every, learner)
    parts, regrets = list[BanditDataset](), list[FloatArray]()
    with progress_bar(n, "play", progress) as bar:
        for begin, end in in_blocks(0, n):
            block = _Block(simulator, Rounds(seed, begin, end - begin, simulator.scope))
            for reward, regret in block.play(learner, batch):
                listening.add(reward, regret)
            parts.append(block.rows())
            regrets += [] if block.regret is None else [block.regret]
            bar.update(end - begin)
    listening.flush()
    return OnlineRun(_joined(parts), np.concatenate(regrets) if len(regrets) == len(parts) else None, learner)


def world_of(world: object) -> World:
    """The simulator to play.

    Raises:
        ValueError: it is none, or an environment whose wrappers may change rounds.
    """
    inner = world
    while isinstance(inner, (PassiveEnvChecker, OrderEnforcing)):  # what gym.make wraps, and what changes no round
        inner = inner.env
    found = inner if isinstance(inner, World) else None if isinstance(inner, gym.Wrapper) else _simulator(inner)
    if not isinstance(found, World):
        raise ValueError(
            "world: expected a simulator, or an environment of ours without wrappers that may change rounds, got "
            f"{world!r}; play anything else by calling the learner's `act` and `update` in a loop of your own"
        )
    return found


def _simulator(env: object) -> object:
    return getattr(env, "simulator", None)


class _Block:
    """Rounds whose users, and what prompts are worth to them, are known at once; played a batch at a time."""

    def __init__(self, simulator: World, rounds: Rounds) -> None:
        self._simulator, self._rounds = simulator, rounds
        self._obs = simulator.observe(rounds)
        self._values = _exact_values(simulator, self._obs)
        self._action, self._propensity = list[IntArray](), list[FloatArray | None]()
        self._feedback, self._regret = list[Feedback](), list[FloatArray]()

    def play(self, learner: OnlineLearner, batch: int) -> Iterator[tuple[FloatArray, FloatArray | None]]:
        """Rewards and regrets of each batch."""
        for first in range(0, len(self._rounds), batch):
            rows = slice(first, min(first + batch, len(self._rounds)))
            rounds, obs = self._rounds.part(rows.start, rows.stop), self._obs.take(rows)
            action, propensity = learner.act(obs, rounds)
            _check_action(action, obs)
            feedback = self._simulator.play(obs, action, rounds)
            learner.update(obs, action, feedback.reward)
            self._action.append(action)
            self._propensity.append(propensity)
            self._feedback.append(feedback)
            if self._values is not None:
                self._regret.append(_missed(self._values[rows], obs, action))
            yield feedback.reward, self._regret[-1] if self._regret else None

    @property
    def regret(self) -> FloatArray | None:
        """(n,), once all is played."""
        return np.concatenate(self._regret) if self._regret else None

    def rows(self) -> BanditDataset:
        """What was played."""
        n = len(self._rounds)
        known = [one for one in self._propensity if one is not None]
        oracles = [feedback.oracle for feedback in self._feedback]
        return BanditDataset(
            obs=self._obs,
            action=np.concatenate(self._action),
            reward=np.concatenate([feedback.reward for feedback in self._feedback]),
            propensity=np.concatenate(known) if len(known) == len(self._propensity) else None,
            output=Output.concat([feedback.output for feedback in self._feedback]),
            seed=np.full(n, self._rounds.seed, dtype=np.int64),
            round_id=self._rounds.round_id,
            oracle={name: np.concatenate([oracle[name] for oracle in oracles]) for name in oracles[0]},
        )


def _exact_values(simulator: World, obs: Observation) -> FloatArray | None:
    """q(x, a), (n, |A|); None where it is not known exactly, or the LLM is costly to ask."""
    if not isinstance(simulator, KnowsValues) or (isinstance(simulator, TellsCost) and simulator.is_costly(obs)):
        return None
    values = simulator.action_values(obs, 2)
    return values.value if values.se is None else None


def _missed(values: FloatArray, obs: Observation, action: IntArray) -> FloatArray:
    """max_a q(x, a) − q(x, a_i) over the allowed actions, (k,)."""
    allowed = values if obs.action_mask is None else np.where(obs.action_mask, values, -np.inf)
    return np.asarray(allowed.max(axis=1) - values[np.arange(len(action)), action], dtype=np.float64)


def _check_action(action: IntArray, obs: Observation) -> None:
    if np.shape(action) != (len(obs),) or not np.issubdtype(np.asarray(action).dtype, np.integer):
        raise ValueError(f"act: expected integer actions of shape ({len(obs)},), got {action!r}")
    if not 0 <= action.min() <= action.max() < obs.n_actions:
        raise ValueError(f"act: expected actions in 0 … {obs.n_actions - 1}, got {action.min()} … {action.max()}")
    if obs.action_mask is not None and not obs.action_mask[np.arange(len(obs)), action].all():
        raise ValueError("act: expected actions that the round's action_mask allows, got one that it does not")


def _joined(parts: list[BanditDataset]) -> BanditDataset:
    """All rounds; without propensities where the learner could not say all of them."""
    known = all(part.propensity is not None for part in parts)
    return BanditDataset.concat(parts if known else [replace(part, propensity=None) for part in parts])
