"""The native vector environment, and ours under Gymnasium's own."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from conftest import SYNTHETIC
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import DictInfoToList, RecordEpisodeStatistics
from packaging.version import Version

import prompt_bandits
from prompt_bandits.env import PromptBanditVectorEnv
from prompt_bandits.policies import Uniform
from prompt_bandits.synthetic import SyntheticConfig, synthetic_simulator


def native(num_envs: int, **kwargs):
    return gym.make_vec(SYNTHETIC, num_envs=num_envs, **({"n_actions": 10} | kwargs))


def test_make_vec_takes_the_native_one_with_same_step() -> None:
    envs = native(4)
    assert isinstance(envs.unwrapped, PromptBanditVectorEnv)
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert envs.observation_space.contains(envs.reset(seed=0)[0])


@pytest.mark.parametrize("num_envs", [1, 3, 1000, 1024, 1500])
@pytest.mark.parametrize("kwargs", [{}, {"reward_type": "binary"}, {"flatten_obs": True}, {"mask_rate": 0.3}], ids=str)
def test_every_batch_size_gives_the_rows_of_collect(num_envs, kwargs) -> None:
    data = prompt_bandits.collect(SYNTHETIC, Uniform(), 3000, seed=2, n_actions=10, **kwargs)
    envs = native(num_envs, **kwargs)
    envs.reset(seed=2)
    for start in range(0, 3000 - num_envs, num_envs)[:6]:
        rows = slice(start, start + num_envs)
        _, reward, terminated, truncated, info = envs.step(data.action[rows])
        final = info["final_info"]
        np.testing.assert_array_equal(reward, data.reward[rows])
        np.testing.assert_array_equal(final["output"], data.output.embedding[rows])
        np.testing.assert_array_equal(final["round_id"], data.round_id[rows])
        assert terminated.all()
        assert not truncated.any()


def test_a_step_shows_the_new_rounds_and_keeps_the_finished_ones_apart() -> None:
    envs = native(3)
    first, info = envs.reset(seed=0)
    assert info["round_id"].tolist() == [0, 1, 2]
    second, _, _, _, info = envs.step(np.array([1, 2, 3]))
    assert info["round_id"].tolist() == [3, 4, 5]
    assert info["final_info"]["round_id"].tolist() == [0, 1, 2]
    assert info["final_info"]["action"].tolist() == [1, 2, 3]
    for name in first:
        np.testing.assert_array_equal(info["final_obs"][name], first[name])
        assert not np.array_equal(second[name], first[name])
        assert not np.shares_memory(info["final_obs"][name], first[name])


def test_a_reset_consumes_num_envs_rounds_and_seeks() -> None:
    envs = native(3)
    envs.reset(seed=0)
    assert envs.reset()[1]["round_id"].tolist() == [3, 4, 5]
    assert envs.reset(options={"round": 1023})[1]["round_id"].tolist() == [1023, 1024, 1025]
    with pytest.raises(ValueError, match="one integer for the whole vector environment"):
        envs.reset(seed=[1, 2, 3])


def test_gymnasiums_vector_wrappers_understand_the_infos() -> None:
    envs = RecordEpisodeStatistics(native(3))
    envs.reset(seed=0)
    _, reward, _, _, info = envs.step(np.zeros(3, dtype=np.int64))
    np.testing.assert_allclose(info["episode"]["r"], reward)
    assert info["episode"]["l"].tolist() == [1, 1, 1]


@pytest.mark.skipif(Version(gym.__version__) < Version("1.2.3"), reason="DictInfoToList wanted a mask for every entry")
def test_gymnasium_makes_a_list_of_the_infos() -> None:
    listed = DictInfoToList(native(3))
    _, infos = listed.reset(seed=0)
    assert [one["round_id"] for one in infos] == [0, 1, 2]
    *_, infos = listed.step(np.zeros(3, dtype=np.int64))
    assert [one["final_info"]["round_id"] for one in infos] == [0, 1, 2]


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_under_gymnasiums_vectors_sub_environment_i_is_a_single_one_with_seed_plus_i(mode) -> None:
    envs = gym.make_vec(SYNTHETIC, num_envs=3, vectorization_mode=mode, n_actions=10)
    obs, info = envs.reset(seed=7)
    _, reward, *_ = envs.step(np.array([1, 2, 3]))
    envs.close()
    assert info["seed"].tolist() == [7, 8, 9]
    for i in range(3):
        single = gym.make(SYNTHETIC, n_actions=10)
        alone, _ = single.reset(seed=7 + i)
        np.testing.assert_array_equal(alone["context"], obs["context"][i])
        assert single.step(1 + i)[1] == reward[i]


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (np.array([1, 2]), r"expected shape \(3,\), got \(2,\)"),
        (np.array([1.0, 2.0, 3.0]), "expected integers, got float64"),
        (np.array([1, 2, 10]), "expected integers in 0 … 9, got 1 … 10"),
        (np.array([-1, 2, 3]), "expected integers in 0 … 9, got -1 … 3"),
    ],
)
def test_wrong_actions_are_named_and_cost_nothing(actions, message) -> None:
    envs = native(3)
    envs.reset(seed=0)
    with pytest.raises(ValueError, match=message):
        envs.step(actions)
    assert envs.step(np.zeros(3, dtype=np.int64))[4]["final_info"]["round_id"].tolist() == [0, 1, 2]


def test_masked_actions_name_their_row() -> None:
    envs = native(3, mask_rate=0.5)
    _, info = envs.reset(seed=0)
    masks = envs.unwrapped.action_masks()
    np.testing.assert_array_equal(info["action_mask"], masks)
    actions = masks.argmax(axis=1)
    actions[1] = masks[1].argmin()
    with pytest.raises(ValueError, match="in row 1"):
        envs.step(actions)


def test_points_in_embedding_space_batch() -> None:
    envs = native(4, action_mode="embedding", n_actions=30)
    embedding = envs.unwrapped.simulator.prompts.embedding
    envs.reset(seed=0)
    *_, info = envs.step(embedding[[3, 1, 29, 0]])
    assert info["final_info"]["action"].tolist() == [3, 1, 29, 0]


def test_step_needs_reset_and_num_envs_is_checked() -> None:
    with pytest.raises(ResetNeeded):
        native(2).step(np.zeros(2, dtype=np.int64))
    with pytest.raises(ValueError, match="num_envs"):
        PromptBanditVectorEnv(SyntheticConfig(n_actions=3).build(), 0)


def test_cards_of_all_rounds() -> None:
    envs = native(2, render_mode="ansi")
    assert envs.render() is None
    envs.reset(seed=0)
    assert ["reward" in card for card in envs.render()] == [False, False]
    envs.step(np.array([1, 2]))
    assert ["reward" in card for card in envs.render()] == [True, True]


def test_a_failed_observation_of_the_next_rounds_leaves_these_open() -> None:
    simulator = SyntheticConfig(n_actions=3).build()

    class Flaky:
        failures = 0

        def observe(self, rounds, prompts):
            if Flaky.failures:
                Flaky.failures -= 1
                raise ConnectionError("no users")
            return simulator.source.observe(rounds, prompts)

    envs = PromptBanditVectorEnv(synthetic_simulator(SyntheticConfig(n_actions=3), source=Flaky()), 1500)
    envs.reset(seed=0)
    Flaky.failures = 1
    with pytest.raises(ConnectionError):
        envs.step(np.zeros(1500, dtype=np.int64))
    final = envs.step(np.zeros(1500, dtype=np.int64))[4]["final_info"]
    assert final["round_id"][0] == 0
