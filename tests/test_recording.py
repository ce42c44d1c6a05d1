"""The recording wrappers: every row once, with the propensity that it was drawn with."""

from __future__ import annotations

import json

import gymnasium as gym
import numpy as np
import pytest
from conftest import SYNTHETIC
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode

import prompt_bandits
from prompt_bandits import BanditDataset, RecordBanditDataset, RecordBanditDatasetVector
from prompt_bandits.env import PromptBanditEnv
from prompt_bandits.policies import Logits, OracleScore, Restricted, Softmax, Uniform
from prompt_bandits.synthetic import SyntheticConfig, synthetic_simulator
from prompt_bandits.types import Output


def assert_same_rows(a: BanditDataset, b: BanditDataset) -> None:
    assert a._columns().keys() == b._columns().keys()
    for name, column in a._columns().items():
        np.testing.assert_array_equal(column, b._columns()[name], err_msg=name)


def make(**kwargs):
    return gym.make(SYNTHETIC, **({"n_actions": 10} | kwargs))


def vectors(num_envs: int, mode: str, **kwargs):
    kwargs = {"n_actions": 10} | kwargs
    if mode == "native":
        return gym.make_vec(SYNTHETIC, num_envs=num_envs, **kwargs)
    engine, autoreset = mode.split()
    options = {"autoreset_mode": AutoresetMode(autoreset)}
    return gym.make_vec(SYNTHETIC, num_envs=num_envs, vectorization_mode=engine, vector_kwargs=options, **kwargs)


def preference(n: int = 10) -> Softmax:
    return Softmax(Logits(np.linspace(0, 2, n)))


@pytest.mark.parametrize(
    "kwargs", [{}, {"flatten_obs": True}, {"action_mode": "embedding"}, {"mask_rate": 0.4}, {"split": "test"}], ids=str
)
def test_acting_through_the_wrapper_gives_the_rows_of_collect(kwargs) -> None:
    policy = preference()
    env = RecordBanditDataset(make(**kwargs), logging_policy=policy)
    env.reset(seed=3)
    for _ in range(50):
        env.act()
        env.reset()
    assert_same_rows(env.dataset(), prompt_bandits.collect(make(**kwargs), policy, 50, seed=3))


@pytest.mark.parametrize(
    "kwargs", [{}, {"flatten_obs": True}, {"action_mode": "embedding"}, {"mask_rate": 0.4}], ids=str
)
def test_acting_through_the_native_vector_gives_the_rows_of_collect(kwargs) -> None:
    policy = preference()
    envs = RecordBanditDatasetVector(vectors(7, "native", **kwargs), logging_policy=policy)
    envs.reset(seed=3)
    for _ in range(5):
        envs.act()
    assert_same_rows(
        envs.dataset(), prompt_bandits.collect(SYNTHETIC, policy, 35, seed=3, **({"n_actions": 10} | kwargs))
    )


@pytest.mark.parametrize(
    ("mode", "rounds"), [("sync NextStep", 3), ("sync SameStep", 6), ("async NextStep", 3), ("async SameStep", 6)]
)
def test_gymnasiums_vectors_record_real_rounds_only(mode, rounds) -> None:
    """Six steps: under NEXT_STEP every second one is a dummy."""
    policy = preference()
    envs = RecordBanditDatasetVector(vectors(2, mode), logging_policy=policy)
    envs.reset(seed=3)
    for _ in range(6):
        envs.act()
    data = envs.dataset()
    envs.close()
    for i in range(2):
        alone = prompt_bandits.collect(SYNTHETIC, policy, rounds, seed=3 + i, n_actions=10)
        assert_same_rows(data.filter(lambda d, i=i: d.seed == 3 + i), alone)


def test_a_disabled_autoreset_records_what_was_reset() -> None:
    envs = RecordBanditDatasetVector(vectors(3, "sync Disabled"), logging_policy=Uniform())
    envs.reset(seed=0)
    envs.act()
    envs.reset(options={"reset_mask": np.array([True, True, True])})
    envs.act()
    assert envs.dataset().round_id.tolist() == [0, 0, 0, 1, 1, 1]


def test_steps_with_given_actions_record_the_policys_probability_of_them() -> None:
    policy = preference()
    env = RecordBanditDataset(make(), logging_policy=policy)
    obs, _ = env.reset(seed=0)
    env.step(7)
    data = env.dataset()
    assert data.action.tolist() == [7]
    np.testing.assert_allclose(data.propensity, policy.action_dist(data.obs)[0, 7])
    np.testing.assert_array_equal(data.obs.context[0], obs["context"])


