"""Checks that say in plain words what is wrong with a learner or an estimator; for third parties and our own tests."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from prompt_bandits import load, save
from prompt_bandits.collecting import collect
from prompt_bandits.datasets import BanditDataset
from prompt_bandits.policies import Logits, Softmax
from prompt_bandits.probing import check_array, left_alone, no_global_draws, require_method
from prompt_bandits.protocols import Policy
from prompt_bandits.rounds import Rounds
from prompt_bandits.simulator import GaussianNoise, PromptSimulator
from prompt_bandits.testing import check_policy
from prompt_bandits.types import FloatArray, IntArray, Observation, Output, Prompts

from .ope import evaluate
from .ope.columns import Column
from .ope.estimators import Estimator
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
    fit: Callable[[Learner, BanditDataset, Any, int], Policy] | None = None,
) -> None:
    """Fits a learner to a tiny bandit, several times, and says what is wrong.

    It has to learn, to repeat itself for the same seed, to leave its config, the data and its earlier policies as they
    are, to look at nothing that a log does not tell and to ask no more than the LLM, to give policies that save and
    load, and to refuse what cannot be learned from.

    Args:
        learner: with settings under which it learns in seconds.
        optimality: what it has to reach; None for one that imitates, which has to match the logging policy's value.
        fit: how to fit it, given learner, data, simulator and seed; `learner.fit(data, seed=seed, simulator=simulator)`
            unless told, with a simulator that does no more than `respond`.

    Raises:
        ValueError: what is wrong.
    """
    check = _Check(learner, fit)
    policy = check.leaves_config_and_data()
    check.learns(policy, optimality)
    check.repeats(policy)
    check.saves(policy)
    check.refuses()


class _Check:
    def __init__(
        self, learner: Learner, fit: Callable[[Learner, BanditDataset, Any, int], Policy] | None = None
    ) -> None:
        require_method("learner", learner, "fit", "fit(data, *, seed, simulator=None, callback=None)")
        self.learner, self.name = learner, type(learner).__name__
        self.simulator, self.data = identity_bandit()
        self._fit = fit
        self.probe = self.data.obs.take(slice(0, 50))
        if fit is None:
            self._takes("seed", "simulator", "callback")

    def _takes(self, *names: str) -> None:
        parameters = inspect.signature(self.learner.fit).parameters
        if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
            return
        lacking = [name for name in names if name not in parameters]
        if lacking:
            raise ValueError(
                f"{self.name}: expected fit(data, *, seed, simulator=None, callback=None), which lacks "
                f"{', '.join(lacking)}"
            )

    def fit(self, data: BanditDataset, seed: int = 0) -> Policy:
        if self._fit is not None:
            return self._fit(self.learner, data, self.simulator, seed)
        return self.learner.fit(data, seed=seed, simulator=_LLMOnly(self.simulator))

    def leaves_config_and_data(self) -> Policy:
        config, before = _config(self.learner), _copies(self.data)
        with no_global_draws(f"{self.name}.fit", "draw from `seed`: prompt_bandits.rounds, agents.training.torch_seed"):
            policy = self.fit(self.data)
        for name, value in _config(self.learner).items():
            if name not in config:
                raise ValueError(
                    f"{self.name}: expected a config that fit leaves alone, it has set {name}; what is learnt belongs "
                    "into the policy"
                )
            if value != config[name]:
                raise ValueError(
                    f"{self.name}: expected a config that fit leaves alone, {name} is {value}, was {config[name]}"
                )
        for name, column in _copies(self.data).items():
            if not np.array_equal(column, before[name]):
                raise ValueError(f"{self.name}: expected data that fit leaves alone, {name} has changed; copy it first")
        if id(policy) == id(self.learner):
            raise ValueError(f"{self.name}: expected fit to return a new policy, got the learner itself")
        self._named(lambda: require_method("fit's policy", policy, "action_dist", "action_dist(obs)"))
        self._named(lambda: check_policy(policy, self.probe))
        return policy

    def _named(self, check: Callable[[], None]) -> None:
        try:
            check()
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from error

    def learns(self, policy: Policy, optimality: float | None) -> None:
        reached = self.simulator.optimality(policy, 500)
        needed = optimality
        if needed is None:
            needed = self.simulator.optimality(self.data.require_logging_policy(), 500) - 0.1
        if reached < needed:
            raise ValueError(
                f"{self.name}: expected optimality {needed:.2f} on a tiny bandit, got {reached:.2f} (0 is uniform, 1 "
                "the best); more steps, a larger learning rate, or a sign that is wrong?"
            )

    def repeats(self, policy: Policy) -> None:
        """Fits the data without what only judges may know: it must make no difference."""
        before = np.array(policy.action_dist(self.probe))
        blind = replace(self.data, oracle={})
        try:
            again = self.fit(blind).action_dist(self.probe)
        except (KeyError, AttributeError) as error:
            raise ValueError(
                f"{self.name}: expected a learner that reads no oracle columns, without them: {error!r}"
            ) from error
        if not np.array_equal(policy.action_dist(self.probe), before):
            raise ValueError(
                f"{self.name}: expected a policy that a later fit leaves alone; return a new one each time"
            )
        if np.array_equal(again, before):
            return
        if np.array_equal(self.fit(blind).action_dist(self.probe), again):
            raise ValueError(f"{self.name}: expected a learner that reads no oracle columns; without them it differs")
        raise ValueError(f"{self.name}: expected the same policy for the same seed; draw from `seed` only")

    def saves(self, policy: Policy) -> None:
        try:
            with TemporaryDirectory() as folder:
                back = load(save(policy, Path(folder) / "policy"))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{self.name}: expected a policy that saves and loads: {error}") from error
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


def check_estimator(estimator: Estimator, *, policy: Policy | None = None, off: float | None = 0.1) -> None:
    """Lets an estimator judge a policy of the tiny bandit, whose value is known, and says what is wrong.

    Args:
        estimator: with its settings.
        policy: over the tiny bandit's prompts, where not every policy can be judged; a softmax unless told.
        off: how far the estimate may be from the truth beside four standard errors: for a bias that it admits. The
            values of policies there are within 0 … 1. None: the estimate is not looked at.

    Raises:
        ValueError: what is wrong.
    """
    for method in ("columns", "round_values"):
        require_method("estimator", estimator, method, "name, columns() and round_values(c)")
    who = type(estimator).__name__
    _check_columns(estimator, who)
    simulator, data = identity_bandit()
    judged = Softmax(_Kinds()) if policy is None else policy
    watched = _Watched(estimator)
    result = evaluate(judged, data, [watched], progress=False)[estimator.name]
    if result.refused is not None:
        raise ValueError(
            f"{who}: expected an estimate on a tiny bandit with everything in it, refused: {result.refused}"
        )
    _check_round_values(estimator, who, watched.seen)
    truth, estimate = simulator.policy_value(judged, 4000).value, result.estimate()
    if off is not None and not abs(estimate.value - truth) <= off + 4 * estimate.se:
        raise ValueError(
            f"{who}: expected an estimate near the truth {truth:.3f}, got {estimate}; `off` says what bias it may have"
        )


def _check_columns(estimator: Estimator, who: str) -> None:
    if not isinstance(getattr(estimator, "name", None), str) or not estimator.name:
        raise ValueError(f"{who}: expected a name, a text, got {getattr(estimator, 'name', None)!r}")
    columns = estimator.columns()
    if not isinstance(columns, Mapping):
        raise ValueError(f"{who}.columns: expected columns by name, a dict, got {columns!r}")
    for name, column in columns.items():
        if not isinstance(column, Column):
            raise ValueError(f"{who}.columns: expected objects of agents.ope.columns such as Weight(), got {column!r}")
        if column != estimator.columns()[name]:
            raise ValueError(
                f"{who}.columns: expected equal columns each time it is asked, {name!r} differs; make its class a "
                "frozen dataclass, so that it is computed once"
            )


def _check_round_values(estimator: Estimator, who: str, c: dict[str, FloatArray]) -> None:
    who = f"{who}.round_values"
    n, config = len(next(iter(c.values()))), _config(estimator)
    with no_global_draws(who, "an estimate is the same each time"), left_alone(who, **c):
        values = estimator.round_values(c)
    check_array(who, values, (n,))
    if _config(estimator) != config:
        raise ValueError(f"{who}: expected an estimator that stays as it is, it has changed")
    if not np.array_equal(estimator.round_values(c), values):
        raise ValueError(f"{who}: expected the same values each time it is asked")


class _Watched:
    """An estimator that keeps what it is shown."""

    def __init__(self, estimator: Estimator) -> None:
        self._estimator = estimator
        self.seen: dict[str, FloatArray] = {}

    @property
    def name(self) -> str:
        return self._estimator.name

    def columns(self) -> Mapping[str, Column]:
        return self._estimator.columns()

    def round_values(self, c: Mapping[str, FloatArray]) -> FloatArray:
        self.seen = {name: np.array(column) for name, column in c.items()}
        values = self._estimator.round_values({name: column.copy() for name, column in self.seen.items()})
        check_array(f"{type(self._estimator).__name__}.round_values", values, (len(next(iter(c.values()))),))
        return values


class _Kinds:
    """Every kind's favourite."""

    def scores(self, obs: Observation) -> FloatArray:
        return obs.context


def _config(learner: object) -> dict[str, str]:
    """What the learner holds, as texts."""
    return {name: repr(value) for name, value in getattr(learner, "__dict__", {}).items()} | {"it": repr(learner)}


def _copies(data: BanditDataset) -> dict[str, Any]:
    output = data.require_output()
    columns = {"action": data.action, "reward": data.reward, "context": data.obs.context, "output": output}
    columns |= {"propensity": data.require_propensity(), "prompts": data.prompts.embedding}
    return {name: column.copy() for name, column in columns.items()}


class _LLMOnly:
    """All of a simulator that an offline learner may use."""

    def __init__(self, simulator: PromptSimulator) -> None:
        self._simulator = simulator

    def respond(self, obs: Observation, action: IntArray | None, rounds: Rounds) -> Output:
        return self._simulator.respond(obs, action, rounds)

    def is_costly(self, obs: Observation) -> bool:
        return self._simulator.is_costly(obs)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"simulator.{name}: a learner may ask the LLM (`respond`), not the users")


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
