"""Evaluations: what goes in, what comes out, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from agents.ope import evaluate
from agents.ope.closed_form import clopper_pearson
from agents.ope.estimators import DM, DR, IPS, MRDR, SNIPS, BalancedIPW, Replay
from agents.propensity import PropensityTraining
from agents.reward_training import RewardTraining
from prompt_bandits import BanditDataset, collect, save
from prompt_bandits.policies import Logits, Softmax, Uniform

from .three_rounds import POLICY, ByPrompt, Zero, three_rounds

FEW_STEPS = PropensityTraining(steps=300, log_every=50)
NEAR = Softmax(Logits(np.linspace(0, 1, 10)))


def test_a_policy_its_folder_and_its_probabilities_are_the_same(logged, tmp_path) -> None:
    dist = NEAR.action_dist(logged.obs)
    folder = save(NEAR, tmp_path / "policy")
    expected = evaluate(NEAR, logged, [IPS()])["ips"]
    for other in (folder, str(folder), dist, dist[:, :, None]):
        found = evaluate(other, logged, [IPS()])["ips"]
        np.testing.assert_allclose(found.round_values, expected.round_values, rtol=1e-12)


def test_a_folder_of_rounds_gives_what_memory_gives(logged, tmp_path) -> None:
    folder = logged.save(tmp_path / "data")
    expected = evaluate(NEAR, logged, q_hat=ByPrompt())
    for data in (folder, str(folder), BanditDataset.open(folder)):
        found = evaluate(NEAR, data, q_hat=ByPrompt())
        for name, result in expected.items():
            assert found[name].value == pytest.approx(result.value, rel=1e-12)
            assert found[name].interval.low == pytest.approx(result.interval.low, rel=1e-12)


def test_on_policy_ips_is_what_was_logged(logged) -> None:
    found = evaluate(logged.require_logging_policy(), logged, [IPS()])
    assert found["ips"].value == pytest.approx(logged.reward.mean())
    assert found.logged.value == pytest.approx(logged.reward.mean())
    assert found.logged.n == len(logged)


def test_without_propensities_the_others_go_on() -> None:
    data = replace(three_rounds(), propensity=None)
    found = evaluate(POLICY, data, [IPS(), DM(), DR()], q_hat=ByPrompt())
    assert found["dm"].value == pytest.approx(0.8)
    for name in ("ips", "dr"):
        assert found[name].value is None
        assert "propensity: unknown" in found[name].refused
        with pytest.raises(ValueError, match=f"{name}: propensity: unknown"):
            found[name].terms()


def test_a_policy_that_takes_none_of_the_logged_actions_is_refused() -> None:
    never = Softmax(Logits(np.array([0.0, -np.inf])))
    data = three_rounds().take(np.array([1, 2]))
    found = evaluate(never, data, [IPS(), SNIPS(), Replay(), DM()], q_hat=ByPrompt())
    for name in ("ips", "snips", "replay"):
        assert "takes some of the logged actions, got 0 in every round" in found[name].refused
    assert found["dm"].value == 0


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"propensities": "known"}, "propensities"),
        ({"level": 95}, "level"),
        ({"estimators": []}, "estimators"),
        ({"estimators": [IPS(), IPS()]}, "estimators: expected one of each name, got ips, ips"),
        ({"estimators": [IPS]}, r"estimators: expected one such as IPS\(\), got the class IPS"),
        ({"policy": np.full((2, 2), 0.5)}, r"action_dist: expected shape \(3, 2\), got \(2, 2\)"),
        ({"policy": np.full((3, 2, 2), 0.5)}, r"action_dist: expected numbers of shape"),
        ({"policy": np.full((3, 2), 0.6)}, "rows that sum to 1"),
        ({"policy": "nowhere"}, "nowhere"),
        ({"policy": ByPrompt()}, "policy: expected one with"),
        ({"data": three_rounds().take(slice(0, 1))}, "at least two rounds, got 1"),
    ],
)
def test_what_cannot_be_evaluated_is_named(change, named) -> None:
    arguments = {"policy": POLICY, "data": three_rounds(), "estimators": [IPS()]} | change
    with pytest.raises((ValueError, FileNotFoundError), match=named):
        evaluate(arguments.pop("policy"), arguments.pop("data"), **arguments)


def test_an_interval_that_cannot_be_had_is_students_and_says_so() -> None:
    asked = {"interval": "hoeffding", "reward_range": (0, 5), "largest_weight": 5}
    found = evaluate(POLICY, three_rounds(), [IPS(), IPS(clip=2.0), SNIPS()], **asked)
    # ±(high − low)·√(log(2/0.05) / (2·3)) around 23.6/3, in [0, 25]; clipped in [0, 10] around 13.6/3
    half = np.sqrt(np.log(40) / 6)
    assert found["ips"].interval.low == pytest.approx(max(0, 23.6 / 3 - 25 * half))
    assert found["ips"].interval.high == pytest.approx(min(25, 23.6 / 3 + 25 * half))
    assert found["ips[clip=2]"].interval.high == pytest.approx(min(10, 13.6 / 3 + 10 * half))
    assert found["snips"].interval.method == "student_t"
    assert any("Student's t, since hoeffding cannot be had" in told for told in found["snips"].warnings)
    # w·r − r lies in [0 − 5, 25 − 0], so that its interval is wider by 30/25; of SNIPS nothing is known beforehand
    gain = found.improvement["ips"].interval
    assert (gain.method, gain.high) == (
        "hoeffding",
        pytest.approx(min(25, found.improvement["ips"].estimate.value + 30 * half)),
    )
    assert found.improvement["snips"].interval.method == "student_t"
    assert found.logged_interval.method == "hoeffding"


def test_binary_rewards_as_logged_have_the_interval_of_a_proportion() -> None:
    data = replace(three_rounds(), reward=np.array([1.0, 0.0, 1.0]))
    found = evaluate(POLICY, data, [IPS()], interval="clopper_pearson")
    assert found.logged_interval == clopper_pearson(data.reward, 0.95)
    assert found.improvement["ips"].interval.method == "student_t"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"interval": "guess"}, "interval: expected one of"),
        ({"interval": "hoeffding"}, "reward_range: expected"),
        ({"reward_range": (0, 1)}, "reward_range: expected to hold all rounds, got 1 … 5"),
        ({"reward_range": (5, 0)}, "bounds"),
        ({"largest_weight": 0.5}, "largest_weight: expected >= 1"),
        ({"largest_weight": 2}, "largest_weight: expected to hold all rounds, got 0.4 … 4"),
    ],
)
def test_impossible_bounds_are_refused(settings, named) -> None:
    with pytest.raises(ValueError, match=named):
        evaluate(POLICY, three_rounds(), [IPS()], **settings)


def test_improvement_is_the_paired_difference_to_what_was_logged() -> None:
    gain = evaluate(POLICY, three_rounds(), [IPS()]).improvement["ips"]
    terms = np.array([0.4 - 1, 3.2 - 2, 20 - 5])
    assert gain.estimate.value == pytest.approx(terms.mean())
    assert gain.estimate.se == pytest.approx(terms.std(ddof=1) / np.sqrt(3))


def test_the_difference_of_two_policies_is_paired(logged) -> None:
    asked = [IPS(), DM()]
    one, other = evaluate(NEAR, logged, asked, q_hat=ByPrompt()), evaluate(Uniform(), logged, asked, q_hat=ByPrompt())
    found = one.difference(other)
    assert list(found) == ["ips", "dm"]
    np.testing.assert_allclose(found["ips"].estimate.value, one["ips"].value - other["ips"].value)
    alone = np.hypot(one["ips"].se, other["ips"].se)
    assert found["ips"].estimate.se < alone
    with pytest.raises(ValueError, match="expected an evaluation over the same 600 rounds"):
        one.difference(evaluate(NEAR, logged.take(slice(0, 500)), asked, q_hat=ByPrompt()))


def test_it_prints_what_a_reader_needs(logged) -> None:
    data = replace(logged, propensity=logged.propensity / 3)
    found = evaluate(NEAR, data, [IPS(), DM(), Replay()], q_hat=ByPrompt(), name="new")
    text = str(found)
    assert text.startswith("new, over 600 logged rounds; 0.95 intervals. As logged: ")
    assert "! ips " in text
    assert f"{found['dm'].value:.4f}" in text
    assert "x replay: no estimate: " in text
    assert "! ips: The importance weights average" in text
    assert text.count("the interval knows nothing of that model's error") == 1


def test_it_is_plain_values_in_json(logged) -> None:
    found = json.loads(json.dumps(evaluate(NEAR, logged, [IPS(), Replay()]).to_dict()))
    assert found["n"] == 600
    assert found["results"][0]["diagnostics"]["effective_rounds"] > 30
    assert found["results"][1]["value"] is None
    assert found["improvement"]["ips"]["interval"]["level"] == 0.95


def test_it_is_drawn_with_what_is_not_believed_hollow(logged) -> None:
    pytest.importorskip("matplotlib").use("Agg")
    data = replace(logged, propensity=logged.propensity / 3)
    ax = evaluate(NEAR, data, [IPS(), DM(), Replay()], q_hat=Zero()).plot()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["dm", "ips"]
    points = [line for line in ax.lines if line.get_marker() == "o"]
    assert [line.get_markerfacecolor() == "white" for line in points] == [False, True]


@pytest.mark.slow
def test_estimated_propensities_are_fitted_out_of_fold(simulator) -> None:
    data = collect(simulator, Softmax(Logits(np.linspace(0, 1, 10))), 1500, seed=5)
    unknown = replace(data, propensity=None, policies=())
    found = evaluate(
        Uniform(), unknown, [IPS(), SNIPS()], propensities="estimated", folds=2, propensity_training=FEW_STEPS
    )
    exact = evaluate(Uniform(), data, [SNIPS()])["snips"]
    assert abs(found["snips"].value - exact.value) < exact.se
    assert found["ips"].diagnostics.mean_weight.value == pytest.approx(1, abs=0.1)
    assert found.models.propensity is not None
    assert found["ips"].diagnostics.propensities_estimated


@pytest.mark.slow
@pytest.mark.parametrize("where", ["memory", "folder"])
def test_models_of_the_policy_are_fitted_and_not_kept_for_others(simulator, tmp_path, where) -> None:
    data = collect(simulator, Uniform(), 2000, seed=6)
    if where == "folder":
        data = BanditDataset.open(data.save(tmp_path / "data"))
    training = RewardTraining(steps=300, hidden=8)
    found = evaluate(NEAR, data, [IPS(), MRDR(), BalancedIPW()], training=training, folds=2)
    for name in ("mrdr", "balanced-ipw"):
        assert abs(found[name].value - found["ips"].value) < 4 * found["ips"].se, name
    assert found["balanced-ipw"].diagnostics.mean_weight.value == pytest.approx(1, abs=0.1)
    assert found.models.fitted == {}


def test_an_array_of_probabilities_goes_with_every_model(simulator) -> None:
    data = collect(simulator, Uniform(), 300, seed=6)
    asked, training = [MRDR(), BalancedIPW()], RewardTraining(steps=20, hidden=4)
    by_policy = evaluate(NEAR, data, asked, training=training, folds=2)
    by_array = evaluate(NEAR.action_dist(data.obs), data, asked, training=training, folds=2)
    for name, result in by_policy.items():
        np.testing.assert_allclose(by_array[name].terms(), result.terms(), rtol=1e-6, err_msg=name)


def test_what_cannot_be_fitted_refuses_its_estimators_only() -> None:
    found = evaluate(POLICY, three_rounds(), [IPS(), DM()], folds=3)
    assert found["ips"].value == pytest.approx(23.6 / 3)
    assert "folds" in found["dm"].refused


def test_missing_reward_models_are_fitted_out_of_fold_and_shared(logged) -> None:
    training = RewardTraining(steps=20, hidden=4)
    first = evaluate(NEAR, logged, [DM(), DR()], training=training, folds=2)
    again = evaluate(Uniform(), logged, [DM()], models=first.models)
    (model,) = first.models.fitted.values()
    assert len(model.models) == 2
    assert again.models.fitted == first.models.fitted
