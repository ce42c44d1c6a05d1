"""Reward models and densities: that they learn what they should, on data whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from agents.callbacks import History
from agents.density import DensityTraining, MonteCarloDensity, fit_density_model
from agents.kernels import OutputKernel
from agents.logging_policies import published_logging_policy
from agents.reward_models import RewardTraining, fit_action_reward_model, fit_output_reward_model
from prompt_bandits import BanditDataset, collect
from prompt_bandits.policies import OracleScore, Softmax, Uniform
from prompt_bandits.synthetic import SyntheticConfig


@pytest.fixture(scope="module")
def easy():
    """Little noise, few prompts: a reward model can get close."""
    simulator = SyntheticConfig(n_actions=5, output_noise=0.1, reward_std=0.1, mapping="linear").build()
    return simulator, collect(simulator, Uniform(), 4000)


def test_a_reward_model_by_action_approaches_the_truth(easy) -> None:
    simulator, data = easy
    model = fit_action_reward_model(data, RewardTraining(steps=1500, patience=None), seed=0)
    fresh = simulator.observe(simulator.oracle_rounds(500))
    truth = simulator.action_values(fresh).value
    q_hat = model.scores(fresh)
    assert np.corrcoef(q_hat.ravel(), truth.ravel())[0, 1] > 0.95
    given = np.arange(500) % 5
    np.testing.assert_allclose(model.predict(fresh, given), q_hat[np.arange(500), given], rtol=1e-4, atol=1e-4)


def test_a_reward_model_by_output_approaches_the_truth(easy) -> None:
    simulator, data = easy
    model = fit_output_reward_model(data, RewardTraining(steps=1500, patience=None), seed=0)
    fresh = collect(simulator, Uniform(), 500, seed=1)
    predicted = model.predict(fresh.obs, fresh.require_output())
    assert np.corrcoef(predicted, fresh.oracle["expected_reward"])[0, 1] > 0.95


def test_reward_models_depend_on_their_seed_only(easy) -> None:
    _, data = easy
    training = RewardTraining(steps=30, patience=None)
    torch.manual_seed(1)
    a = fit_action_reward_model(data, training, seed=3).scores(data.obs.take(slice(0, 5)))
    torch.manual_seed(2)
    b = fit_action_reward_model(data, training, seed=3).scores(data.obs.take(slice(0, 5)))
    c = fit_action_reward_model(data, training, seed=4).scores(data.obs.take(slice(0, 5)))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_reward_models_are_validated_on_held_out_rounds(easy) -> None:
    _, data = easy
    history = History()
    fit_action_reward_model(data, RewardTraining(steps=100, log_every=50), seed=0, callback=history)
    assert all("validation" in log for log in history.logs)


def test_the_wrong_features_are_named(easy) -> None:
    _, data = easy
    model = fit_output_reward_model(data, RewardTraining(steps=1, patience=None), seed=0)
    with pytest.raises(ValueError, match=r"features: expected shape \(4000, 5\), got \(4000, 2\)"):
        model.predict(data.obs, np.zeros((4000, 2), np.float32))


def test_published_settings_are_the_published_ones() -> None:
    training = RewardTraining.published()
    assert (training.optimizer, training.lr, training.weight_decay) == ("Adam", 1e-4, 0.0)
    assert (training.steps, training.batch_size, training.hidden) == (100_000, 32, 100)
    density = DensityTraining()
    assert (density.lr, density.steps, density.batch_size) == (1e-4, 10_000, 32)
    assert OutputKernel() == OutputKernel("gaussian", tau=1.0, emb_noise=1.0)


def test_the_logging_policy_is_a_softmax_of_a_reward_model(simulator) -> None:
    policy = published_logging_policy(simulator, beta=0.5, n=500, training=RewardTraining(steps=50, patience=None))
    assert isinstance(policy, Softmax)
    assert policy.beta == 0.5
    obs = simulator.observe(simulator.rounds(0, 0, 3))
    expected = np.exp(0.5 * policy.score.scores(obs).astype(float))
    np.testing.assert_allclose(policy.action_dist(obs), expected / expected.sum(1, keepdims=True), rtol=1e-5)


def exact_density(simulator, policy, data: BanditDataset, tau: float, emb_noise: float, m: int = 20_000) -> np.ndarray:
    """E[K] by brute force in NumPy, independent of the library's density code."""
    generator = np.random.default_rng(0)
    obs = data.obs
    outputs = simulator.llm.output_distribution(obs)
    dist = policy.action_dist(obs)
    dim = outputs.shift.shape[1]
    out = []
    for i in range(len(data)):
        action = generator.choice(obs.n_actions, size=m, p=dist[i] / dist[i].sum())
        drawn = outputs.shift[i] + outputs.prompt[action] + generator.normal(size=(m, dim)) * np.sqrt(outputs.variance)
        noisy = data.output.embedding[i] - drawn + emb_noise * np.sqrt(2) * generator.normal(size=(m, dim))
        distance = np.linalg.norm(noisy, axis=1) / dim
        out.append(np.mean(np.exp(-(distance**2) / (2 * tau**2)) / np.sqrt(2 * np.pi * tau**2)))
    return np.array(out)


def test_both_densities_approach_the_exact_one() -> None:
    simulator = SyntheticConfig(n_actions=20).build()
    policy = Softmax(OracleScore(simulator))
    data = collect(simulator, policy, 2000)
    some = data.take(slice(0, 100))
    truth = exact_density(simulator, policy, some, tau=2.0, emb_noise=1.0)
    kernel = OutputKernel(tau=2.0)
    training = DensityTraining(steps=8000, lr=3e-3, batch_size=128)
    sampled = MonteCarloDensity(simulator, policy, kernel, n_outputs=4000).density(some.obs, some.require_output())
    np.testing.assert_allclose(sampled, truth, rtol=0.15, atol=0.003)
    model = fit_density_model(data, simulator, training, kernel=kernel, seed=0)
    fitted = model.density(some.obs, some.require_output())
    assert (fitted > 0).all()
    assert np.corrcoef(fitted, truth)[0, 1] > 0.75
    assert fitted.mean() == pytest.approx(truth.mean(), rel=0.1)


def test_a_density_needs_one_logging_policy_and_outputs(simulator) -> None:
    data = collect(simulator, Uniform(), 20)
    both = BanditDataset.concat([data, collect(simulator, Softmax(OracleScore(simulator)), 20, seed=1)])
    with pytest.raises(ValueError, match="logging_policy: expected a dataset that carries exactly one, got 2"):
        fit_density_model(both, simulator, seed=0)
    bare = BanditDataset(data.obs, data.action, data.reward)
    with pytest.raises(ValueError, match="output: no embeddings"):
        fit_density_model(bare, simulator, seed=0)


def test_the_two_outputs_of_a_pair_share_no_noise() -> None:
    """Were they drawn with the same rounds, distances would be too small and the density too large."""
    simulator = SyntheticConfig(n_actions=1, output_noise=3.0).build()
    data = collect(simulator, Uniform(), 500)
    training = DensityTraining(steps=3000, lr=1e-3, batch_size=128)
    kernel = OutputKernel(emb_noise=0.0)
    fitted = fit_density_model(data, simulator, training, kernel=kernel, seed=0).density(
        data.obs, data.require_output()
    )
    truth = exact_density(simulator, Uniform(), data.take(slice(0, 100)), tau=1.0, emb_noise=0.0, m=4000)
    assert fitted[:100].mean() == pytest.approx(truth.mean(), rel=0.1)
