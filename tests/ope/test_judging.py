"""Estimators judged by the truth: the measures by hand, and whole judgements."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from agents.ope.estimators import DM, IPS, SNIPS
from agents.ope.judging import Trial, judge_estimators
from agents.ope.judging.judge import true_values
from agents.ope.judging.judgement import Judgement, mean_over_worlds
from agents.ope.judging.metrics import (
    false_alarms,
    missed_alarms,
    rank_correlation,
    regret_best,
    regret_sum,
    relative_errors,
    sharpe_ratio,
    squared_errors,
)
from agents.ope.judging.tables import choices_text, errors_text
from prompt_bandits.policies import Logits, Softmax, Uniform
from prompt_bandits.synthetic.build import SyntheticConfig

TRUTH = np.array([1.0, 2.0, 4.0, 3.0])
ESTIMATE = np.array([0.0, 5.0, 3.0, 4.0])  # the order: 1, 3, 2, 0
POLICIES = {"uniform": Uniform(), "first": Softmax(Logits(np.array([2.0, 0.0, 0.0])))}
SIMULATOR = SyntheticConfig(n_actions=3).build()


def trial(**changes) -> Trial:
    base = Trial(
        100, 10, 0, 0, "near", "ips", truth=1.0, truth_se=0.0, logged=0.5, value=1.5, se=0.2, low=1.1, high=1.9
    )
    return replace(base, believable=True, **changes)


# Measures


def test_errors_by_hand() -> None:
    np.testing.assert_allclose(squared_errors(ESTIMATE, TRUTH), [1, 9, 1, 1])
    np.testing.assert_allclose(relative_errors(ESTIMATE, TRUTH), [1, 1.5, 0.25, 1 / 3])
    np.testing.assert_allclose(relative_errors(ESTIMATE, -TRUTH), [1, 3.5, 1.75, 7 / 3])
    assert relative_errors(np.array([1.0]), np.array([0.0])) == np.inf


def test_rank_correlation_is_spearmans_of_the_values() -> None:
    # ranks 1 4 2 3 and 1 2 4 3: 1 − 6·(0 + 4 + 4 + 0)/(4·15)
    assert rank_correlation(ESTIMATE, TRUTH) == pytest.approx(0.2)
    tied = np.array([1.0, 1.0, 0.0, 2.0])
    assert rank_correlation(tied, TRUTH) == pytest.approx(spearmanr(tied, TRUTH).statistic)
    assert rank_correlation(np.ones(4), TRUTH) is None
    assert rank_correlation(np.ones(1), np.ones(1)) is None


@pytest.mark.parametrize(("k", "in_sum", "of_best"), [(1, 2.0, 2.0), (2, 2.0, 1.0), (3, 0.0, 0.0), (4, 0.0, 0.0)])
def test_the_two_regrets_by_hand(k, in_sum, of_best) -> None:
    """Chosen in turn: 2, 3, 4, 1; the best in turn: 4, 3, 2, 1."""
    assert regret_sum(ESTIMATE, TRUTH, k) == in_sum
    assert regret_best(ESTIMATE, TRUTH, k) == of_best


def test_regrets_name_how_many_there_are() -> None:
    for k in (0, 5):
        with pytest.raises(ValueError, match="k: expected 1 … 4 policies"):
            regret_best(ESTIMATE, TRUTH, k)


def test_sharpe_ratio_by_hand() -> None:
    # of 2 and 3, σ = √0.5; of 2, 3 and 4, σ = 1
    assert sharpe_ratio(ESTIMATE, TRUTH, 1.0, 2) == pytest.approx(2 / np.sqrt(0.5))
    assert sharpe_ratio(ESTIMATE, TRUTH, 5.0, 3) == pytest.approx(-1.0)
    assert sharpe_ratio(ESTIMATE, TRUTH, 1.0, 1) is None
    assert sharpe_ratio(ESTIMATE, np.ones(4), 0.0, 2) == 100
    assert sharpe_ratio(ESTIMATE, np.array([0, 1, 0, 1 + 1e-9]), 0.0, 2) == 100


def test_type_1_and_2_errors_by_hand() -> None:
    """Safe from 3 on: policies 2 and 3, both of which are said to be; of the others 1 is said to be."""
    assert false_alarms(ESTIMATE, TRUTH, 3.0) == 0
    assert missed_alarms(ESTIMATE, TRUTH, 3.0) == 0.5
    assert false_alarms(ESTIMATE, TRUTH, 3.5) == 1.0  # policy 2 alone is safe, and is estimated at 3
    assert false_alarms(ESTIMATE, TRUTH, 9.0) is None
    assert missed_alarms(ESTIMATE, TRUTH, 0.0) is None


# Judgements


def test_errors_over_datasets_by_hand() -> None:
    trials = [trial(), trial(dataset=1, value=0.8, low=0.6, high=1.0), trial(dataset=2, value=None, refused="no")]
    (row,) = Judgement(tuple(trials)).errors()
    assert (row.n_said, row.n_refused, row.believed) == (2, 1, 1.0)
    assert row.mse.value == pytest.approx((0.25 + 0.04) / 2)
    assert row.mse.se == pytest.approx((0.25 - 0.04) / 2)  # |a − b| / 2 of two numbers
    assert row.bias.value == pytest.approx(0.15)
    assert row.variance == pytest.approx(row.mse.value - row.bias.value**2)
    assert row.relative_error.value == pytest.approx(0.35)
    assert row.coverage.value == 0.5  # 1.1 … 1.9 does not hold 1, 0.6 … 1.0 does
    assert row.width.value == pytest.approx(0.6)


def test_an_estimator_that_always_refuses_has_a_row_without_numbers() -> None:
    (row,) = Judgement((trial(value=None, low=None, high=None, refused="no"),)).errors()
    assert (row.n_said, row.n_refused, row.mse, row.coverage) == (0, 1, None, None)
    assert "ips (1 refused)" in errors_text([row])


def test_standard_errors_are_over_worlds_where_there_are_several() -> None:
    numbers = np.array([1.0, 3.0, 5.0, 7.0])
    assert mean_over_worlds(numbers, [0, 0, 0, 0]).se == pytest.approx(numbers.std(ddof=1) / 2)
    found = mean_over_worlds(numbers, [0, 0, 1, 1])  # means 2 and 6
    assert (found.value, found.se) == (4.0, pytest.approx(2.0))


def test_choices_over_datasets_by_hand() -> None:
    names = ("a", "b", "c", "d")
    good = [trial(policy=p, truth=t, value=t) for p, t in zip(names, TRUTH, strict=True)]
    bad = [trial(policy=p, truth=t, value=v, dataset=1) for p, t, v in zip(names, TRUTH, ESTIMATE, strict=True)]
    refused = [trial(policy=p, dataset=2, value=None) for p in names]
    (row,) = Judgement((*good, *bad, *refused)).choices(k=2, threshold=3.0)
    assert row.n_said == 2
    assert row.rank_correlation.value == pytest.approx((1 + 0.2) / 2)
    assert row.regret_sum.value == pytest.approx(1.0)
    assert row.regret_best.value == pytest.approx(0.5)
    assert row.type_1.value == 0
    assert row.type_2.value == pytest.approx(0.25)
    # best@2 − V(π0) = 4 − 0.5 of (4, 3), and 3 − 0.5 of (2, 3)
    assert row.sharpe_ratio.value == pytest.approx((3.5 + 2.5) / 2 / np.sqrt(0.5))
    assert "regret@2 (sum)" in choices_text([row])


def test_the_threshold_is_the_logging_policys_value_unless_given() -> None:
    trials = [trial(policy="worse", truth=0.2, value=0.9), trial(policy="better", truth=1.0, value=0.4)]
    (row,) = Judgement(tuple(trials)).choices()
    assert (row.type_1.value, row.type_2.value) == (1.0, 1.0)


def test_estimates_stand_beside_exact_values_and_are_reproducible() -> None:
    asked = {"n": 200, "n_datasets": 3, "contexts": 2000, "progress": False}
    found = judge_estimators(SIMULATOR, POLICIES, Uniform(), [IPS(), SNIPS()], **asked)
    assert len(found.trials) == 3 * 2 * 2
    one = found.trials[0]
    assert one.truth == SIMULATOR.policy_value(Uniform(), 2000).value == one.logged
    assert {t.dataset for t in found.trials} == {0, 1, 2}
    again = judge_estimators(SIMULATOR, POLICIES, Uniform(), [IPS(), SNIPS()], **asked)
    assert again.trials == found.trials
    assert str(found).count("uniform") == 2


def test_a_model_that_is_given_is_used_for_every_policy() -> None:
    class Nothing:
        def scores(self, obs):
            return np.zeros((len(obs), obs.n_actions))

        def predict(self, obs, action):
            return np.zeros(len(obs))

    found = judge_estimators(
        SIMULATOR, POLICIES, Uniform(), [DM()], n=50, n_datasets=1, contexts=100, q_hat=Nothing(), progress=False
    )
    assert [one.value for one in found.trials] == [0.0, 0.0]


def test_values_that_are_known_are_not_computed_again() -> None:
    known = true_values(SIMULATOR, POLICIES, Uniform(), 100)
    found = judge_estimators(
        SIMULATOR, POLICIES, Uniform(), [IPS()], n=50, n_datasets=1, contexts=10**9, truths=known, progress=False
    )
    assert [one.truth for one in found.trials] == [value.value for value in known.policies.values()]


@pytest.mark.parametrize(("change", "named"), [({"policies": {}}, "policies"), ({"n_datasets": 0}, "n_datasets")])
def test_nothing_to_judge_is_refused(change, named) -> None:
    with pytest.raises(ValueError, match=named):
        judge_estimators(
            **{
                **{"simulator": SIMULATOR, "policies": POLICIES, "logging_policy": Uniform(), "estimators": [IPS()]},
                **{"n": 50, "n_datasets": 1, **change},
            }
        )


@pytest.mark.slow
def test_ips_is_unbiased_and_its_intervals_hold_the_truth() -> None:
    found = judge_estimators(SIMULATOR, POLICIES, Uniform(), [IPS()], n=500, n_datasets=200, progress=False)
    for row in found.errors():
        assert abs(row.bias.value) < 4 * row.bias.se
        assert row.coverage.value > 0.9