def test_without_a_policy_the_propensity_is_unknown_and_refused_where_needed() -> None:
    env = RecordBanditDataset(make())
    env.reset(seed=0)
    env.step(7)
    assert env.dataset().propensity is None
    with pytest.raises(ValueError, match="propensity: unknown in this dataset"):
        env.dataset().require_propensity()
    with pytest.raises(ValueError, match="expected a logging_policy"):
        env.act()


def test_a_row_can_be_annotated_through_an_intervening_reset() -> None:
    """PPO tells its log-probability only after step and reset."""
    env = RecordBanditDataset(make())
    for k in range(4):
        env.reset(seed=0 if k == 0 else None)
        env.step(k)
        if k % 2:
            env.reset()
        env.annotate(propensity=0.1 * (k + 1), session=f"s{k}", position=k)
    data = env.dataset()
    np.testing.assert_allclose(data.propensity, [0.1, 0.2, 0.3, 0.4])
    assert data.extras["session"].tolist() == ["s0", "s1", "s2", "s3"]
    assert data.round_id.tolist() == [0, 1, 3, 4]  # the reset in between took round 2: gaps are legal


def test_vector_rows_are_annotated_together() -> None:
    envs = RecordBanditDatasetVector(vectors(3, "native"))
    envs.reset(seed=0)
    for k in range(2):
        envs.step(np.array([1, 2, 3]))
        envs.annotate(propensity=np.array([0.2, 0.3, 0.4]) + k / 10)
    np.testing.assert_allclose(envs.dataset().propensity, [0.2, 0.3, 0.4, 0.3, 0.4, 0.5])
    with pytest.raises(ValueError, match="propensity: expected 3 values, one a row, got 2"):
        envs.annotate(propensity=[0.1, 0.2])


def test_a_forgotten_annotation_is_named_before_anything_is_played_and_nothing_is_lost() -> None:
    env = RecordBanditDataset(make())
    env.reset(seed=0)
    env.step(1)
    env.annotate(propensity=0.5)
    env.reset()
    env.step(2)
    env.reset()
    with pytest.raises(ValueError, match=r"propensity: known so far, unknown in the last row; annotate"):
        env.step(3)
    env.annotate(propensity=0.25)
    env.step(3)
    env.annotate(propensity=0.125)
    assert env.dataset().action.tolist() == [1, 2, 3]
    assert env.dataset().propensity.tolist() == [0.5, 0.25, 0.125]


def test_annotations_are_checked() -> None:
    env = RecordBanditDataset(make())
    with pytest.raises(ValueError, match="no pending round"):
        env.annotate(propensity=0.5)
    env.reset(seed=0)
    env.step(1)
    with pytest.raises(ValueError, match=r"propensity: expected values in \(0, 1\], got 0.0 in row 0"):
        env.annotate(propensity=0.0)
    env.annotate(propensity=0.5)
    assert env.dataset().propensity.tolist() == [0.5]
    policy = RecordBanditDataset(make(), logging_policy=Uniform())
    policy.reset(seed=0)
    policy.step(1)
    with pytest.raises(ValueError, match="comes from logging_policy already"):
        policy.annotate(propensity=0.5)


def test_doubled_keys_are_refused_before_they_are_played() -> None:
    env = RecordBanditDataset(make(), logging_policy=Uniform())
    env.reset(seed=0)
    env.act()
    env.reset(seed=0)
    with pytest.raises(ValueError, match="seed 0, round 0 is recorded already"):
        env.act()
    env.reset(seed=1)
    env.act()
    env.reset(seed=0, options={"round": 1})
    env.act()
    assert list(zip(env.dataset().seed, env.dataset().round_id, strict=True)) == [(0, 0), (1, 0), (0, 1)]


def test_an_action_of_propensity_zero_is_refused_and_not_played() -> None:
    env = RecordBanditDataset(make(), logging_policy=Restricted(Uniform(), np.arange(10) < 5))
    env.reset(seed=0)
    with pytest.raises(ValueError, match="action: 7 has probability 0 under the logging policy"):
        env.step(7)
    env.step(3)
    assert env.dataset().propensity.tolist() == [0.2]


def test_wrong_actions_are_still_the_environments_to_refuse() -> None:
    env = RecordBanditDataset(make(), logging_policy=Uniform())
    env.reset(seed=0)
    for wrong in (12, -1, "3", 1.5, None, np.array([1, 2])):
        with pytest.raises(ValueError, match="action: expected an integer in 0 … 9, got"):
            env.step(wrong)
    with pytest.raises(ValueError, match="no round is recorded yet"):
        env.dataset()
    env.step(2)
    with pytest.raises(ResetNeeded):
        env.step(2)


