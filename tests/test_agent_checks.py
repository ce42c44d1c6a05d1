"""The checks of learners and estimators: one broken one a mistake, and the words that say so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from agents.ope import IPS, SNIPS, Replay
from agents.ope.columns import Column, Reward, Weight
from agents.testing import check_estimator, check_learner
from prompt_bandits.policies import EpsilonGreedy, Logits, Uniform
from prompt_bandits.saving import register_saved


@register_saved
@dataclass(frozen=True, eq=False)
class ByContext:
    """Scores context · table."""

    table: np.ndarray
    saved_as: ClassVar[str] = "tests_by_context"

    def scores(self, obs):
        return obs.context @ self.table


def table(data):
    """The mean reward of each kind of user and prompt."""
    if len(data) < 2:
        raise ValueError("expected at least two rounds, got 1")
    data.check()
    kind, out = data.obs.context.argmax(axis=1), np.zeros((3, 3))
    for user in range(3):
        for action in range(3):
            out[user, action] = data.reward[(kind == user) & (data.action == action)].mean()
    return out


@dataclass
class Tabular:
    """A learner that is right; the wrong ones are made of it."""

    noise: float = 0.0

    def fit(self, data, *, seed, simulator=None, callback=None):
        return EpsilonGreedy(ByContext(self.learnt(data, seed, simulator)))

    def learnt(self, data, seed, simulator):
        return table(data)


class SetsItsOwn(Tabular):
    def learnt(self, data, seed, simulator):
        self.table_ = table(data)
        return self.table_


class ChangesItsOwn(Tabular):
    def learnt(self, data, seed, simulator):
        self.noise += 1
        return table(data)


class ChangesRewards(Tabular):
    def learnt(self, data, seed, simulator):
        out = table(data)
        data.reward[:] -= data.reward.mean()
        return out


class ChangesPrompts(Tabular):
    def learnt(self, data, seed, simulator):
        data.prompts.embedding[:] *= 2
        return table(data)


class DrawsGlobally(Tabular):
    def learnt(self, data, seed, simulator):
        return table(data) + 0 * np.random.rand()  # noqa: NPY002


class SeedsGlobally(Tabular):
    def learnt(self, data, seed, simulator):
        torch.manual_seed(seed)
        return table(data)


class DrawsUnseeded(Tabular):
    def learnt(self, data, seed, simulator):
        better = np.random.default_rng().integers(2)
        return table(data) if better else np.eye(3)[:, ::-1] + table(data)


class NeedsOracle(Tabular):
    def learnt(self, data, seed, simulator):
        assert data.oracle["expected_reward"].shape == data.reward.shape
        return table(data)


class UsesOracle(Tabular):
    def learnt(self, data, seed, simulator):
        return table(data) + (0 if "expected_reward" in data.oracle else 10 * np.eye(3)[:, ::-1])


class AsksUsers(Tabular):
    def learnt(self, data, seed, simulator):
        return simulator.action_values(data.obs).value[:3]


class LearnsNothing(Tabular):
    def learnt(self, data, seed, simulator):
        return -table(data)


class WantsOnlySeeds:
    def fit(self, data, seed):
        return Uniform()


class ReturnsNothing(Tabular):
    def fit(self, data, *, seed, simulator=None, callback=None):
        return None


@dataclass
class ReturnsItself(Tabular):
    learned: dict[str, Any] = field(default_factory=dict, repr=False)

    def fit(self, data, *, seed, simulator=None, callback=None):
        return self


@dataclass
class ReturnsTheSameOne(Tabular):
    policy: ClassVar[Any] = EpsilonGreedy(ByContext(np.zeros((3, 3))))
    fits: ClassVar[list[int]] = []

    def learnt(self, data, seed, simulator):
        return table(data)

    def fit(self, data, *, seed, simulator=None, callback=None):
        self.fits.append(len(data))
        self.policy.score.table[:] = table(data) if len(self.fits) < 2 else np.eye(3)[::-1]
        return self.policy


class GivesScores(Tabular):
    def fit(self, data, *, seed, simulator=None, callback=None):
        learnt = ByContext(table(data))
        return type("Scores", (), {"action_dist": staticmethod(learnt.scores)})()


class Unsaved(Tabular):
    def fit(self, data, *, seed, simulator=None, callback=None):
        policy = super().fit(data, seed=seed)
        return type("Own", (), {"action_dist": staticmethod(policy.action_dist)})()


class TakesAnything(Tabular):
    def learnt(self, data, seed, simulator):
        return np.nan_to_num(table(data)) if len(data) > 1 else np.eye(3)


class TakesOneRow(Tabular):
    def learnt(self, data, seed, simulator):
        return table(data) if len(data) > 1 else np.eye(3)


LEARNERS = {
    "a class": (Tabular, "learner: expected an object, got the class Tabular"),
    "no fit": (object(), r"learner: expected an object with `fit\(data"),
    "another signature": (WantsOnlySeeds(), "WantsOnlySeeds: expected fit.*which lacks simulator, callback"),
    "nothing returned": (ReturnsNothing(), "ReturnsNothing: fit's policy: expected an object with `action_dist"),
    "itself returned": (ReturnsItself(), "ReturnsItself: expected fit to return a new policy, got the learner itself"),
    "one policy for all fits": (ReturnsTheSameOne(), "a policy that a later fit leaves alone"),
    "a new attribute": (SetsItsOwn(), "it has set table_; what is learnt belongs into the policy"),
    "another setting": (ChangesItsOwn(), "a config that fit leaves alone, noise is 1.0, was 0.0"),
    "rewards changed": (ChangesRewards(), "data that fit leaves alone, reward has changed; copy it first"),
    "prompts changed": (ChangesPrompts(), "data that fit leaves alone, prompts has changed"),
    "NumPy's generator": (DrawsGlobally(), "DrawsGlobally.fit: draws from the global generator of NumPy, or seeds it"),
    "PyTorch's generator": (SeedsGlobally(), "draws from the global generator of PyTorch, or seeds it"),
    "needs the oracle": (NeedsOracle(), "a learner that reads no oracle columns, without them: KeyError"),
    "uses the oracle": (UsesOracle(), "a learner that reads no oracle columns; without them it differs"),
    "asks users": (AsksUsers(), r"simulator.action_values: a learner may ask the LLM \(`respond`\), not the users"),
    "learns nothing": (LearnsNothing(), r"LearnsNothing: expected optimality 0.80 on a tiny bandit, got -.*a sign"),
    "scores for probabilities": (GivesScores(), "GivesScores: action_dist: expected"),
    "a policy that is not saved": (Unsaved(), "a policy that saves and loads: Own cannot be saved: .* `saved_as`"),
    "NaN taken": (TakesAnything(), "TakesAnything: one row, expected a ValueError, got a policy"),
    "one row taken": (TakesOneRow(), "TakesOneRow: one row, expected a ValueError, got a policy"),
}


@pytest.mark.parametrize("name", LEARNERS)
def test_check_learner_says_what_is_wrong_with(name) -> None:
    learner, said = LEARNERS[name]
    with pytest.raises((ValueError, AttributeError), match=said):
        check_learner(learner)


def test_check_learner_finds_draws_that_no_seed_decides() -> None:
    """Of twenty such learners, each of which is lucky one time in two, some are found."""
    said = []
    for _ in range(20):
        try:
            check_learner(DrawsUnseeded())
        except ValueError as error:
            said.append(str(error))
    assert any("the same policy for the same seed; draw from `seed` only" in one for one in said)


def test_a_good_learner_passes() -> None:
    check_learner(Tabular())


@dataclass(frozen=True)
class Weighted:
    """IPS, right; the wrong ones are made of it."""

    @property
    def name(self):
        return "weighted"

    def columns(self):
        return {"weight": Weight(), "reward": Reward()}

    def round_values(self, c):
        return c["weight"] * c["reward"]


class Summed(Weighted):
    def round_values(self, c):
        return (c["weight"] * c["reward"]).sum()


class AColumnTooMany(Weighted):
    def round_values(self, c):
        return (c["weight"] * c["reward"])[:, None]


class Infinite(Weighted):
    def round_values(self, c):
        return np.divide(c["weight"] * c["reward"], np.zeros(len(c["reward"])))


class WritesColumns(Weighted):
    def round_values(self, c):
        c["reward"][:] *= c["weight"]
        return c["reward"]


class Resamples(Weighted):
    def round_values(self, c):
        index = np.random.default_rng().integers(len(c["reward"]), size=len(c["reward"]))
        return (c["weight"] * c["reward"])[index]


class DrawsColumns(Weighted):
    def round_values(self, c):
        return c["weight"] * c["reward"] + 0 * np.random.rand()  # noqa: NPY002


class Unweighted(Weighted):
    def round_values(self, c):
        return c["reward"]


class Nameless(Weighted):
    name = None


class ListsColumns(Weighted):
    def columns(self):
        return [Weight(), Reward()]


class NamesColumns(Weighted):
    def columns(self):
        return {"weight": "Weight", "reward": "Reward"}


class Squared(Column):
    def of(self, chunk):
        return chunk.rows.reward**2


class NewColumns(Weighted):
    def columns(self):
        return {"weight": Weight(), "reward": Squared()}


@dataclass
class Counts:
    calls: int = 0
    name: ClassVar[str] = "counts"

    def columns(self):
        return {"weight": Weight(), "reward": Reward()}

    def round_values(self, c):
        self.calls += 1
        return c["weight"] * c["reward"]


ESTIMATORS = {
    "a class": (IPS, "estimator: expected an object, got the class IPS"),
    "a function": (lambda data, policy: 0.0, "estimator: expected an object with `name, columns"),
    "no name": (Nameless(), "Nameless: expected a name, a text, got None"),
    "a list of columns": (ListsColumns(), "ListsColumns.columns: expected columns by name, a dict"),
    "names of columns": (NamesColumns(), "expected objects of agents.ope.columns such as Weight"),
    "columns that are not equal": (NewColumns(), "'reward' differs; make its class a frozen dataclass"),
    "the mean": (Summed(), r"Summed.round_values: expected a NumPy array of shape \(1500,\), got float64"),
    "a column too many": (AColumnTooMany(), r"expected shape \(1500,\), got \(1500, 1\); `\[:, 0\]`"),
    "infinity": (Infinite(), "Infinite.round_values: expected finite numbers, got .* in row"),
    "columns written to": (WritesColumns(), "reward was written to; work on a copy of it"),
    "other values each time": (Resamples(), "Resamples.round_values: expected the same values each time"),
    "the global generator": (DrawsColumns(), "draws from the global generator of NumPy"),
    "a memory": (Counts(), "Counts.round_values: expected an estimator that stays as it is"),
    "another value": (Unweighted(), "expected an estimate near the truth 0.576, got 0.3"),
    "a policy that it cannot judge": (Replay(), "refused: replay needs a policy that takes one prompt with certainty"),
}


@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
@pytest.mark.parametrize("name", ESTIMATORS)
def test_check_estimator_says_what_is_wrong_with(name) -> None:
    estimator, said = ESTIMATORS[name]
    with pytest.raises(ValueError, match=said):
        check_estimator(estimator)


def test_good_estimators_pass() -> None:
    for estimator in (Weighted(), IPS(), SNIPS(clip=5)):
        check_estimator(estimator)
    check_estimator(Unweighted(), off=None)


def test_a_policy_may_be_given_to_an_estimator_that_wants_a_certain_one() -> None:
    """Replay is biased where the log is not uniform: it admits by how much."""
    check_estimator(Replay(), policy=EpsilonGreedy(Logits(np.array([0.0, 1.0, 0.0]))), off=0.2)
