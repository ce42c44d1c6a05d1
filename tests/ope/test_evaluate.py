"""Evaluations: what goes in, what comes out, what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agents.ope import DM, DR, IPS, evaluate
from prompt_bandits import BanditDataset, save
from prompt_bandits.policies import Logits, Softmax, Uniform

from .three_rounds import POLICY, ByPrompt, three_rounds

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
    found = evaluate(never, data, [IPS(), DM()], q_hat=ByPrompt())
    assert "none of the logged actions" in found["ips"].refused
    assert found["dm"].value == 0


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"propensities": "known"}, "propensities"),
        ({"level": 95}, "level"),
        ({"estimators": []}, "estimators"),
        ({"estimators": [IPS(), IPS()]}, "estimators: expected one of each name, got ips, ips"),
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


def test_missing_reward_models_are_fitted_out_of_fold_and_shared(logged) -> None:
    from agents.reward_training import RewardTraining

    training = RewardTraining(steps=20, hidden=4)
    first = evaluate(NEAR, logged, [DM(), DR()], training=training, folds=2)
    again = evaluate(Uniform(), logged, [DM()], models=first.models)
    (model,) = first.models.fitted.values()
    assert len(model.models) == 2
    assert again.models.fitted == first.models.fitted
