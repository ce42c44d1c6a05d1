"""Recorded training: every round has the probability that the model played it with."""

from __future__ import annotations

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
from conftest import SYNTHETIC

from prompt_bandits import RecordBanditDataset, RecordBanditDatasetVector

sb3 = pytest.importorskip("stable_baselines3")
BaseCallback = sb3.common.callbacks.BaseCallback
VecNormalize = sb3.common.vec_env.VecNormalize
adapters = pytest.importorskip("agents.integrations.stable_baselines3")
RecordingCallback = adapters.RecordingCallback
SB3Policy = adapters.SB3Policy
to_vec_env = adapters.to_vec_env


def recorder_of(num_envs: int = 8, path=None, **kwargs) -> RecordBanditDatasetVector:
    settings = {"n_actions": 5, "flatten_obs": True, **kwargs}
    return RecordBanditDatasetVector(gym.make_vec(SYNTHETIC, num_envs=num_envs, **settings), path)


class Snapshots(BaseCallback):
    """The policy that each step was played with: the model learns between steps, never during one."""

    def __init__(self) -> None:
        super().__init__()
        self.policies = []

    def _on_step(self) -> bool:
        warm = getattr(self.model, "learning_starts", 0) > self.num_timesteps - self.model.n_envs
        self.policies.append(SB3Policy.of(self.model, epsilon=1.0) if warm else SB3Policy.of(self.model))
        return True


def expected_propensities(data, policies) -> np.ndarray:
    n = len(data) // len(policies)
    dists = [policy.action_dist(data.obs.take(slice(i * n, i * n + n))) for i, policy in enumerate(policies)]
    return np.concatenate(dists)[np.arange(len(data)), data.action]


