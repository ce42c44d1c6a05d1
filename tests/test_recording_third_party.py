"""Recording around environments that are not ours: keys, columns and episodes of several steps."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import prompt_bandits
from prompt_bandits import RecordBanditDataset, RecordBanditDatasetVector
from prompt_bandits.policies import Uniform


class Weather(gym.Env):
    """A third party's bandit: three actions, an observation that is not ours, no round ids."""

    observation_space = gym.spaces.Dict({"sky": gym.spaces.Discrete(4), "wind": gym.spaces.Box(0, 1, (2,))})
    action_space = gym.spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.obs = {"sky": int(self.np_random.integers(4)), "wind": self.np_random.random(2, dtype=np.float32)}
        return self.obs, {}

    def step(self, action):
        return self.obs, float(action == self.obs["sky"] % 3), True, False, {}


def test_a_third_partys_environment_is_recorded_flattened() -> None:
    env = RecordBanditDataset(Weather(), logging_policy=Uniform())
    env.reset(seed=5)
    for _ in range(20):
        env.act()
        env.reset()
    data = env.dataset()
    assert data.obs.context.shape == (20, 4 + 2)
    np.testing.assert_array_equal(data.obs.context[:, :4].sum(1), 1)
    np.testing.assert_array_equal(data.reward, data.action == data.obs.context[:, :4].argmax(1) % 3)
    assert data.round_id.tolist() == list(range(20))
    assert set(data.seed) == {5}
    np.testing.assert_allclose(data.propensity, 1 / 3)


def test_a_third_partys_observation_can_be_mapped() -> None:
    env = RecordBanditDataset(
        Weather(),
        logging_policy=Uniform(),
        mapping=lambda obs, info: {"context": obs["wind"], "user_id": obs["sky"]},
        prompts=prompt_bandits.Prompts.from_embedding(np.eye(3), text=["sun", "rain", "snow"]),
    )
    obs, _ = env.reset(seed=5)
    env.act()
    data = env.dataset()
    np.testing.assert_array_equal(data.obs.context[0], obs["wind"])
    assert data.obs.user_id.tolist() == [obs["sky"]]
    assert data.obs.prompts.text.tolist() == ["sun", "rain", "snow"]


def test_a_third_partys_vector_is_recorded() -> None:
    envs = gym.vector.SyncVectorEnv(
        [lambda: gym.wrappers.FlattenObservation(Weather())] * 3, autoreset_mode=AutoresetMode.SAME_STEP
    )
    envs = RecordBanditDatasetVector(envs, logging_policy=Uniform())
    envs.reset(seed=5)
    for _ in range(4):
        envs.act()
    data = envs.dataset()
    assert len(data) == 12
    np.testing.assert_array_equal(data.reward, data.action == data.obs.context[:, :4].argmax(1) % 3)
    assert sorted(set(zip(data.seed.tolist(), data.round_id.tolist(), strict=True))) == [
        (5 + i, k) for i in range(3) for k in range(4)
    ]


def test_continuous_actions_of_a_third_party_are_refused() -> None:
    with pytest.raises(ValueError, match="expected Discrete starting at 0"):
        RecordBanditDataset(gym.make("Pendulum-v1"))


class Walk(gym.Env):
    """A third party's episodes of `length` steps; who walks is told at the reset only."""

    observation_space = gym.spaces.Box(-10, 10, (1,))
    action_space = gym.spaces.Discrete(2)

    def __init__(self, length: int) -> None:
        self.length = length

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.user, self.steps = int(self.np_random.integers(1, 100)), 0
        return self._obs(), {"user_id": self.user}

    def step(self, action):
        self.steps += 1
        return self._obs(), float(self.user), self.steps == self.length, False, {}

    def _obs(self):
        return np.array([self.steps], dtype=np.float32)


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_episodes_of_several_steps_keep_what_the_reset_told(mode) -> None:
    envs = gym.vector.SyncVectorEnv([lambda: Walk(2), lambda: Walk(3)], autoreset_mode=mode)
    recorder = RecordBanditDatasetVector(envs, logging_policy=Uniform())
    recorder.reset(seed=0)
    for _ in range(12):
        recorder.act()
    data = recorder.dataset()
    np.testing.assert_array_equal(data.reward, data.obs.user_id)
    assert data.obs.context.max() == 2  # the steps of an episode before its last observation
    single = RecordBanditDataset(Walk(3), logging_policy=Uniform())
    for _ in range(3):
        single.reset()
        for _ in range(3):
            single.act()
    np.testing.assert_array_equal(single.dataset().reward, single.dataset().obs.user_id)
    assert single.dataset().round_id.tolist() == list(range(9))


def test_a_list_of_seeds_keys_a_third_partys_rounds() -> None:
    envs = gym.vector.SyncVectorEnv([lambda: Walk(1)] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
    recorder = RecordBanditDatasetVector(envs, logging_policy=Uniform())
    for seed in ([5, 50], [7, 70]):
        recorder.reset(seed=seed)
        recorder.act()
    assert recorder.dataset().seed.tolist() == [5, 50, 7, 70]
    recorder.reset(seed=[5, 50])
    with pytest.raises(ValueError, match="seed 5, round 0 is recorded already"):
        recorder.act()


def test_an_integer_mask_of_a_mapping_is_a_mask() -> None:
    env = RecordBanditDataset(
        Weather(),
        logging_policy=Uniform(),
        mapping=lambda obs, info: {"context": obs["wind"], "action_mask": np.array([0, 1, 1], dtype=np.int8)},
    )
    for _ in range(20):
        env.reset()
        env.act()
    assert env.dataset().obs.action_mask.dtype == bool
    assert set(env.dataset().action) == {1, 2}
