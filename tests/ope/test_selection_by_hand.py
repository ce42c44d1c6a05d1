"""Choosing estimators: the numbers behind a choice, worked out by hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from agents.ope.columns import QLogged, QPolicy, Reward, Weight
from agents.ope.estimators import DM, IPS
from agents.ope.interval_type import Interval
from agents.ope.intervals import interval
from agents.ope.judging import Judgement, Trial
from agents.ope.selection import Auto, CrossValidated, Slope
from agents.ope.selection.auto import _spread
from agents.ope.selection.bias_belief import believed_bias
from agents.ope.selection.pas_if import _tables, _trials, _truth
from agents.ope.selection.policies import Ranked
from agents.ope.selection.pseudo_policies import fit_rule, pseudo_policies
from prompt_bandits import BanditDataset, collect
from prompt_bandits.policies import OracleScore, Softmax
from prompt_bandits.synthetic import SyntheticConfig
from prompt_bandits.types import Estimate


@dataclass(frozen=True)
class Says:
    """An estimator that says the same number in every round."""

    value: float

    @property
    def name(self) -> str:
        return f"says[{self.value:g}]"

    def columns(self):
        return {"reward": Reward()}

    def round_values(self, c):
        return np.full(len(c["reward"]), self.value)


REWARD = np.tile([-1.0, 1.0], 50)  # whose mean is 0


def columns_of(*estimators) -> dict:
    """Weights of 1 and those rewards, under the names that candidates have in a choice."""
    own = {Reward(): REWARD, Weight(): np.ones(len(REWARD))}
    return {
        f"{place}/{name}": own[column] for place, one in enumerate(estimators) for name, column in one.columns().items()
    }


@pytest.mark.parametrize(("times", "chosen"), [(1.4, 1), (1.5, 0)])
def test_slope_believes_a_constant_within_root_6_less_1_half_widths(times, chosen) -> None:
    half = interval(REWARD, "student_t", 0.95).width / 2
    candidates = (IPS(), Says(times * half))
    assert Slope(candidates).chosen(columns_of(*candidates)).estimator == candidates[chosen]


@dataclass(frozen=True)
class Losses(CrossValidated):
    """Whose losses are known."""

    def losses(self, ready, validator):
        return [Estimate(1.0, 0.5, 10), Estimate(1.2, 0.1, 10)]


@pytest.mark.parametrize(("standard_errors", "chosen"), [(0.0, 0), (1.0, 1)])
def test_cross_validation_adds_the_standard_error_to_the_loss(standard_errors, chosen) -> None:
    candidates = (Says(0.0), Says(1.0))
    choice = Losses(candidates, IPS(), standard_errors=standard_errors)
    assert choice.chosen(columns_of(*candidates, IPS())).estimator == candidates[chosen]


def test_the_truth_of_a_pseudo_policy_is_over_the_contexts_that_estimators_see() -> None:
    data = BanditDataset.from_arrays(np.zeros((3, 1)), [0, 0, 0], [9.0, 1.0, 3.0], prompts=2)
    assert _truth(data, np.array([0.9, 0.2, 0.5]), np.array([1, 2])) == pytest.approx((4 * 1 + 1 * 3) / 5)


def test_pseudo_weights_are_1_on_average_over_the_rounds_that_estimators_see() -> None:
    simulator = SyntheticConfig(n_actions=4).build()
    score = OracleScore(simulator)
    data, policy = collect(simulator, Softmax(score), 20_000, seed=0), Softmax(score, -1.0)
    tables = _tables(policy, data, 100)
    trial = next(_trials(data, pseudo_policies(tables, fit_rule(tables, 0.3)), 1, seed=0))
    weight = trial.policy[np.arange(len(trial.data)), trial.data.action] / trial.data.require_propensity()
    assert abs(weight.mean() - 1) < 4 * weight.std() / len(weight) ** 0.5 < 0.05


def test_what_remains_unknown_of_an_error_is_the_variance_of_its_posterior() -> None:
    measured, noise, typical, freedom = 1.5, 0.4, 0.7, 5.0
    b = np.linspace(-60, 60, 1_200_001)
    prior = (1 + b**2 / (freedom * typical)) ** (-(freedom + 1) / 2)  # Student's t
    posterior = prior * np.exp(-((measured - b) ** 2) / (2 * noise))
    posterior /= posterior.sum()
    mean = float((posterior * b).sum())
    belief = believed_bias(measured, noise, typical, freedom)
    assert belief.share * measured == pytest.approx(mean, rel=0.01)
    assert belief.variance == pytest.approx(float((posterior * (b - mean) ** 2).sum()), rel=0.02)


def test_on_policy_nothing_of_the_difference_is_noise() -> None:
    rng = np.random.Generator(np.random.Philox(0))
    reward, q = rng.normal(size=200), rng.normal(size=200)
    columns = {Weight(): np.ones(200), Reward(): reward, QLogged(): q, QPolicy(): q + 0.1}
    belief = Auto().belief({name: columns[column] for name, column in Auto().columns().items()})
    assert belief.share == pytest.approx(1.0, abs=1e-6)
    assert belief.variance == pytest.approx(0.0, abs=1e-6)


def test_round_values_are_spread_to_a_variance_about_the_same_mean() -> None:
    values = np.array([1.0, 2.0, 6.0])
    spread = _spread(values, 10.0)
    assert spread.mean() == pytest.approx(3.0)
    assert spread.var(ddof=1) / 3 == pytest.approx(10.0)
    np.testing.assert_array_equal(_spread(values, 0.1), values)  # which have more already


def test_policies_are_ranked_by_the_lower_end_where_it_is_asked_for() -> None:
    ranked = Ranked("a", 2.0, Interval(1.0, 4.0, 0.95, "student_t"), None, True, None)
    assert (ranked.score("value"), ranked.score("lower")) == (2.0, 1.0)


def test_the_variance_of_errors_is_not_that_of_estimates_where_truths_differ() -> None:
    own = {"n": 10, "n_actions": 2, "policy": "p", "estimator": "dm", "truth_se": 0.0, "logged": 0.0}
    pairs = [(1.0, 1.5), (5.0, 5.3)]
    trials = [Trial(**own, world=w, dataset=w, truth=t, value=v) for w, (t, v) in enumerate(pairs)]
    (errors,) = Judgement(tuple(trials)).errors()
    assert errors.variance == pytest.approx(0.1**2)
    assert errors.mse.value == pytest.approx(errors.bias.value**2 + errors.variance)


def test_a_reward_model_is_fitted_once_for_all_policies(monkeypatch) -> None:
    import agents.cross_fitting
    from agents.ope.judging import judge_estimators
    from agents.reward_training import RewardTraining

    simulator = SyntheticConfig(n_actions=3).build()
    policies = {f"{beta}": Softmax(OracleScore(simulator), beta) for beta in (1.0, 2.0)}
    fit, fitted = agents.cross_fitting.fit_action_reward_model, []
    monkeypatch.setattr(
        agents.cross_fitting,
        "fit_action_reward_model",
        lambda *given, **named: fitted.append(1) or fit(*given, **named),
    )
    quick = {"training": RewardTraining(steps=4), "folds": 2, "progress": False, "contexts": 100}
    judge_estimators(simulator, policies, Softmax(OracleScore(simulator)), [DM()], n=60, n_datasets=1, **quick)
    assert len(fitted) == 2  # a fold each
