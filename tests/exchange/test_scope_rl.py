"""scope-rl's dict: everything but policies and oracle comes back, and its estimators give our figures."""

from __future__ import annotations

import numpy as np
import pytest

from agents.ope import evaluate
from agents.ope.estimators import IPS, SNIPS
from prompt_bandits import BanditDataset
from prompt_bandits.exchange import export_dataset, from_scope_rl, import_dataset, to_scope_rl
from prompt_bandits.policies import Logits, Softmax

from .full_rounds import FULL, check_same

LOST = ("oracle['expected_reward']",)


def test_the_dict_has_the_documented_keys_and_shapes() -> None:
    """scope_rl/dataset/synthetic.py, obtain_episodes."""
    dataset = to_scope_rl(FULL, behavior_policy="mine", dataset_id=3)
    assert [dataset[k] for k in ("size", "n_trajectories", "step_per_trajectory", "n_actions")] == [4, 4, 1, 4]
    assert (dataset["action_type"], dataset["behavior_policy"], dataset["dataset_id"]) == ("discrete", "mine", 3)
    assert (dataset["state_dim"], dataset["state_keys"]) == (3, ["context_0", "context_1", "query_0"])
    assert dataset["state"].shape == (4, 3)
    assert dataset["action_meaning"][0] == "Be brief."
    for name in ("action", "reward", "done", "terminal", "pscore"):
        assert dataset[name].shape == (4,)
    assert dataset["done"].all()
    assert dataset["terminal"].all()


def test_rounds_come_back_from_the_dict() -> None:
    check_same(from_scope_rl(to_scope_rl(FULL)), FULL, without=LOST)


def test_rounds_come_back_from_the_file(tmp_path) -> None:
    export_dataset(FULL, "scope-rl", tmp_path / "log.npz")
    check_same(import_dataset("scope-rl", tmp_path / "log.npz"), FULL, without=LOST)


def test_oracle_columns_are_nowhere_in_the_dict() -> None:
    assert not [name for name in to_scope_rl(FULL)["info"] if "expected_reward" in name]


def test_a_folder_gives_the_dict_of_its_rows(logged, tmp_path) -> None:
    logged.save(tmp_path / "data")
    stored = from_scope_rl(to_scope_rl(BanditDataset.open(tmp_path / "data")))
    check_same(stored, from_scope_rl(to_scope_rl(logged)))


def test_a_dict_of_theirs_with_info_of_other_names_comes_in() -> None:
    theirs = {
        name: value
        for name, value in to_scope_rl(FULL).items()
        if name not in ("action_context", "prompt_id", "state_keys", "action_meaning")
    }
    data = from_scope_rl(theirs | {"info": {"search_volume": np.arange(4), "note": {}}})
    assert data.obs.query is None
    assert data.extras["search_volume"].tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(data.prompts.embedding, np.eye(4))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"step_per_trajectory": 10}, "step_per_trajectory: expected 1, got 10"),
        ({"action_type": "continuous"}, "action_type: expected discrete, got 'continuous'"),
        ({"reward": None}, "logged_dataset: expected reward, found"),
    ],
)
def test_what_is_no_bandit_is_refused(change, told) -> None:
    with pytest.raises(ValueError, match=told):
        from_scope_rl(to_scope_rl(FULL) | change)


def test_the_real_estimators_give_our_figures(logged) -> None:
    pytest.importorskip("scope_rl")
    from scope_rl.ope import OffPolicyEvaluation
    from scope_rl.ope.discrete import SelfNormalizedTIS, TrajectoryWiseImportanceSampling

    policy = Softmax(Logits(np.linspace(0, 1.5, 10)))
    inputs = {
        "evaluation_policy_action": None,
        "evaluation_policy_action_dist": policy.action_dist(logged.obs),
        "state_action_value_prediction": None,
        "initial_state_value_prediction": None,
        "on_policy_policy_value": None,
        "gamma": 1.0,
    }
    theirs = OffPolicyEvaluation(
        logged_dataset=to_scope_rl(logged),
        ope_estimators=[TrajectoryWiseImportanceSampling(), SelfNormalizedTIS()],
        disable_reward_after_done=False,
    ).estimate_policy_value({"new": inputs})["new"]
    ours = evaluate(policy, logged, [IPS(), SNIPS()])
    assert ours["ips"].value == pytest.approx(theirs["tis"], rel=1e-10)
    assert ours["snips"].value == pytest.approx(theirs["sntis"], rel=1e-8)  # they add 1e-10 to the sum
