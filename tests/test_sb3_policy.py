"""SB3 models as our policies, and ours as theirs."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from conftest import SYNTHETIC

import prompt_bandits
from prompt_bandits.policies import EpsilonGreedy, OracleScore, Softmax, Uniform
from prompt_bandits.testing import check_policy
from prompt_bandits.types import Observation

sb3 = pytest.importorskip("stable_baselines3")
evaluate_policy = sb3.common.evaluation.evaluate_policy
BaseFeaturesExtractor = sb3.common.torch_layers.BaseFeaturesExtractor
VecNormalize = sb3.common.vec_env.VecNormalize
adapters = pytest.importorskip("agents.integrations.stable_baselines3")
Predicts = adapters.Predicts
SB3Policy = adapters.SB3Policy
to_vec_env = adapters.to_vec_env


def vec_env(num_envs: int = 8, **kwargs):
    return to_vec_env(gym.make_vec(SYNTHETIC, num_envs=num_envs, **{"n_actions": 5, "flatten_obs": True, **kwargs}))


def rounds_of(env, n: int = 200):
    simulator = env.get_attr("simulator")[0]
    return simulator.observe(simulator.oracle_rounds(n))


def as_given(env, obs):
    return (
        {"context": obs.context, "query": obs.query} if len(env.observation_space.shape or ()) != 1 else obs.features()
    )


def drawn_by(model, env, obs, **kwargs):
    """The probabilities that the model's own distribution has."""
    tensor, _ = model.policy.obs_to_tensor(as_given(env, obs))
    with torch.no_grad():
        return model.policy.get_distribution(tensor, **kwargs).distribution.probs.numpy()


class Squares(BaseFeaturesExtractor):
    """A third party's extractor."""

    def __init__(self, space) -> None:
        super().__init__(space, features_dim=space.shape[0])

    def forward(self, x):
        return x**2


@pytest.mark.parametrize(
    ("algorithm", "policy", "flat", "policy_kwargs"),
    [
        ("PPO", "MlpPolicy", True, {}),
        ("A2C", "MultiInputPolicy", False, {"net_arch": [16], "activation_fn": torch.nn.ReLU}),
        ("PPO", "MlpPolicy", True, {"net_arch": []}),
        ("PPO", "MlpPolicy", True, {"features_extractor_class": Squares}),
    ],
)
def test_an_actor_critics_probabilities_are_those_it_draws_with(algorithm, policy, flat, policy_kwargs) -> None:
    env = vec_env(flatten_obs=flat)
    model = getattr(sb3, algorithm)(policy, env, n_steps=8, learning_rate=0.05, seed=0, policy_kwargs=policy_kwargs)
    model.learn(64)
    obs, ours = rounds_of(env), SB3Policy.of(model)
    np.testing.assert_allclose(ours.action_dist(obs), drawn_by(model, env, obs), atol=1e-6)
    check_policy(ours, obs)
    greedy, _ = model.predict(as_given(env, obs), deterministic=True)
    np.testing.assert_array_equal(EpsilonGreedy(ours).action_dist(obs).argmax(axis=1), greedy)


def test_a_policy_is_a_snapshot_of_a_model_that_learns_on() -> None:
    env = vec_env()
    model = sb3.PPO("MlpPolicy", env, n_steps=8, seed=0)
    obs, ours = rounds_of(env), SB3Policy.of(model)
    before = ours.action_dist(obs)
    model.learn(128)
    np.testing.assert_array_equal(ours.action_dist(obs), before)
    assert not np.allclose(SB3Policy.of(model).action_dist(obs), before)


def test_a_dqn_is_epsilon_greedy_in_its_values() -> None:
    env = vec_env()
    model = sb3.DQN("MlpPolicy", env, learning_starts=8, seed=0)
    model.learn(64)
    model.exploration_rate = 0.25
    obs = rounds_of(env)
    values = model.q_net(torch.as_tensor(obs.features())).detach().numpy()
    dist = np.full((200, 5), 0.05)
    dist[np.arange(200), values.argmax(axis=1)] = 0.8
    np.testing.assert_allclose(SB3Policy.of(model).action_dist(obs), dist)
    np.testing.assert_allclose(SB3Policy.of(model).scores(obs), values, rtol=1e-5)
    assert set(SB3Policy.of(model, epsilon=0).action_dist(obs).ravel()) == {0, 1}


def test_quantiles_count_by_their_mean() -> None:
    contrib = pytest.importorskip("sb3_contrib")
    env = vec_env()
    model = contrib.QRDQN("MlpPolicy", env, seed=0)
    obs = rounds_of(env)
    greedy, _ = model.predict(obs.features(), deterministic=True)
    np.testing.assert_array_equal(SB3Policy.of(model, epsilon=0).action_dist(obs).argmax(axis=1), greedy)


@pytest.mark.parametrize("flat", [True, False])
def test_a_maskable_ppos_probabilities_are_those_it_draws_with(flat) -> None:
    contrib = pytest.importorskip("sb3_contrib")
    env = vec_env(mask_rate=0.5, flatten_obs=flat)
    model = contrib.MaskablePPO("MlpPolicy" if flat else "MultiInputPolicy", env, n_steps=8, seed=0, learning_rate=0.05)
    model.learn(64)
    obs, ours = rounds_of(env), SB3Policy.of(model)
    expected = drawn_by(model, env, obs, action_masks=obs.action_mask)
    np.testing.assert_allclose(ours.action_dist(obs), expected, atol=1e-6)
    check_policy(ours, obs)


