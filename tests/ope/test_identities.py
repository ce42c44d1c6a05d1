"""Estimators that are others at the ends of their settings, and what holds whatever the log."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agents.ope import evaluate
from agents.ope.estimators import (
    DM,
    DR,
    IPS,
    SNDR,
    SNIPS,
    DRos,
    ShrunkIPS,
    SubGaussianDR,
    SubGaussianIPS,
    SwitchDR,
    WeightedLoggers,
)
from prompt_bandits import collect
from prompt_bandits.datasets import BanditDataset
from prompt_bandits.policies import Logits, OracleScore, Softmax

from .three_rounds import ByPrompt, Zero

NEAR = Softmax(Logits(np.linspace(0, 1.5, 10)))


class Oracle(OracleScore):
    """q itself."""

    def predict(self, obs, action):
        return self.simulator.action_value(obs, action).value


def terms(estimator, data, policy=NEAR, q_hat=None):
    return evaluate(policy, data, [estimator], q_hat=q_hat or ByPrompt())[estimator.name].terms()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (IPS(clip=1e9), IPS()),
        (SNIPS(clip=1e9), SNIPS()),
        (SwitchDR(tau=float("inf")), DR()),
        (SwitchDR(tau=0.0), DM()),
        (DRos(float("inf")), DR()),
        (DRos(1e18), DR()),
        (DRos(0.0), DM()),
        (ShrunkIPS(float("inf")), IPS()),
        (SubGaussianIPS(0.0), IPS()),
        (SubGaussianDR(0.0), DR()),
        (IPS(loggers="balanced"), IPS()),  # of one logger
        (WeightedLoggers(DR()), DR()),  # likewise
    ],
    ids=lambda one: one.name,
)
def test_at_the_ends_of_its_settings_one_is_another(one, other, logged) -> None:
    np.testing.assert_allclose(terms(one, logged), terms(other, logged), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("robust", "weighting"),
    [
        (DR(), IPS()),
        (DR(clip=1.5), IPS(clip=1.5)),
        (SNDR(), SNIPS()),
        (DRos(), ShrunkIPS()),
        (SubGaussianDR(), SubGaussianIPS()),
    ],
    ids=lambda one: one.name,
)
def test_with_zero_q_doubly_robust_is_weighting(robust, weighting, logged) -> None:
    np.testing.assert_array_equal(terms(robust, logged, q_hat=Zero()), terms(weighting, logged))


def test_sub_gaussian_weights_of_one_give_the_mean_reward(logged) -> None:
    assert terms(SubGaussianIPS(1.0), logged).mean() == pytest.approx(logged.reward.mean())


@pytest.mark.parametrize(
    "estimator", [DR(), SNDR(), DR(clip=2.0), SwitchDR(), DRos(), SubGaussianDR()], ids=lambda one: one.name
)
def test_with_perfect_q_and_no_noise_every_correction_is_nothing(estimator, simulator, logged) -> None:
    q = Oracle(simulator)
    without_noise = replace(logged, reward=simulator.action_values(logged.obs).value[np.arange(600), logged.action])
    assert terms(estimator, without_noise, q_hat=q).mean() == pytest.approx(terms(DM(), logged, q_hat=q).mean())


@pytest.mark.parametrize(
    "estimator",
    [IPS(), IPS(clip=2.0), SNIPS(), SubGaussianIPS(), WeightedLoggers(IPS()), IPS(loggers="balanced")],
    ids=lambda one: one.name,
)
def test_on_policy_everything_is_the_mean_reward(estimator, logged) -> None:
    found = terms(estimator, logged, logged.require_logging_policy())
    np.testing.assert_allclose(found, logged.reward, rtol=1e-6, atol=1e-6)


def test_on_policy_dr_is_the_mean_reward_but_for_what_was_drawn(logged) -> None:
    policy = logged.require_logging_policy()
    drawn = logged.action.astype(float)
    expected = logged.reward.mean() + (policy.action_dist(logged.obs) @ np.arange(10)).mean() - drawn.mean()
    assert terms(DR(), logged, policy).mean() == pytest.approx(expected)


@pytest.mark.parametrize("estimator", [SNIPS(), SNDR(), SNIPS(clip=2.0)], ids=lambda one: one.name)
def test_a_constant_moves_the_self_normalised_by_itself(estimator, logged) -> None:
    higher = replace(logged, reward=logged.reward + 7)
    before, after = terms(estimator, logged), terms(estimator, higher)
    np.testing.assert_allclose(after, before + 7)


def two_logs(simulator, n: int, seed: int, tops=(0, -2)) -> BanditDataset:
    """n rounds of each of two policies, in turn."""
    logs = [
        collect(simulator, Softmax(Logits(np.linspace(0, top, 10))), n, seed=seed + k) for k, top in enumerate(tops)
    ]
    both = BanditDataset.concat(logs)
    return both.take(np.arange(2 * n).reshape(2, n).T.ravel())


def test_balanced_weights_are_no_larger_than_what_a_single_logger_gives(simulator) -> None:
    data = two_logs(simulator, 300, 5)
    found = evaluate(NEAR, data, [IPS(), IPS(loggers="balanced")])
    naive, balanced = found["ips"].diagnostics, found["ips[loggers=balanced]"].diagnostics
    assert balanced.largest_weight < naive.largest_weight
    assert balanced.effective_rounds > naive.effective_rounds


@pytest.mark.slow
@pytest.mark.parametrize("loggers", ["one", "two"])
def test_unbiased_estimators_are_within_four_standard_errors_of_the_truth(simulator, loggers) -> None:
    # against the exact value in the contexts of each dataset, whose mean over datasets is the policy's value
    n, datasets = 250, 200
    if loggers == "one":
        data = collect(simulator, Softmax(OracleScore(simulator), beta=0.5), n * datasets, seed=11)
        estimators = [IPS(), DR(), SwitchDR(float("inf"))]
    else:
        data = two_logs(simulator, n * datasets // 2, 12)
        estimators = [IPS(), DR(), IPS(loggers="balanced"), DR(loggers="balanced")]
    policy = Softmax(OracleScore(simulator), beta=1.5)
    found = evaluate(policy, data, estimators, q_hat=ByPrompt(), progress=False)
    truth = np.einsum("na,na->n", policy.action_dist(data.obs), simulator.action_values(data.obs).value)
    for name, result in found.items():
        error = (result.terms() - truth).reshape(datasets, n).mean(axis=1)
        assert abs(error.mean()) < 4 * error.std(ddof=1) / np.sqrt(datasets), name
    # what is biased shows: the test can tell
    clipped = evaluate(policy, data, [IPS(clip=0.5)], progress=False)["ips[clip=0.5]"].terms()
    error = (clipped - truth).reshape(datasets, n).mean(axis=1)
    assert abs(error.mean()) > 4 * error.std(ddof=1) / np.sqrt(datasets)


@pytest.mark.slow
def test_estimators_for_several_loggers_vary_less_than_the_naive_one(simulator) -> None:
    n, datasets = 500, 100
    data = two_logs(simulator, n * datasets // 2, 21, tops=(0, -3))
    far = Softmax(Logits(np.linspace(0, 3, 10)))
    asked = [IPS(), WeightedLoggers(IPS()), IPS(loggers="balanced")]
    found = [
        evaluate(far, data.take(slice(k * n, (k + 1) * n)), asked, progress=False).results for k in range(datasets)
    ]
    naive, weighted, balanced = np.array([[one.value for one in results] for results in found]).std(axis=0)
    assert weighted < 0.85 * naive
    assert balanced < 0.85 * naive
