"""Open Bandit Pipeline's dict: nothing that it can hold is changed, and its estimators give our figures."""

from __future__ import annotations

import numpy as np
import pytest

import prompt_bandits
from agents.ope import evaluate
from agents.ope.estimators import DM, DR, IPS, SNIPS
from prompt_bandits import BanditDataset, Prompts
from prompt_bandits.exchange import export_dataset, from_obp, import_dataset, to_obp
from prompt_bandits.exchange.obp import to_obp_dist
from prompt_bandits.policies import Logits, Softmax

from .full_rounds import FULL

HELD = ("context", "query", "action", "reward", "propensity")


def check_held(found: BanditDataset, expected: BanditDataset) -> None:
    for name in HELD:
        np.testing.assert_array_equal(found._columns()[name], expected._columns()[name])
    np.testing.assert_array_equal(found.prompts.embedding, expected.prompts.embedding)


def test_the_dict_holds_what_the_pipeline_documents() -> None:
    """obp/dataset/synthetic.py, obtain_batch_bandit_feedback; obp/utils.py, check_bandit_feedback_inputs."""
    feedback = to_obp(FULL)
    assert (feedback["n_rounds"], feedback["n_actions"], feedback["position"]) == (4, 4, None)
    shapes = {"context": (4, 3), "action_context": (4, 2), "action": (4,), "reward": (4,), "pscore": (4,)}
    assert {name: feedback[name].shape for name in shapes} == shapes
    assert np.issubdtype(feedback["action"].dtype, np.integer)
    assert (feedback["pscore"] > 0).all()


def test_rounds_come_back_from_the_dict() -> None:
    check_held(from_obp(to_obp(FULL)), FULL)


def test_rounds_come_back_from_the_file(tmp_path) -> None:
    export_dataset(FULL, "obp", tmp_path / "log")
    assert [file.name for file in tmp_path.iterdir()] == ["log"]
    check_held(import_dataset("obp", tmp_path / "log"), FULL)


def test_a_folder_gives_the_dict_of_its_rows(logged, tmp_path) -> None:
    logged.save(tmp_path / "data")
    ours, stored = to_obp(logged, pi_b=True), to_obp(BanditDataset.open(tmp_path / "data"), pi_b=True)
    assert ours.keys() == stored.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], stored[name])


def test_pi_b_at_the_actions_is_the_propensity(logged) -> None:
    feedback = to_obp(logged, pi_b=True)
    assert feedback["pi_b"].shape == (600, 10, 1)
    np.testing.assert_allclose(feedback["pi_b"][np.arange(600), feedback["action"], 0], feedback["pscore"])


def test_position_and_expected_reward_come_back() -> None:
    feedback = to_obp(FULL) | {"position": np.array([0, 1, 2, 0]), "expected_reward": np.eye(4)}
    again = to_obp(from_obp(feedback))
    np.testing.assert_array_equal(again["position"], [0, 1, 2, 0])
    np.testing.assert_array_equal(again["expected_reward"], np.eye(4))


def test_unknown_propensities_stay_unknown() -> None:
    data = BanditDataset.from_arrays(np.zeros((2, 1)), np.array([0, 1]), np.ones(2), prompts=2)
    assert "pscore" not in to_obp(data)
    assert from_obp(to_obp(data)).propensity is None


def test_action_dist_is_the_policy_s_in_every_round(logged) -> None:
    policy = Softmax(Linear(), beta=0.3)
    np.testing.assert_array_equal(to_obp_dist(policy, logged.obs)[:, :, 0], policy.action_dist(logged.obs))


def test_dense_arrays_larger_than_memory_are_refused(logged) -> None:
    many = BanditDataset.from_arrays(
        np.zeros((200, 1)), np.zeros(200, int), np.ones(200), prompts=Prompts.from_embedding(np.zeros((9999, 1)))
    )
    policy = Softmax(Logits(np.zeros(9999)))
    with pytest.raises(ValueError, match=r"action_dist: 200 rounds x 9,999 prompts take 15 MB, more than memory_mb=15"):
        to_obp_dist(policy, many.obs, memory_mb=15)
    assert to_obp_dist(policy, many.obs, memory_mb=16).shape == (200, 9999, 1)
    with pytest.raises(ValueError, match="pi_b: 600 rounds x 10 prompts"):
        to_obp(logged, pi_b=True, memory_mb=0)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"reward": None}, "bandit_feedback: expected reward, found"),
        ({"context": np.zeros(4)}, r"context: expected shape \(n, d\)"),
        ({"action_context": np.zeros((3, 2))}, "action_context: expected a row for each of n_actions=4, got 3"),
        ({"pscore": np.zeros(4)}, r"propensity: expected values in \(0, 1\]"),
    ],
)
def test_a_dict_of_something_else_is_refused(change, told) -> None:
    with pytest.raises(ValueError, match=told):
        from_obp(to_obp(FULL) | change)


def test_a_file_of_something_else_is_refused(tmp_path) -> None:
    (tmp_path / "x.npz").write_text("no zip")
    with pytest.raises(ValueError, match=r"x\.npz: expected a \.npz file without pickled values"):
        import_dataset("obp", tmp_path / "x.npz")
    with (tmp_path / "y.npz").open("wb") as stream:
        np.savez(stream, context=np.zeros((2, 1)))
    with pytest.raises(ValueError, match=r"y\.npz: expected action, reward in it, found context"):
        import_dataset("obp", tmp_path / "y.npz")


class Linear:
    def scores(self, obs):
        return np.asarray(obs.features() @ np.linspace(-1, 1, obs.features().shape[1]))[:, None] * np.arange(10)

    def predict(self, obs, action):
        return self.scores(obs)[np.arange(len(action)), action]


def test_the_real_pipelines_estimators_give_our_figures(logged) -> None:
    ope = pytest.importorskip("obp.ope")
    policy, q_hat = Softmax(Linear(), beta=0.3), Linear()
    theirs = ope.OffPolicyEvaluation(
        bandit_feedback=to_obp(logged, pi_b=True),
        ope_estimators=[
            ope.InverseProbabilityWeighting(estimator_name="ips"),
            ope.SelfNormalizedInverseProbabilityWeighting(estimator_name="snips"),
            ope.DirectMethod(estimator_name="dm"),
            ope.DoublyRobust(estimator_name="dr"),
        ],
    ).estimate_policy_values(
        action_dist=to_obp_dist(policy, logged.obs), estimated_rewards_by_reg_model=q_hat.scores(logged.obs)[:, :, None]
    )
    ours = evaluate(policy, logged, [IPS(), SNIPS(), DM(), DR()], q_hat=q_hat)
    for name, value in theirs.items():
        assert ours[name].value == pytest.approx(value, rel=1e-10), name


def test_the_real_pipelines_synthetic_rounds_come_in() -> None:
    dataset = pytest.importorskip("obp.dataset")
    made = dataset.SyntheticBanditDataset(n_actions=5, dim_context=3, random_state=0)
    feedback = made.obtain_batch_bandit_feedback(n_rounds=50)
    data = from_obp(feedback)
    assert data.n_actions == 5
    np.testing.assert_array_equal(data.action, feedback["action"])
    np.testing.assert_array_equal(data.propensity, feedback["pscore"])
    np.testing.assert_array_equal(data.oracle["action_value"], feedback["expected_reward"])
    assert prompt_bandits.exchange.to_obp(data)["n_rounds"] == 50