@pytest.mark.parametrize(("flat", "keys"), [(True, None), (False, None), (False, ["query"])])
def test_what_a_vec_normalize_does_to_observations_is_part_of_the_policy(flat, keys) -> None:
    env = VecNormalize(vec_env(flatten_obs=flat), clip_obs=0.7, norm_obs_keys=keys)
    model = sb3.PPO("MlpPolicy" if flat else "MultiInputPolicy", env, n_steps=8, seed=0)
    model.learn(96)
    obs = rounds_of(env)
    tensor, _ = model.policy.obs_to_tensor(env.normalize_obs(as_given(env, obs)))
    expected = model.policy.get_distribution(tensor).distribution.probs.detach().numpy()
    np.testing.assert_allclose(SB3Policy.of(model).action_dist(obs), expected, atol=1e-6)


def test_a_policy_is_saved_and_loaded_without_the_model(tmp_path) -> None:
    env = VecNormalize(vec_env())
    obs = rounds_of(env)
    for model in (sb3.PPO("MlpPolicy", env, seed=0), sb3.DQN("MlpPolicy", env, seed=0)):
        ours = SB3Policy.of(model)
        state = torch.random.get_rng_state()
        again = prompt_bandits.load(prompt_bandits.save(ours, tmp_path / type(model).__name__))
        assert torch.equal(torch.random.get_rng_state(), state)
        np.testing.assert_array_equal(again.action_dist(obs), ours.action_dist(obs))


def test_a_policy_with_layers_of_its_own_is_not_saved(tmp_path) -> None:
    model = sb3.PPO("MlpPolicy", vec_env(), policy_kwargs={"features_extractor_class": Squares})
    with pytest.raises(TypeError, match=r"keep it by model\.save"):
        prompt_bandits.save(SB3Policy.of(model), tmp_path)


def test_a_trained_model_can_log_for_collect(tmp_path) -> None:
    env = vec_env()
    ours = SB3Policy.of(sb3.A2C("MlpPolicy", env, seed=0))
    data = prompt_bandits.collect(env.get_attr("simulator")[0], ours, 50, path=tmp_path / "log")
    rows = data.load()
    expected = ours.action_dist(rows.obs)[np.arange(50), rows.action]
    np.testing.assert_allclose(rows.propensity, expected, rtol=1e-6)


def test_models_that_do_not_choose_among_prompts_are_refused() -> None:
    continuous = to_vec_env(gym.make_vec(SYNTHETIC, num_envs=2, flatten_obs=True, action_mode="embedding"))
    with pytest.raises(ValueError, match="action_mode='index'"):
        SB3Policy.of(sb3.PPO("MlpPolicy", continuous))
    with pytest.raises(ValueError, match="epsilon"):
        SB3Policy.of(sb3.PPO("MlpPolicy", vec_env()), epsilon=0.1)
    contrib = pytest.importorskip("sb3_contrib")
    with pytest.raises(ValueError, match="without memory"):
        SB3Policy.of(contrib.RecurrentPPO("MlpLstmPolicy", vec_env()))


def test_rounds_of_another_environment_are_refused() -> None:
    ours = SB3Policy.of(sb3.PPO("MlpPolicy", vec_env()))
    with pytest.raises(ValueError, match="expected 10 features a round"):
        ours.action_dist(rounds_of(vec_env(dim_context=6)))
    with pytest.raises(ValueError, match="expected 5 prompts"):
        ours.action_dist(rounds_of(vec_env(n_actions=6)))


@pytest.mark.parametrize("flat", [True, False])
def test_our_policies_predict(flat) -> None:
    env = vec_env(flatten_obs=flat)
    env.seed(0)
    batch = env.reset()
    policy = Softmax(OracleScore(env.get_attr("simulator")[0]), beta=2.0)
    ours = Predicts(policy, env)
    greedy, state = ours.predict(batch, deterministic=True)
    assert greedy.shape == (8,)
    assert state is None
    draws = np.stack([ours.predict(batch)[0] for _ in range(2000)])
    halves = (batch[:, :5], batch[:, 5:]) if flat else (batch["context"], batch["query"])
    dist = policy.action_dist(Observation(halves[0], ours.simulator.prompts, halves[1]))
    np.testing.assert_array_equal(greedy, dist.argmax(axis=1))
    np.testing.assert_allclose((draws[..., None] == np.arange(5)).mean(axis=0), dist, atol=0.05)
    one = batch[2] if flat else {name: column[2] for name, column in batch.items()}
    assert ours.predict(one, deterministic=True)[0] == greedy[2]
    assert np.shape(ours.predict(one)[0]) == ()


def test_evaluate_policy_gives_our_policies_their_value() -> None:
    env = vec_env(500, reward_std=0.1)
    simulator = env.get_attr("simulator")[0]
    env.seed(5)
    for policy, deterministic in ((Uniform(), False), (EpsilonGreedy(OracleScore(simulator)), True)):
        rewards, lengths = evaluate_policy(
            Predicts(policy, env), env, 4000, deterministic=deterministic, return_episode_rewards=True, warn=False
        )
        assert set(lengths) == {1}
        error = np.std(rewards) / np.sqrt(4000)
        assert abs(np.mean(rewards) - simulator.policy_value(policy).value) < 4 * error


def test_masks_of_maskable_evaluation_are_obeyed() -> None:
    pytest.importorskip("sb3_contrib")
    from sb3_contrib.common.maskable.evaluation import evaluate_policy as evaluate_masked

    env = vec_env(mask_rate=0.5)
    mean, _ = evaluate_masked(Predicts(Uniform(), env), env, 400, deterministic=False, warn=False)
    assert np.isfinite(mean)  # a masked prompt would have been refused


def test_an_environment_without_prompts_of_ours_is_refused() -> None:
    with pytest.raises(ValueError, match="an environment of ours"):
        Predicts(Uniform(), gym.make("CartPole-v1"))