def test_closing_writes_the_folder_and_only_if_something_was_recorded(tmp_path) -> None:
    with RecordBanditDataset(make(), path=tmp_path / "empty") as env:
        env.reset(seed=0)
    assert not (tmp_path / "empty").exists()
    with RecordBanditDataset(make(), path=tmp_path / "log", logging_policy=preference()) as env:
        env.reset(seed=0)
        for _ in range(5):
            env.act()
            env.reset()
        recorded = env.dataset()
    env.close()  # twice is legal
    loaded = env.dataset().load()
    assert_same_rows(recorded.load(), loaded)
    assert len(loaded) == 5
    assert loaded.spec == json.loads(make().spec.to_json()) | {"additional_wrappers": []}


def test_an_interrupted_run_keeps_its_rows(tmp_path) -> None:
    def run() -> None:
        with RecordBanditDataset(make(), tmp_path / "log", Uniform()) as env:
            env.reset(seed=0)
            for _ in range(3):
                env.act()
                env.reset()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert len(BanditDataset.load(tmp_path / "log")) == 3


def test_a_last_row_without_its_annotation_is_left_out_with_a_warning(tmp_path) -> None:
    env = RecordBanditDataset(make(), tmp_path / "log")
    for k in range(3):
        env.reset(seed=0 if k == 0 else None)
        env.step(k)
        if k < 2:
            env.annotate(propensity=0.5)
    with pytest.warns(UserWarning, match="the last row is left out"):
        env.close()
    assert len(BanditDataset.load(tmp_path / "log")) == 2


