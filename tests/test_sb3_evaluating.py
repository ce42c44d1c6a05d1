"""Settings for one-step episodes, and judging a model while it learns."""

from __future__ import annotations

import csv

import gymnasium as gym
import numpy as np
import pytest
from conftest import SYNTHETIC

from prompt_bandits.policies import EpsilonGreedy

sb3 = pytest.importorskip("stable_baselines3")
VecMonitor = sb3.common.vec_env.VecMonitor
adapters = pytest.importorskip("agents.integrations.stable_baselines3")
PolicyValueCallback = adapters.PolicyValueCallback
SB3Policy = adapters.SB3Policy
eval_callback = adapters.eval_callback
log_interval = adapters.log_interval
one_step_arguments = adapters.one_step_arguments
to_vec_env = adapters.to_vec_env


def vector(num_envs: int, **kwargs):
    return gym.make_vec(SYNTHETIC, num_envs=num_envs, n_actions=5, flatten_obs=True, **kwargs)


def ppo(num_envs: int = 16, **kwargs):
    env = VecMonitor(to_vec_env(vector(num_envs)))
    return sb3.PPO("MlpPolicy", env, n_steps=4, batch_size=32, seed=0, **{**one_step_arguments(), **kwargs})


class Calls(sb3.common.callbacks.BaseCallback):
    """Calls a function of nothing after every step."""

    def __init__(self, called) -> None:
        super().__init__()
        self.called = called

    def _on_step(self) -> bool:
        self.called()
        return True


def test_discount_and_lambda_change_nothing_where_episodes_are_one_step() -> None:
    weights = []
    for arguments in ({"gamma": 0.0, "gae_lambda": 0.0}, {"gamma": 0.99, "gae_lambda": 0.95}):
        model = ppo(**arguments)
        model.learn(256)
        weights.append(np.concatenate([w.detach().numpy().ravel() for w in model.policy.parameters()]))
    np.testing.assert_array_equal(*weights)


def test_the_mean_reward_is_over_the_whole_window() -> None:
    model = ppo(**one_step_arguments(window=96))
    rewards = []
    model.learn(128, callback=lambda found, _: rewards.extend(found["rewards"]) or True)
    logged = [episode["r"] for episode in model.ep_info_buffer]
    np.testing.assert_allclose(logged, rewards[-96:], rtol=1e-6)
    assert one_step_arguments()["stats_window_size"] == 5000


def test_logs_come_every_so_many_rounds() -> None:
    assert log_interval(ppo(16), every=640) == 10
    assert log_interval(ppo(16), every=1) == 1
    assert log_interval(sb3.DQN("MlpPolicy", to_vec_env(vector(4)))) == 10_000
    with pytest.raises(ValueError, match="every"):
        log_interval(ppo(16), every=0)


def test_evaluations_play_the_same_rounds_and_say_the_value() -> None:
    evaluations = eval_callback(vector(200), num_envs=16, every=64, rounds=1000)
    model = ppo(learning_rate=0.0)
    found = []
    model.learn(192, callback=[evaluations, Calls(lambda: found.append(evaluations.last_mean_reward))])
    assert [np.isfinite(value) for value in found] == [i >= 3 for i in range(12)]  # every 4 steps of 16
    assert len(set(found)) == 2  # none yet, and thrice the same: nothing was learnt, the rounds are the same
    truth = model.get_env().get_attr("simulator")[0].policy_value(EpsilonGreedy(SB3Policy.of(model)))
    assert abs(found[-1] - truth.value) < 4 * 1.2 / np.sqrt(1000)


def test_an_evaluation_keeps_model_and_results_where_it_is_told(tmp_path) -> None:
    evaluations = eval_callback(vector(50), num_envs=16, every=64, rounds=100, path=tmp_path)
    ppo().learn(128, callback=evaluations)
    assert np.load(tmp_path / "evaluations.npz")["results"].shape == (2, 100)
    assert isinstance(sb3.PPO.load(tmp_path / "best_model"), sb3.PPO)


def test_the_exact_value_is_logged_along_the_way(tmp_path) -> None:
    told = []
    model = ppo()
    model.set_logger(sb3.common.logger.configure(str(tmp_path), ["csv"]))
    simulator = model.get_env().get_attr("simulator")[0]
    callback = PolicyValueCallback(simulator, every=64, n=500, told=lambda *found: told.append(found))
    model.learn(128, callback=callback)
    assert [rounds for rounds, *_ in told] == [64, 128]
    with (tmp_path / "progress.csv").open() as logged:
        rows = list(csv.DictReader(logged))
    assert [float(row["eval/policy_value"]) for row in rows] == [value for _, value, _ in told]
    assert told[0][1] != told[1][1]
    again = ppo(learning_rate=0.0)
    again.learn(64, callback=PolicyValueCallback(simulator, every=64, n=500, told=lambda *found: told.append(found)))
    assert told[-1][1] == pytest.approx(simulator.policy_value(SB3Policy.of(again), 500).value)
    assert told[-1][2] == pytest.approx(simulator.optimality(SB3Policy.of(again), 500))
