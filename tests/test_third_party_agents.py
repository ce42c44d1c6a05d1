"""Other people's agents run on the environments as they are."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from conftest import SYNTHETIC

from prompt_bandits import RecordBanditDataset

sb3 = pytest.importorskip("stable_baselines3")


@pytest.mark.slow
def test_ppo_learns_on_flattened_observations() -> None:
    env = gym.make(SYNTHETIC, n_actions=5, flatten_obs=True, output_noise=0.1, reward_std=0.1)
    simulator = env.unwrapped.simulator
    model = sb3.PPO("MlpPolicy", env, n_steps=256, batch_size=64, learning_rate=3e-3, gamma=0.0, seed=0)
    model.learn(8_000)
    obs = simulator.observe(simulator.oracle_rounds(1000))
    action, _ = model.predict(obs.features(), deterministic=True)
    assert simulator.optimality(np.eye(5)[action]) > 0.5


@pytest.mark.slow
def test_sac_runs_on_embedding_actions() -> None:
    env = gym.make(SYNTHETIC, n_actions=50, flatten_obs=True, action_mode="embedding")
    recorder = RecordBanditDataset(env)
    model = sb3.SAC("MlpPolicy", recorder, learning_starts=50, seed=0)
    model.learn(150)
    data = recorder.dataset()
    assert len(data) == 150
    assert len(np.unique(data.action)) > 5


@pytest.mark.slow
def test_ppo_propensities_are_annotated_from_a_callback() -> None:
    """PPO tells its log-probabilities only after step and reset."""
    from stable_baselines3.common.callbacks import BaseCallback

    recorder = RecordBanditDataset(gym.make(SYNTHETIC, n_actions=5, flatten_obs=True))

    class Annotate(BaseCallback):
        def _on_step(self) -> bool:
            recorder.annotate(propensity=float(self.locals["log_probs"].exp().item()))
            return True

    model = sb3.PPO("MlpPolicy", recorder, n_steps=64, batch_size=32, seed=0, learning_rate=0.0)
    model.learn(64, callback=Annotate())
    data = recorder.dataset()
    chosen_by = model.policy.get_distribution(model.policy.obs_to_tensor(data.obs.features())[0])
    probs = chosen_by.distribution.probs.detach().numpy()
    np.testing.assert_allclose(data.require_propensity(), probs[np.arange(64), data.action], rtol=1e-4)
