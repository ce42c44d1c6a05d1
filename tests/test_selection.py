"""Choosing among learners by rounds that were held out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest

from agents.learners import IPS
from agents.selection import Selection, select, variants
from agents.value_estimates import dr_value, ips_value, snips_value
from prompt_bandits import BanditDataset, collect
from prompt_bandits.policies import EpsilonGreedy, OracleScore, Softmax, Uniform
from prompt_bandits.protocols import Policy
from prompt_bandits.types import Estimate


@dataclass(frozen=True)
class Gives:
    """A learner that has made up its mind."""

    policy: Policy

    def fit(self, data, *, seed, simulator=None, callback=None):
        return self.policy


@dataclass(frozen=True)
class Fails:
    def fit(self, data, *, seed, simulator=None, callback=None):
        raise ZeroDivisionError("no such luck")


@pytest.fixture(scope="module")
def policies(simulator):
    score = OracleScore(simulator)
    return {"worst": EpsilonGreedy(Inverse(score), 0.2), "uniform": Uniform(), "good": EpsilonGreedy(score, 0.2)}


@dataclass(frozen=True)
class Inverse:
    score: OracleScore

    def scores(self, obs):
        return -self.score.scores(obs)


@pytest.fixture(scope="module")
def candidates(policies):
    return {name: Gives(policy) for name, policy in policies.items()}


@pytest.mark.parametrize("estimate", ["snips", "ips", "dr", partial(snips_value, clip=20.0)])
def test_the_best_policy_wins_by_every_estimate(candidates, policies, simulator, estimate) -> None:
    data = collect(simulator, Softmax(OracleScore(simulator), 0.5), 2000, seed=1)
    chosen = select(candidates, data, seed=0, estimate=estimate)
    assert chosen.best == "good"
    assert chosen.policy is policies["good"]
    values = [chosen.values[name].value for name in ("worst", "uniform", "good")]
    assert values == sorted(values)


def test_values_are_the_estimates_on_the_rounds_held_out(candidates, policies, logged) -> None:
    chosen = select(candidates, logged, seed=3, held_out=0.3)
    _, judged = logged.split(0.7, 3)
    for name, policy in policies.items():
        assert chosen.values[name] == snips_value(policy, judged)
    assert chosen.logged == Estimate.from_terms(judged.reward)
    own = select(candidates, logged, seed=3, estimate="ips", held_out=judged)
    assert own.values["good"] == ips_value(policies["good"], judged)


class Recorder:
    """Remembers what it learned from."""

    def __init__(self, policy) -> None:
        self.policy, self.fits = policy, []

    def fit(self, data, *, seed, simulator=None, callback=None):
        self.fits.append((data, seed, simulator))
        return self.policy


def test_learners_never_see_what_they_are_judged_on_until_the_winner_is_fitted_anew(
    policies, logged, simulator
) -> None:
    winner, loser = Recorder(policies["good"]), Recorder(policies["worst"])
    judged = set(logged.split(0.75, 0)[1].round_id)
    select({"w": winner, "l": loser}, logged, seed=0, simulator=simulator)
    (first, seed, sampler), (second, _, _) = winner.fits
    assert (len(first), len(second), len(loser.fits)) == (450, 600, 1)
    assert not judged & set(first.round_id)
    assert (seed, sampler) == (0, simulator)
    winner.fits.clear()
    select({"w": winner, "l": loser}, logged, seed=0, refit=False)
    assert len(winner.fits) == 1
    winner.fits.clear()
    early, late = logged.take(slice(0, 400)), logged.take(slice(400, 600))
    select({"w": winner}, early, seed=0, held_out=late)
    assert [len(data) for data, _, _ in winner.fits] == [400, 600]


def test_caution_prefers_what_is_sure(candidates, logged) -> None:
    told = {"worst": Estimate(1.0, 0.1, 9), "uniform": Estimate(2.0, 5.0, 9), "good": Estimate(1.5, 0.2, 9)}
    by_policy = {id(learner.policy): told[name] for name, learner in candidates.items()}
    estimate = lambda policy, data: by_policy[id(policy)]  # noqa: E731
    picks = [
        select(candidates, logged, seed=0, estimate=estimate, standard_errors=k, refit=False).best for k in (0, 1, 10)
    ]
    assert picks == ["uniform", "good", "worst"]


def test_a_learner_that_fails_is_named_and_the_rest_goes_on(candidates, logged) -> None:
    chosen = select({"broken": Fails(), **candidates}, logged, seed=0)
    broken = chosen.candidates[0]
    assert (broken.name, broken.error, broken.value) == ("broken", "ZeroDivisionError: no such luck", None)
    assert chosen.best == "good"
    assert "broken" not in chosen.values
    with pytest.raises(RuntimeError, match="every learner failed: a: ZeroDivisionError: no such luck; b: Zero"):
        select({"a": Fails(), "b": Fails()}, logged, seed=0)
    nan = select(candidates, logged, seed=0, estimate=_nan_for(candidates["good"].policy))
    assert nan.best != "good"
    assert "expected a finite value, got nan" in nan.candidates[2].error


def _nan_for(policy):
    return lambda one, data: Estimate(np.nan, 0.0, 1) if one is policy else snips_value(one, data)


def test_the_table_shows_values_and_errors_and_marks_the_winner(candidates, logged) -> None:
    chosen = select({"broken": Fails(), **candidates}, logged, seed=0)
    lines = str(chosen).splitlines()
    assert [line.split()[0] for line in lines[2:7]] == ["as", "broken", "worst", "uniform", "*"]
    assert "ZeroDivisionError: no such luck" in lines[3]
    assert str(chosen.values["uniform"]) in lines[5]
    assert f"{chosen.candidates[2].effective:.1f}" in lines[5]
    assert len(set(map(len, lines[:1] + lines[4:7]))) == 1  # columns end together
    axes = chosen.plot()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["good", "uniform", "worst", "as logged"]
    assert len(axes.patches) == 4


def test_a_winner_on_few_effective_rounds_is_told(simulator) -> None:
    simulated = collect(simulator, Softmax(OracleScore(simulator), -3.0), 200, seed=1)
    chosen = select({"sharp": Gives(EpsilonGreedy(OracleScore(simulator), 0.01))}, simulated, seed=0)
    assert chosen.candidates[0].effective < 30
    assert "effective rounds: too few to trust it" in str(chosen)


def test_settings_of_a_learner_are_chosen_on_real_fits(simulator, logged) -> None:
    learners = variants(IPS(steps=150, batch_size=64), lr=[1e-9, 5e-3], clip=[1e-6, 50.0])
    assert list(learners) == [
        "lr=1e-09, clip=1e-06",
        "lr=1e-09, clip=50.0",
        "lr=0.005, clip=1e-06",
        "lr=0.005, clip=50.0",
    ]
    assert learners["lr=0.005, clip=50.0"] == IPS(steps=150, batch_size=64, lr=5e-3, clip=50.0)
    data = collect(simulator, Uniform(), 3000, seed=1)
    chosen = select(learners, data, seed=0)
    assert isinstance(chosen, Selection)
    assert chosen.best == "lr=0.005, clip=50.0"
    whole = learners[chosen.best].fit(data, seed=0)
    np.testing.assert_array_equal(chosen.policy.action_dist(data.obs), whole.action_dist(data.obs))


def test_dr_is_judged_by_a_reward_model_of_the_rounds_to_learn_from(candidates, policies, logged) -> None:
    from agents.reward_models import fit_action_reward_model

    chosen = select(candidates, logged, seed=0, estimate="dr", refit=False)
    train, judged = logged.split(0.75, 0)
    expected = dr_value(policies["good"], judged, fit_action_reward_model(train, seed=0))
    assert chosen.values["good"].value == pytest.approx(expected.value)


def test_folders_are_read_where_they_fit(candidates, simulator, tmp_path) -> None:
    stored = collect(simulator, Uniform(), 20_000, path=tmp_path / "data")
    chosen = select(candidates, stored, seed=0)
    assert chosen.values == select(candidates, stored.load(), seed=0).values
    with pytest.raises(ValueError, match="holding out a share needs all rounds in memory"):
        select(candidates, stored, seed=0, memory_mb=1)
    late = collect(simulator, Uniform(), 300, seed=9)
    assert select(candidates, stored, seed=0, held_out=late, refit=False, memory_mb=1).best == "good"


def test_what_cannot_be_selected_is_named(candidates, logged) -> None:
    bare = replace(logged, propensity=None)
    for options, message in (
        ({"learners": {}}, "learners: expected at least one, got none"),
        ({"estimate": "magic"}, "estimate: expected 'snips', 'ips', 'dr' or a function, got 'magic'"),
        ({"held_out": 1.5}, r"held_out: expected a share in \(0, 1\) or logged rounds, got 1.5"),
        ({"standard_errors": -1.0}, "standard_errors: expected >= 0, got -1.0"),
        ({"data": bare}, "propensity: unknown in this dataset"),
    ):
        with pytest.raises(ValueError, match=message):
            select(**({"learners": candidates, "data": logged, "seed": 0} | options))
    assert isinstance(bare, BanditDataset)
    chosen = select(candidates, bare, seed=0, estimate=lambda policy, data: Estimate(1.0, 0.0, len(data)))
    assert chosen.candidates[0].effective is None
    with pytest.raises(TypeError, match="no_such_field"):
        variants(IPS(), no_such_field=[1])