@pytest.mark.parametrize(
    ("algorithm", "settings"),
    [
        ("PPO", {"n_steps": 4, "batch_size": 32, "learning_rate": 0.05}),
        ("A2C", {"n_steps": 2, "learning_rate": 0.05}),
        ("DQN", {"learning_starts": 24, "train_freq": 1, "learning_rate": 0.05, "exploration_fraction": 0.9}),
    ],
)
def test_the_logged_propensity_is_that_of_the_policy_of_the_step(algorithm, settings) -> None:
    recorder, snapshots = recorder_of(), Snapshots()
    model = getattr(sb3, algorithm)("MlpPolicy", to_vec_env(recorder), seed=0, **settings)
    model.learn(160, callback=[RecordingCallback(recorder), snapshots])
    data = recorder.dataset()
    assert len(data) == 160
    np.testing.assert_allclose(data.propensity, expected_propensities(data, snapshots.policies), rtol=1e-5)
    assert len(np.unique(data.propensity.round(6))) > 2
    np.testing.assert_array_equal(data.extras["step"], np.arange(160) // 8)


def test_a_dqns_warm_up_is_uniform() -> None:
    recorder = recorder_of(4)
    model = sb3.DQN(
        "MlpPolicy", to_vec_env(recorder), learning_starts=10, train_freq=1, exploration_initial_eps=0.3, seed=0
    )
    model.learn(40, callback=RecordingCallback(recorder))
    propensity = recorder.dataset().propensity.reshape(10, 4)
    np.testing.assert_allclose(propensity[:3], 0.2)  # 0, 4 and 8 rounds are fewer than 10
    assert not np.isclose(propensity[3:], 0.2).any()


def test_maskable_ppo_is_recorded_with_masks_and_masked_probabilities() -> None:
    contrib = pytest.importorskip("sb3_contrib")
    recorder, snapshots = recorder_of(mask_rate=0.5), Snapshots()
    model = contrib.MaskablePPO("MlpPolicy", to_vec_env(recorder), n_steps=4, batch_size=32, seed=0)
    model.learn(128, callback=[RecordingCallback(recorder), snapshots])
    data = recorder.dataset()
    assert data.obs.action_mask[np.arange(128), data.action].all()
    np.testing.assert_allclose(data.propensity, expected_propensities(data, snapshots.policies), rtol=1e-5)


def test_raw_rounds_are_recorded_under_normalisation() -> None:
    recorder, snapshots = recorder_of(), Snapshots()
    env = VecNormalize(to_vec_env(recorder))
    env.seed(0)
    env.reset()
    first = SB3Policy.of(sb3.DQN("MlpPolicy", env)).standardising
    env = VecNormalize(to_vec_env(recorder))
    model = sb3.DQN("MlpPolicy", env, learning_starts=0, train_freq=1, exploration_initial_eps=0.5, seed=0)
    model.learn(80, callback=[RecordingCallback(recorder), snapshots])
    data = recorder.dataset()
    simulator = env.get_attr("simulator")[0]
    np.testing.assert_array_equal(data.obs.context, simulator.observe(simulator.rounds(0, 0, 80)).context)
    shown = [first, *(policy.standardising for policy in snapshots.policies)]  # a step moves the statistics after it
    policies = [replace(p, standardising=own) for p, own in zip(snapshots.policies, shown[:-1], strict=True)]
    np.testing.assert_allclose(data.propensity, expected_propensities(data, policies), rtol=1e-5)


def test_a_recorded_folder_holds_all_rounds_of_a_training(tmp_path) -> None:
    recorder = recorder_of(path=tmp_path / "log")
    model = sb3.PPO("MlpPolicy", to_vec_env(recorder), n_steps=8, seed=0)
    model.learn(64, callback=RecordingCallback(recorder))
    model.learn(64, callback=RecordingCallback(recorder), reset_num_timesteps=False)
    recorder.close()
    data = recorder.dataset()
    assert len(data) == 128
    rows = data.load()
    assert rows.propensity.min() > 0
    np.testing.assert_array_equal(rows.extras["step"], np.arange(128) // 8)


def test_a_single_recorded_environment_is_annotated_too() -> None:
    recorder = RecordBanditDataset(gym.make(SYNTHETIC, n_actions=5, flatten_obs=True))
    model = sb3.PPO("MlpPolicy", recorder, n_steps=16, batch_size=8, seed=0, learning_rate=0.0)
    model.learn(32, callback=RecordingCallback(recorder))
    data = recorder.dataset()
    expected = SB3Policy.of(model).action_dist(data.obs)[np.arange(32), data.action]
    np.testing.assert_allclose(data.propensity, expected, rtol=1e-5)


def test_ips_of_a_recorded_training_is_unbiased_for_a_fixed_policy() -> None:
    """The policy of the log changes as it learns; the weights make up for it."""
    recorder = recorder_of(64, reward_std=0.1)
    model = sb3.DQN("MlpPolicy", to_vec_env(recorder), learning_starts=0, exploration_fraction=1.0, seed=1)
    model.learn(6400, callback=RecordingCallback(recorder))
    data = recorder.dataset()
    terms = (data.action == 3) / data.propensity * data.reward
    by_step = terms.reshape(-1, 64).mean(axis=1)  # rows of a step explore together
    truth = model.get_env().get_attr("simulator")[0].policy_value(_Always(3)).value
    assert abs(terms.mean() - truth) < 4 * by_step.std() / np.sqrt(len(by_step))


class _Always:
    def __init__(self, action: int) -> None:
        self.action = action

    def action_dist(self, obs):
        return np.eye(obs.n_actions)[np.full(len(obs), self.action)]


def test_algorithms_of_unknown_probabilities_are_refused() -> None:
    recorder = RecordBanditDatasetVector(
        gym.make_vec(SYNTHETIC, num_envs=2, flatten_obs=True, action_mode="embedding", n_actions=5)
    )
    for model in (sb3.SAC("MlpPolicy", to_vec_env(recorder)), sb3.PPO("MlpPolicy", to_vec_env(recorder), n_steps=4)):
        with pytest.raises(ValueError, match="expected Discrete actions"):
            model.learn(8, callback=RecordingCallback(recorder))


def test_a_recorder_elsewhere_is_refused() -> None:
    model = sb3.PPO("MlpPolicy", to_vec_env(recorder_of()), n_steps=4)
    with pytest.raises(ValueError, match="around the training environment"):
        model.learn(8, callback=RecordingCallback(recorder_of()))