def test_a_taken_path_is_refused_at_the_first_row(tmp_path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    env = RecordBanditDataset(make(), tmp_path, Uniform())
    env.reset(seed=0)
    with pytest.raises(FileExistsError, match="expected no file or an empty folder"):
        env.act()
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_the_policy_stays_out_of_the_spec(tmp_path) -> None:
    env = RecordBanditDataset(make(), path=tmp_path / "log", logging_policy=OracleUniform())
    spec = EnvSpec.from_json(env.spec.to_json())
    assert spec.additional_wrappers[0].kwargs == {"path": str(tmp_path / "log")}
    assert isinstance(gym.make(spec), RecordBanditDataset)


class OracleUniform(Uniform):
    def __deepcopy__(self, memo):
        raise AssertionError("the policy must not be copied into the spec")


def test_wrappers_that_change_rounds_are_recorded_as_seen() -> None:
    doubled = gym.wrappers.TransformReward(make(), lambda reward: 2 * reward)
    data = prompt_bandits.collect(doubled, Uniform(), 30, seed=1)
    plain = prompt_bandits.collect(make(), Uniform(), 30, seed=1)
    np.testing.assert_allclose(data.reward, 2 * plain.reward)
    np.testing.assert_array_equal(data.action, plain.action)


def test_injected_parts_are_stored_by_fingerprint() -> None:
    class Echo:
        def __init__(self, factor):
            self.factor = factor

        def generate(self, obs, action, rounds):
            return Output((self.factor * obs.query).astype(np.float32))

    specs = []
    for factor in (1.0, 1.0, 2.0):
        env = PromptBanditEnv(synthetic_simulator(SyntheticConfig(n_actions=3), llm=Echo(factor)))
        specs.append(prompt_bandits.collect(env, Uniform(), 3).spec)
    assert specs[0] == specs[1]
    assert specs[0]["parts"]["llm"] != specs[2]["parts"]["llm"]
    assert "Echo" in specs[0]["parts"]["llm"]
    json.dumps(specs[0])


def test_an_oracle_column_travels_apart() -> None:
    env = RecordBanditDataset(make(), logging_policy=Softmax(OracleScore(make().unwrapped.simulator)))
    env.reset(seed=0)
    *_, info = env.act()
    assert env.dataset().oracle["expected_reward"].tolist() == [info["expected_reward"]]


def test_a_wrapper_that_changes_actions_leaves_no_propensity_to_record() -> None:
    turned = gym.wrappers.TransformAction(make(), lambda action: 9 - action, gym.spaces.Discrete(10))
    env = RecordBanditDataset(turned, logging_policy=preference())
    env.reset(seed=0)
    with pytest.raises(ValueError, match="action: 3 was chosen but the environment took 6"):
        env.step(3)
    with pytest.raises(ValueError, match="no round is recorded yet"):
        env.dataset()
    env = RecordBanditDataset(turned)
    env.reset(seed=0)
    env.step(3)
    assert env.dataset().action.tolist() == [6]


def test_rescaled_points_are_refused_with_a_policy_and_recorded_as_taken_without() -> None:
    points = make(action_mode="embedding", n_actions=200)
    rescaled = gym.wrappers.RescaleAction(points, -1, 1)
    with pytest.raises(ValueError, match="but the environment took"):
        prompt_bandits.collect(rescaled, Uniform(), 50)
    env = RecordBanditDataset(rescaled)
    env.reset(seed=0)
    *_, info = env.step(np.zeros(5, dtype=np.float32))
    assert env.dataset().action.tolist() == [info["action"]]


def test_a_point_at_a_prompt_of_propensity_zero_is_refused_before_it_is_played() -> None:
    env = make(action_mode="embedding")
    recorder = RecordBanditDataset(env, logging_policy=Restricted(Uniform(), np.arange(10) < 5))
    recorder.reset(seed=0)
    with pytest.raises(ValueError, match="action: 7 has probability 0"):
        recorder.step(env.unwrapped.simulator.prompts.embedding[7])
    recorder.step(env.unwrapped.simulator.prompts.embedding[2])
    assert recorder.dataset().propensity.tolist() == [0.2]


def test_partial_resets_keep_every_places_keys() -> None:
    envs = RecordBanditDatasetVector(vectors(3, "sync Disabled", mask_rate=0.3), logging_policy=Uniform())
    envs.reset(seed=7)
    envs.act()
    envs.reset(options={"reset_mask": np.array([True, False, True])})
    envs.reset(options={"reset_mask": np.array([False, True, False])})
    envs.act()
    data = envs.dataset()
    keys = list(zip(data.seed.tolist(), data.round_id.tolist(), strict=True))
    assert keys == [(7, 0), (8, 0), (9, 0), (7, 1), (8, 1), (9, 1)]
    for i in range(3):
        alone = prompt_bandits.collect(SYNTHETIC, Uniform(), 2, seed=7 + i, n_actions=10, mask_rate=0.3)
        assert_same_rows(data.filter(lambda d, i=i: d.seed == 7 + i), alone)


def test_a_hand_built_async_vector_is_one_of_ours() -> None:
    envs = gym.vector.AsyncVectorEnv([lambda: make(split="test")] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
    recorder = RecordBanditDatasetVector(envs, logging_policy=preference())
    recorder.reset(seed=4)
    recorder.act()
    data = recorder.dataset()
    recorder.close()
    for i in range(2):
        alone = prompt_bandits.collect(SYNTHETIC, preference(), 1, seed=4 + i, n_actions=10, split="test")
        assert_same_rows(data.take(slice(i, i + 1)), alone)
        assert data.obs.prompts.same_as(alone.obs.prompts)
    assert data.spec["kwargs"] == {"n_actions": 10, "split": "test"}


@pytest.mark.parametrize("value", [{"a": 1}, None, np.zeros((2, 2)), [[1, 2], [3]], object()])
def test_only_numbers_texts_and_vectors_are_extras(value) -> None:
    env = RecordBanditDataset(make())
    env.reset(seed=0)
    env.step(1)
    with pytest.raises(ValueError, match="group: expected numbers or texts"):
        env.annotate(group=value)
    env.annotate(group="a", point=[1.0, 2.0])
    assert env.dataset().extras["point"].tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize(("first", "other"), [(1.0, "one"), ("one", 1), ([1.0, 2.0], [1.0, 2.0, 3.0]), ([1.0], 1.0)])
def test_an_extra_of_another_kind_is_named_before_anything_is_played(first, other, tmp_path) -> None:
    env = RecordBanditDataset(make(), tmp_path / "log")
    env.reset(seed=0)
    env.step(1)
    env.annotate(group=first)
    env.reset()
    env.step(2)
    env.annotate(group=other)
    env.reset()
    for refused in (lambda: env.step(3), env.dataset):
        with pytest.raises(ValueError, match=r"group: expected .* as in the rows so far"):
            refused()
    env.annotate(group=first)
    env.step(3)
    env.annotate(group=first)
    env.close()
    assert BanditDataset.load(tmp_path / "log").action.tolist() == [1, 2, 3]


def test_steps_after_the_close_are_refused(tmp_path) -> None:
    env = RecordBanditDataset(make(), tmp_path / "log", Uniform())
    env.reset(seed=0)
    env.act()
    env.close()
    env.reset()
    with pytest.raises(ValueError, match="this recorder is closed"):
        env.act()


def test_specs_tell_parts_apart_by_all_their_values() -> None:
    specs = [
        prompt_bandits.collect(
            synthetic_simulator(SyntheticConfig(mapping=m), llm=SyntheticConfig(mapping=m).build().llm), Uniform(), 2
        ).spec
        for m in ("linear", "trigonometric", "trigonometric")
    ]
    assert specs[0] != specs[1] == specs[2]
    config = SyntheticConfig(n_actions=4, world="published")
    assert prompt_bandits.collect(config.build(), Uniform(), 2).spec["recipe"]["state"]["world"] == "published"
