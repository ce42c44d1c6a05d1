"""Every estimator by hand, on three rounds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agents.ope import evaluate
from agents.ope.estimators import (
    DM,
    DR,
    IPS,
    MRDR,
    SNDR,
    SNIPS,
    BalancedIPW,
    DRos,
    Replay,
    ShrunkIPS,
    SubGaussianDR,
    SubGaussianIPS,
    SwitchDR,
    WeightedLoggers,
)
from agents.ope.estimators.balanced import Balancing, Drawn
from agents.ope.estimators.mrdr import MRDRQHat, mrdr_weight, resampled
from agents.ope.estimators.transforms import sub_gaussian_lambda
from agents.ope.models import Models
from prompt_bandits import collect
from prompt_bandits.policies import Logits, Softmax, Uniform

from .three_rounds import POLICY, ByPrompt, three_rounds


def always(prompt: int) -> Softmax:
    return Softmax(Logits(np.where(np.arange(2) == prompt, 0.0, -np.inf)))


def fixed(*probabilities: float) -> Softmax:
    return Softmax(Logits(np.log(probabilities)))


class Classified:
    """ŵ = 0.5, 1, 2."""

    def weight(self, rows):
        return np.array([0.5, 1.0, 2.0])


BY_HAND = {
    # w·r: 0.4·1, 1.6·2, 4·5
    IPS(): [0.4, 3.2, 20],
    # the third weight is 2
    IPS(clip=2.0): [0.4, 3.2, 10],
    # v = 23.6/6 = 59/15, w/mean(w) = 0.2, 0.8, 2: v + 0.2·(1 − v), v + 0.8·(2 − v), v + 2·(5 − v)
    SNIPS(): [0.2 + 0.8 * 59 / 15, 1.6 + 0.2 * 59 / 15, 10 - 59 / 15],
    # v = 13.6/4 = 3.4, w/mean(w) = 0.3, 1.2, 1.5: 3.4 − 0.3·2.4, 3.4 − 1.2·1.4, 3.4 + 1.5·1.6
    SNIPS(clip=2.0): [2.68, 1.72, 5.8],
    # w / (0.5 + 0.5·w) = 0.4/0.7, 1.6/1.3, 4/2.5
    SubGaussianIPS(0.5): [4 / 7, 2 * 16 / 13, 8],
    # 4·w / (w² + 4) = 1.6/4.16, 6.4/6.56, 16/20
    ShrunkIPS(4.0): [1.6 / 4.16, 2 * 6.4 / 6.56, 4],
    # Σ_a π·q̂ = 0.2·0 + 0.8·1
    DM(): [0.8, 0.8, 0.8],
    # 0.8 + w·(r − q̂), where r − q̂ = 1, 1, 4
    DR(): [1.2, 2.4, 16.8],
    DR(clip=2.0): [1.2, 2.4, 8.8],
    # δ = 18/6 = 3: 0.8 + 3 + 0.2·(1 − 3), 0.8 + 3 + 0.8·(1 − 3), 0.8 + 3 + 2·(4 − 3)
    SNDR(): [3.4, 2.2, 5.8],
    # δ = (0.4 + 1.6 + 8)/4 = 2.5: 3.3 − 0.3·1.5, 3.3 − 1.2·1.5, 3.3 + 1.5·1.5
    SNDR(clip=2.0): [2.85, 1.5, 5.55],
    # the third round is left to the model
    SwitchDR(tau=2.0): [1.2, 2.4, 0.8],
    SubGaussianDR(0.5): [0.8 + 4 / 7, 0.8 + 16 / 13, 0.8 + 4 * 1.6],
    DRos(4.0): [0.8 + 1.6 / 4.16, 0.8 + 6.4 / 6.56, 0.8 + 4 * 0.8],
    # as DR, given the same q̂
    MRDR(): [1.2, 2.4, 16.8],
    # ŵ·r
    BalancedIPW(): [0.5, 2, 10],
}


@pytest.mark.parametrize("estimator", BY_HAND, ids=lambda one: one.name)
def test_round_values_by_hand(estimator) -> None:
    models = Models(q_hat=ByPrompt(), fitted={MRDRQHat(): ByPrompt(), Balancing(): Classified()})
    found = evaluate(POLICY, three_rounds(), [estimator], models=models)[estimator.name]
    expected = np.array(BY_HAND[estimator])
    np.testing.assert_allclose(found.round_values, expected, rtol=1e-9)
    assert found.value == pytest.approx(expected.mean())
    assert found.se == pytest.approx(expected.std(ddof=1) / np.sqrt(3), abs=1e-12)


def test_the_linearised_terms_of_a_ratio_have_its_value_and_the_delta_methods_error() -> None:
    w, r = np.array([0.4, 1.6, 4]), three_rounds().reward
    found = evaluate(POLICY, three_rounds(), [SNIPS()])["snips"]
    v = (w * r).sum() / w.sum()
    assert found.value == pytest.approx(v)
    assert found.se == pytest.approx(np.sqrt((w**2 * (r - v) ** 2).sum() * 3 / 2) / w.sum())


def test_replay_by_hand() -> None:
    # rounds 1 and 2 match: v = 3.5; matches over their share are 0, 1.5, 1.5
    found = evaluate(always(1), three_rounds(), [Replay()])["replay"]
    np.testing.assert_allclose(found.round_values, [3.5, 3.5 - 1.5 * 1.5, 3.5 + 1.5 * 1.5])


def test_replay_refuses_a_stochastic_policy_and_doubts_a_log_that_is_not_uniform() -> None:
    assert "takes one prompt with certainty" in evaluate(POLICY, three_rounds(), [Replay()])["replay"].refused
    doubted = evaluate(always(1), three_rounds(), [Replay()])["replay"]
    assert not doubted.believable
    assert any("propensities go from 0.2 to 0.5" in told for told in doubted.warnings)
    even = replace(three_rounds(), propensity=np.full(3, 0.5))
    assert not evaluate(always(1), even, [Replay()])["replay"].diagnostics.doubts
    unknown = replace(three_rounds(), propensity=None)
    assert evaluate(always(1), unknown, [Replay()])["replay"].value == pytest.approx(3.5)


def two_loggers():
    """Rounds 0, 1 by (0.5, 0.5), round 2 by (0.8, 0.2)."""
    loggers = (fixed(0.5, 0.5), fixed(0.8, 0.2))
    return replace(three_rounds(), policies=loggers, policy_id=np.array([0, 0, 1]))


def test_balanced_loggers_by_hand() -> None:
    # the average takes prompt 0 with 2/3·0.5 + 1/3·0.8 = 0.6: w = 0.2/0.6, 0.8/0.4, 0.8/0.4
    found = evaluate(POLICY, two_loggers(), [IPS(loggers="balanced"), DR(loggers="balanced")], q_hat=ByPrompt())
    np.testing.assert_allclose(found["ips[loggers=balanced]"].round_values, [1 / 3, 4, 10])
    np.testing.assert_allclose(found["dr[loggers=balanced]"].round_values, [0.8 + 1 / 3, 0.8 + 2, 0.8 + 8])


def test_balanced_loggers_need_no_propensities_but_the_policies() -> None:
    asked = [IPS(), IPS(loggers="balanced")]
    found = evaluate(POLICY, replace(two_loggers(), propensity=None), asked)
    assert found["ips"].refused
    assert found["ips[loggers=balanced]"].value == pytest.approx((1 / 3 + 4 + 10) / 3)
    assert "carries none" in evaluate(POLICY, three_rounds(), asked)["ips[loggers=balanced]"].refused


def test_weighted_loggers_by_hand() -> None:
    # w·r = 1, 3 of one logger, 2, 6 of the other, with variances 1 and 4: rounds count 1.6 and 0.4
    c = {"weight": np.ones(4), "reward": np.array([1.0, 3, 2, 6]), "logger": np.array([0.0, 0, 1, 1])}
    found = WeightedLoggers(IPS()).round_values(c)
    np.testing.assert_allclose(found, 2.4 + np.array([1.6, 1.6, 0.4, 0.4]) * (c["reward"] - 2.4))
    assert found.mean() == pytest.approx(0.8 * 2 + 0.2 * 4)


def test_a_logger_whose_terms_are_all_alike_is_no_certainty() -> None:
    c = {"weight": np.array([0.0, 0, 1, 1]), "reward": np.array([1.0, 3, 2, 6]), "logger": np.array([0.0, 0, 1, 1])}
    # variances 6 (of all, in place of 0) and 4: 0·0.4 + 4·0.6
    assert WeightedLoggers(IPS()).round_values(c).mean() == pytest.approx(2.4)


@pytest.mark.parametrize("base", [SNIPS(), SNDR(), DM()])
def test_weighted_loggers_refuse_what_is_no_plain_mean(base) -> None:
    with pytest.raises(ValueError, match="base: expected IPS, DR or a relative"):
        WeightedLoggers(base)


def test_mrdr_weights_by_hand_and_rounds_as_often() -> None:
    # π·(1 − π0)/π0²: 0.2·0.5/0.25, 0.8·0.5/0.25, 0.8·0.8/0.04
    weight = mrdr_weight(np.array([0.4, 1.6, 4]), np.array([0.5, 0.5, 0.2]))
    np.testing.assert_allclose(weight, [0.4, 1.6, 16])
    times = np.bincount(resampled(np.array([1.0, 2, 5, 0] * 1000), seed=3), minlength=4000).reshape(1000, 4)
    np.testing.assert_allclose(times.mean(axis=0), [0.5, 1, 2.5, 0], atol=0.08)
    assert np.abs(times - [0.5, 1, 2.5, 0]).max() < 2


def test_the_model_of_mrdr_sees_only_rounds_that_matter_to_the_policy(logged, monkeypatch) -> None:
    from agents import reward_models

    seen = []

    def fit(data, training, *, seed):
        seen.append(data.action)
        return ByPrompt()

    monkeypatch.setattr(reward_models, "fit_action_reward_model", fit)
    sevens = Softmax(Logits(np.where(np.arange(10) == 7, 0.0, -np.inf)))
    evaluate(sevens, logged, [MRDR()], folds=3)
    assert len(seen) == 3
    assert all((actions == 7).all() for actions in seen)


@pytest.mark.slow
def test_a_classifiers_odds_are_like_the_true_weights(simulator) -> None:
    data = collect(simulator, Uniform(), 2000, seed=6)
    found = evaluate(Softmax(Logits(np.linspace(0, 1, 10))), data, [IPS(), BalancedIPW()], folds=2)
    true, odds = (found[name].terms() / data.reward for name in ("ips", "balanced-ipw"))
    assert np.corrcoef(true, odds)[0, 1] > 0.7
    assert odds.mean() == pytest.approx(1, abs=0.1)


def test_drawn_actions_follow_the_policy_in_chunks_of_any_size(logged) -> None:
    from agents.ope.columns import columns_of

    policy = Softmax(Logits(np.linspace(0, 2, 10)))
    whole = columns_of(logged, policy, [Drawn(0)])[Drawn(0)]
    np.testing.assert_array_equal(columns_of(logged, policy, [Drawn(0)], memory_mb=0.05)[Drawn(0)], whole)
    p = policy.action_dist(logged.obs)[0, 9]
    assert (whole == 9).mean() == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / len(whole)))


def test_the_sub_gaussian_choice_of_lambda_by_hand() -> None:
    # √(2·log 20 / (3·2·(1 + 9)/2)) = √(2.996·2/30)
    assert sub_gaussian_lambda(np.array([1.0, 3.0])) == pytest.approx(np.sqrt(2 * np.log(20) / 30))
    assert sub_gaussian_lambda(np.array([1.0])) == 1
    assert sub_gaussian_lambda(np.zeros(2)) == 1


def test_names_say_what_is_not_the_default() -> None:
    estimators = [IPS(), IPS(clip=2.5), DR(10.0), SNIPS(loggers="balanced"), DRos(4.0), WeightedLoggers(DR())]
    assert [one.name for one in estimators] == [
        "ips",
        "ips[clip=2.5]",
        "dr[clip=10]",
        "snips[loggers=balanced]",
        "dros[lambda=4]",
        "weighted-loggers[dr]",
    ]


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: IPS(clip=0), "clip: expected > 0 or None, got 0"),
        (lambda: SNDR(clip=-1), "clip"),
        (lambda: SwitchDR(tau=-1), "tau: expected >= 0, got -1"),
        (lambda: DRos(float("nan")), "lambda_: expected >= 0, got nan"),
        (lambda: SubGaussianIPS(2), r"lambda_: expected in \[0, 1\] or None, got 2"),
        (lambda: IPS(loggers="all"), "loggers: expected one of naive, balanced, got 'all'"),
    ],
)
def test_settings_out_of_range_are_refused(make, named) -> None:
    with pytest.raises(ValueError, match=named):
        make()
