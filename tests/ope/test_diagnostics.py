"""What speaks against an estimate, and that it is said in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agents.ope import evaluate
from agents.ope.diagnostics import Diagnostics, effective_rounds, largest_share, removed_share
from agents.ope.estimators import DM, DR, IPS, SNDR, SNIPS, DRos, SwitchDR
from prompt_bandits import collect
from prompt_bandits.policies import EpsilonGreedy, Logits, OracleScore, Restricted, Softmax, Uniform
from prompt_bandits.types import Estimate

from .three_rounds import POLICY, ByPrompt, Zero, three_rounds

NEAR = Softmax(Logits(np.linspace(0, 1, 10)))


@pytest.fixture(scope="module")
def uniform_log(simulator):
    return collect(simulator, Uniform(), 4000, seed=7)


def test_diagnostics_by_hand() -> None:
    found = evaluate(POLICY, three_rounds(), [IPS(clip=2.0)])["ips[clip=2]"].diagnostics
    assert found.n == 3
    assert found.effective_rounds == pytest.approx(4**2 / (0.16 + 2.56 + 4))
    assert found.largest_weight == 2
    assert found.largest_share == pytest.approx(0.5)
    assert found.removed_weight == pytest.approx(2 / 6)
    assert found.mean_weight.value == pytest.approx(2)  # before the clip
    assert found.mean_weight.se == pytest.approx(np.std([0.4, 1.6, 4], ddof=1) / np.sqrt(3))
    assert 2 in found.mean_weight_interval
    assert found.unlogged_mass == 0


def test_without_weights_there_is_nothing_to_divide_by() -> None:
    nothing = np.zeros(4)
    assert (effective_rounds(nothing), largest_share(nothing), removed_share(nothing, nothing)) == (0, 0, 0)


def test_a_good_evaluation_has_nothing_grave(uniform_log) -> None:
    found = evaluate(NEAR, uniform_log, q_hat=Zero())
    for name in ("ips", "snips", "dr"):
        assert found[name].believable, found[name].warnings
    assert found["ips"].diagnostics.calibration.error < 0.2
    assert found["ips"].diagnostics.propensity_gap < 1e-9
    assert found["ips"].diagnostics.unsupported_mass == 0
    assert found["ips"].diagnostics.mean_weight.value == pytest.approx(1, abs=0.1)


def test_mean_weight_away_from_one_is_told(uniform_log) -> None:
    wrong = replace(uniform_log, propensity=uniform_log.propensity * 2)  # the weights are half of what they should be
    found = evaluate(NEAR, wrong, [IPS(), DM()], q_hat=Zero())
    assert any("average 0.5" in told and "should average 1" in told for told in found["ips"].warnings)
    assert not found["ips"].believable
    assert not any("average" in told for told in found["dm"].warnings)


def test_propensities_that_are_not_the_policys_are_told(uniform_log) -> None:
    p = uniform_log.propensity.copy()
    p[5] *= 1.5
    found = evaluate(NEAR, replace(uniform_log, propensity=p), [IPS()])["ips"]
    assert found.diagnostics.propensity_gap == pytest.approx(0.5)
    assert any("differ by up to 50%" in told for told in found.warnings)


def test_a_logging_policy_that_did_otherwise_is_told(uniform_log) -> None:
    claimed = Softmax(Logits(np.linspace(0, 3, 10)))
    p = claimed.action_dist(uniform_log.obs)[np.arange(4000), uniform_log.action]
    found = evaluate(claimed, replace(uniform_log, policies=(claimed,), propensity=p), [IPS()])["ips"]
    assert any("propensities are off" in told for told in found.warnings)
    assert not found.believable


def test_mass_on_what_the_log_never_tries_is_told(simulator) -> None:
    never_0 = Restricted(Uniform(), np.arange(10) > 0)
    data = collect(simulator, never_0, 2000, seed=3)
    often_0 = Softmax(Logits(np.log([0.4, *[0.6 / 9] * 9])))
    for logged in (data, replace(data, policies=())):  # with, and without a logging policy to ask
        found = evaluate(often_0, logged, [IPS(), DR()], q_hat=Zero())
        assert any("40.0% of the time" in told and "count as earning nothing" in told for told in found["ips"].warnings)
        assert any("valued by the reward model alone" in told for told in found["dr"].warnings)
        assert not found["dr"].believable


def test_a_little_unsupported_mass_is_a_note(simulator) -> None:
    data = collect(simulator, Restricted(Uniform(), np.arange(10) > 0), 4000, seed=3)
    seldom_0 = Softmax(Logits(np.log([0.01, *[0.99 / 9] * 9])))
    found = evaluate(seldom_0, data, [IPS()])["ips"]
    assert any(told.startswith("1.0% of the policy's choices") for told in found.warnings)
    assert found.believable


def test_few_effective_rounds_are_told(simulator, uniform_log) -> None:
    data = uniform_log.take(slice(0, 60))
    found = evaluate(EpsilonGreedy(OracleScore(simulator)), data, [IPS()])["ips"]
    effective = found.diagnostics.effective_rounds
    assert effective < 15
    assert any(f"as good as {effective:.0f} of 60 rounds" in told for told in found.warnings)
    assert any("60 rounds are few" in told for told in found.warnings)


def test_one_round_with_most_of_the_weight_is_told(uniform_log) -> None:
    p = uniform_log.propensity.copy()
    p[0] = 1e-4
    found = evaluate(NEAR, replace(uniform_log, propensity=p, policies=()), [IPS(), IPS(clip=20.0)])
    share = found["ips"].diagnostics.largest_share
    assert any(told.startswith(f"A single round has {share:.0%}") for told in found["ips"].warnings)
    assert not any("single round" in told for told in found["ips[clip=20]"].warnings)


def test_a_wrong_reward_model_is_told_by_the_weights(uniform_log) -> None:
    class Far(ByPrompt):
        def scores(self, obs):
            return super().scores(obs) + 100

    found = evaluate(NEAR, uniform_log, [DM(), DR()], q_hat=Far())
    gap = found["dm"].diagnostics.gap
    assert gap.value == pytest.approx(found["dr"].value - found["dm"].value)
    assert any("reward model is wrong for this policy" in told for told in found["dm"].warnings)
    assert found["dr"].believable
    unknown = evaluate(NEAR, replace(uniform_log, propensity=None), [DM()], q_hat=Far())["dm"]
    assert unknown.diagnostics.gap is None
    assert any("as good as the reward model" in told for told in unknown.warnings)


def test_weight_that_is_taken_away_is_told(uniform_log) -> None:
    found = evaluate(NEAR, uniform_log, [IPS(clip=0.3), SNIPS(clip=1.2), DRos(5.0)], q_hat=Zero())
    assert any("more than is left. It counts as earning nothing" in told for told in found["ips[clip=0.3]"].warnings)
    assert not found["ips[clip=0.3]"].believable
    assert any("The reward model speaks" in told for told in found["dros[lambda=5]"].warnings)


@pytest.mark.parametrize(
    ("tamed", "whole"),
    [(IPS(clip=1.2), IPS()), (SNIPS(clip=1.2), SNIPS()), (DRos(5.0), DR()), (SNDR(clip=1.2), SNDR())],
    ids=lambda one: one.name,
)
def test_the_gap_is_what_is_missing_to_the_unbiased_estimate(tamed, whole, uniform_log) -> None:
    found = evaluate(NEAR, uniform_log, [tamed, whole], q_hat=ByPrompt())
    missing = found[whole.name].value - found[tamed.name].value
    assert found[tamed.name].diagnostics.gap.value == pytest.approx(missing)
    assert found[whole.name].diagnostics.gap is None


def test_shrinking_that_moves_the_estimate_far_is_told(uniform_log) -> None:
    found = evaluate(NEAR, uniform_log, [SwitchDR(1.2), SwitchDR(50.0)], q_hat=ByPrompt())
    assert any("What the smaller weights leave out matters" in told for told in found["switch-dr[tau=1.2]"].warnings)
    assert found["switch-dr[tau=50]"].believable


def test_estimated_propensities_are_told(uniform_log) -> None:
    from agents.ope.models import Models

    class Known:
        def out_of_fold(self, data):
            return np.full(len(data), 0.1)

        def unseen(self, data):
            yield np.arange(len(data)), Uniform()

        def action_dist(self, obs):
            return Uniform().action_dist(obs)

    data = replace(uniform_log, propensity=None, policies=())
    found = evaluate(NEAR, data, [IPS()], models=Models(propensity=Known()), propensities="estimated")["ips"]
    assert any("propensities were estimated" in told for told in found.warnings)
    assert found.value == pytest.approx(evaluate(NEAR, uniform_log, [IPS()])["ips"].value)


def test_an_estimate_of_the_propensities_is_looked_at_only_where_that_is_asked_for(uniform_log) -> None:
    from agents.ope.models import Models

    class Halves:
        def out_of_fold(self, data):
            return np.full(len(data), 0.05)

        def unseen(self, data):
            yield np.arange(len(data)), Uniform()

        def action_dist(self, obs):
            return Uniform().action_dist(obs)

    given = Models(propensity=Halves())
    expected = evaluate(NEAR, uniform_log, [IPS()])["ips"].value
    assert evaluate(NEAR, uniform_log, [IPS()], models=given)["ips"].value == expected
    estimated = evaluate(NEAR, uniform_log, [IPS()], models=given, propensities="estimated")["ips"]
    assert estimated.value == pytest.approx(2 * expected)


def test_no_warning_from_what_is_unknown() -> None:
    assert Diagnostics(1000).warnings() == ()
    mean = Estimate(1.0, 0.0, 1000)
    assert Diagnostics(1000, effective_rounds=900, largest_share=0.01, mean_weight=mean).warnings() == ()
