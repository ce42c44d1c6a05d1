"""Checks that say in plain words what is wrong with a learner; for third parties and for our own tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from prompt_bandits import load, save
from prompt_bandits.collecting import collect
from prompt_bandits.datasets import BanditDataset
from prompt_bandits.policies import Logits, Softmax
from prompt_bandits.protocols import Policy
from prompt_bandits.rounds import Rounds
from prompt_bandits.simulator import GaussianNoise, PromptSimulator
from prompt_bandits.testing import check_policy
from prompt_bandits.types import FloatArray, IntArray, Observation, Output, Prompts

from .protocols import Learner


def identity_bandit(n: int = 1500) -> tuple[PromptSimulator, BanditDataset]:
    """Three kinds of users, each of whom likes one of three prompts, which the LLM writes down; and a log of a policy
    that prefers prompt 0 for everybody. Any learner should solve it in seconds.
    """
    simulator = PromptSimulator(_ThreeKinds(), Prompts.one_hot(3), _Echo(), _Likes(), GaussianNoise(0.1))
    return simulator, collect(simulator, Softmax(Logits(np.array([1.0, 0.0, 0.0]))), n)


def check_learner(
    learner: Learner,
    *,
    optimality: float | None = 0.8,
    fit: Callable[[Learner, BanditDataset, PromptSimulator, int], Policy] | None = None,
) -> None:
    """Fits a learner to a tiny bandit, several times, and says what is wrong.

    It has to learn, to repeat itself for the same seed, to leave its config and the data as they are, to give policies
    that save and load, and to refuse what cannot be learned from.

    Args:
        learner: with settings under which it learns in seconds.
        optimality: what it has to reach; None for one that imitates, which has to match the logging policy's value.
        fit: how to fit it, given learner, data, simulator and seed; `learner.fit(data, seed=seed, simulator=simulator)`
            unless told.

    Raises:
        ValueError: what is wrong.
    """
    check = _Check(learner, fit or (lambda one, data, simulator, seed: one.fit(data, seed=seed, simulator=simulator)))
    policy = check.leaves_config_and_data()
    check.learns(policy, optimality)
    check.repeats(policy)
    check.saves(policy)
    check.refuses()


class _Check:
    def __init__(self, learner: Learner, fit: Callable[[Learner, BanditDataset, PromptSimulator, int], Policy]) -> None:
        self.learner, self.name = learner, type(learner).__name__
        self.simulator, self.data = identity_bandit()
        self._fit = fit
        self.probe = self.data.obs.take(slice(0, 50))

    def fit(self, data: BanditDataset, seed: int = 0) -> Policy:
        return self._fit(self.learner, data, self.simulator, seed)

    def leaves_config_and_data(self) -> Policy:
        config, before = repr(self.learner), _copies(self.data)
        policy = self.fit(self.data)
        if repr(self.learner) != config:
            raise ValueError(
                f"{self.name}: expected a config that fit leaves alone, got {self.learner!r}, was {config}"
            )
        for name, column in _copies(self.data).items():
            if not np.array_equal(column, before[name]):
                raise ValueError(f"{self.name}: expected data that fit leaves alone, {name} has changed")
        check_policy(policy, self.probe)
        return policy

    def learns(self, policy: Policy, optimality: float | None) -> None:
        reached = self.simulator.optimality(policy, 500)
        needed = optimality
        if needed is None:
            needed = self.simulator.optimality(self.data.require_logging_policy(), 500) - 0.1
        if reached < needed:
            raise ValueError(f"{self.name}: expected optimality {needed:.2f} on a tiny bandit, got {reached:.2f}")

    def repeats(self, policy: Policy) -> None:
        again = self.fit(self.data)
        if not np.array_equal(again.action_dist(self.probe), policy.action_dist(self.probe)):
            raise ValueError(f"{self.name}: expected the same policy for the same seed; draw from `seed` only")

    def saves(self, policy: Policy) -> None:
        with TemporaryDirectory() as folder:
            back = load(save(policy, Path(folder) / "policy"))
        if not np.array_equal(back.action_dist(self.probe), policy.action_dist(self.probe)):
            raise ValueError(f"{self.name}: expected a policy that says the same when it is saved and loaded")

    def refuses(self) -> None:
        self._refuses("one row", self.data.take(slice(0, 1)), "round")
        reward = _written(self.data, "reward", np.nan)
        self._refuses("a reward that is NaN", reward, "reward")
        self._refuses("an action that is none", _written(self.data, "action", 3), "action")
        unknown = replace(self.data, propensity=None, policies=(), policy_id=None)
        try:
            check_policy(self.fit(unknown), self.probe)
        except ValueError as error:
            if not ("propensit" in str(error) or "logging_policy" in str(error)):
                raise ValueError(
                    f"{self.name}: without propensities, expected an error that names them, got: {error}"
                ) from error
        except Exception as error:
            raise ValueError(f"{self.name}: without propensities, expected a ValueError, got {error!r}") from error

    def _refuses(self, what: str, data: BanditDataset, named: str) -> None:
        try:
            self.fit(data)
        except ValueError as error:
            if named not in str(error):
                raise ValueError(f"{self.name}: {what}, expected an error naming {named!r}, got: {error}") from error
        except Exception as error:
            raise ValueError(f"{self.name}: {what}, expected a ValueError, got {error!r}") from error
        else:
            raise ValueError(f"{self.name}: {what}, expected a ValueError, got a policy")


def _copies(data: BanditDataset) -> dict[str, Any]:
    output = data.require_output()
    columns = {"action": data.action, "reward": data.reward, "context": data.obs.context, "output": output}
    return {name: column.copy() for name, column in columns.items()}


def _written(data: BanditDataset, name: str, value: float) -> BanditDataset:
    """The data with a value in row 7 that a dataset would have refused, had it been there from the start."""
    broken = data.take(np.arange(len(data)))
    getattr(broken, name)[7] = value
    return broken


class _ThreeKinds:
    def observe(self, rounds: Rounds, prompts: Prompts) -> Observation:
        return Observation(np.eye(3, dtype=np.float32)[rounds.integers("user", 3)], prompts)


@dataclass(frozen=True)
class _Echo:
    noise: float = 0.05

    def generate(self, obs: Observation, action: IntArray | None, rounds: Rounds) -> Output:
        assert action is not None
        embedding = obs.prompts.embedding[action]
        drawn = self.noise * rounds.normal("output", embedding.shape[1])
        return Output((embedding + drawn).astype(np.float32))


class _Likes:
    def expected(self, obs: Observation, output: Output) -> FloatArray:
        assert output.embedding is not None
        return np.asarray((obs.context * output.embedding).sum(axis=1))
