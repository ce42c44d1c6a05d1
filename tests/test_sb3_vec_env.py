"""Our native vector environment under Stable-Baselines3's interface."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from conftest import SYNTHETIC

import prompt_bandits
from prompt_bandits import RecordBanditDatasetVector
from prompt_bandits.policies import Uniform

sb3 = pytest.importorskip("stable_baselines3")
check_env = pytest.importorskip("stable_baselines3.common.env_checker").check_env
Monitor = sb3.common.monitor.Monitor
VecCheckNan = sb3.common.vec_env.VecCheckNan
VecMonitor = sb3.common.vec_env.VecMonitor
VecNormalize = sb3.common.vec_env.VecNormalize
adapters = pytest.importorskip("agents.integrations.stable_baselines3")
SameRounds = adapters.SameRounds
to_vec_env = adapters.to_vec_env


def made(num_envs: int = 3, **kwargs):
    return gym.make_vec(SYNTHETIC, num_envs=num_envs, **{"n_actions": 5, "flatten_obs": True, **kwargs})


@pytest.mark.parametrize("flatten_obs", [True, False])
def test_steps_are_those_of_the_vector_environment(flatten_obs) -> None:
    ours, theirs = made(flatten_obs=flatten_obs), to_vec_env(made(flatten_obs=flatten_obs))
    obs, _ = ours.reset(seed=7)
    theirs.seed(7)
    got = theirs.reset()
    for action in ([0, 1, 2], [4, 4, 0]):
        np.testing.assert_equal(got, obs)
        seen, (obs, reward, _, _, info) = obs, ours.step(np.array(action))
        got, got_reward, done, infos = theirs.step(np.array(action))
        np.testing.assert_allclose(got_reward, reward, rtol=1e-6)
        assert got_reward.dtype == np.float32
        assert done.all()
        for i, one in enumerate(infos):
            last = {k: v[i] for k, v in seen.items()} if isinstance(seen, dict) else seen[i]
            np.testing.assert_equal(one["terminal_observation"], last)
            assert one["TimeLimit.truncated"] is False
            assert one["action"] == action[i]
            assert one["round_id"] == info["final_info"]["round_id"][i]
            np.testing.assert_array_equal(one["output"], info["final_info"]["output"][i])
            assert theirs.reset_infos[i]["round_id"] == info["round_id"][i]


def test_a_vec_env_of_ours_plays_the_rounds_of_collect() -> None:
    recorder = RecordBanditDatasetVector(made(4))
    env = to_vec_env(recorder)
    env.seed(3)
    env.reset()
    log = prompt_bandits.collect(made(1).unwrapped.simulator, Uniform(), 8, seed=3)
    for step in range(2):
        env.step(log.action[4 * step : 4 * step + 4])
    np.testing.assert_array_equal(recorder.dataset().reward, log.reward)
    np.testing.assert_array_equal(recorder.dataset().obs.features(), log.obs.features())


def test_options_seek_a_round_once() -> None:
    env = to_vec_env(made())
    env.seed(0)
    env.set_options({"round": 30})
    env.reset()
    assert [info["round_id"] for info in env.reset_infos] == [30, 31, 32]
    env.reset()
    assert [info["round_id"] for info in env.reset_infos] == [33, 34, 35]


def test_masks_come_by_place_as_maskable_ppo_asks_for_them() -> None:
    vector = RecordBanditDatasetVector(made(mask_rate=0.5))
    env = VecMonitor(to_vec_env(vector))
    env.reset()
    masks = vector.unwrapped.action_masks()
    assert not masks.all()
    assert env.has_attr("action_masks")
    np.testing.assert_array_equal(np.stack(env.env_method("action_masks")), masks)
    np.testing.assert_array_equal(env.env_method("action_masks", indices=[2])[0], masks[2])
    np.testing.assert_array_equal(env.get_attr("action_masks")[1](), masks[1])


def test_attributes_are_those_of_the_one_environment() -> None:
    env = to_vec_env(made(render_mode="ansi"))
    env.reset()
    simulators = env.get_attr("simulator")
    assert len(simulators) == 3
    assert simulators[0] is simulators[2] is env.vector_env.unwrapped.simulator
    assert len(env.env_method("render", indices=[0, 1])) == 2
    assert env.render_mode == "ansi"
    assert not env.has_attr("nothing")
    env.set_attr("remark", "hello")
    assert env.get_attr("remark", 0) == ["hello"]
    assert env.env_is_wrapped(Monitor) == [False] * 3
    with pytest.raises(ValueError, match="expected all 3 places"):
        env.set_attr("remark", "hello", indices=[0])


@pytest.mark.parametrize("flatten_obs", [True, False])
def test_normalised_and_monitored_rounds_are_episodes_of_one_step(flatten_obs) -> None:
    env = VecNormalize(VecMonitor(VecCheckNan(to_vec_env(made(64, flatten_obs=flatten_obs)))), clip_obs=1.0)
    env.seed(0)
    env.reset()
    for _ in range(20):
        obs, reward, _, infos = env.step(np.zeros(64, dtype=int))
    raw = env.get_original_reward()
    np.testing.assert_allclose([info["episode"]["r"] for info in infos], raw, rtol=1e-6)
    assert {info["episode"]["l"] for info in infos} == {1}
    assert not np.allclose(reward, raw)
    for part in obs.values() if isinstance(obs, dict) else (obs,):
        assert np.abs(part).max() == 1


def test_same_rounds_start_over_at_every_reset() -> None:
    env = SameRounds(to_vec_env(made()), seed=11)
    first = env.reset()
    env.step(np.zeros(3, dtype=int))
    np.testing.assert_array_equal(env.reset(), first)


def test_what_stable_baselines_cannot_play_is_refused() -> None:
    with pytest.raises(TypeError, match=r"gym\.make_vec"):
        to_vec_env(gym.make(SYNTHETIC))
    synchronous = gym.make_vec(SYNTHETIC, num_envs=2, vectorization_mode="sync")
    with pytest.raises(ValueError, match="autoreset_mode: expected SAME_STEP"):
        to_vec_env(synchronous)
    with pytest.raises(ValueError, match="takes no texts"):
        to_vec_env(gym.make_vec("MovieDescription-v0", num_envs=2, n_actions=3, obs_mode="both"))


def test_sub_environments_of_a_third_party_in_same_step_mode_are_taken() -> None:
    mode = gym.vector.AutoresetMode.SAME_STEP
    env = to_vec_env(
        gym.vector.SyncVectorEnv([lambda: gym.make("CartPole-v1", max_episode_steps=3)] * 2, autoreset_mode=mode)
    )
    env.seed(0)
    env.reset()
    for _ in range(2):
        _, _, done, infos = env.step(np.array([0, 1]))
        assert not done.any()
        assert "terminal_observation" not in infos[0]
    obs, _, done, infos = env.step(np.array([0, 1]))
    assert done.all()
    assert infos[0]["TimeLimit.truncated"] is True
    assert not np.allclose(infos[0]["terminal_observation"], obs[0])


@pytest.mark.parametrize("flatten_obs", [True, False])
def test_stable_baselines_own_checker_likes_the_single_environment(flatten_obs) -> None:
    check_env(gym.make(SYNTHETIC, n_actions=5, flatten_obs=flatten_obs).unwrapped)
