"""Online baselines: updates worked out by hand, what Thompson sampling draws, and what runs earn and miss."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from scipy.stats import norm

import prompt_bandits
from agents.callbacks import History
from agents.online import (
    Band,
    LinEpsilonGreedy,
    LinTS,
    LinUCB,
    OnlineLearner,
    play_online,
    play_seeds,
    plot_bands,
)
from agents.testing import identity_bandit
from prompt_bandits.policies import Uniform
from prompt_bandits.rounds import Rounds
from prompt_bandits.simulator import GaussianNoise, PromptSimulator
from prompt_bandits.synthetic import SyntheticConfig
from prompt_bandits.types import GaussianOutputs, Observation, Output, Prompts

TWO = Prompts.from_embedding(np.array([[0.0], [1.0]]))
ALL = {
    "ucb, shared": LinUCB,
    "ucb, disjoint": lambda: LinUCB(features="disjoint"),
    "thompson, shared": lambda: LinTS(scale=0.5),
    "thompson, disjoint": lambda: LinTS(features="disjoint", scale=0.5),
    "epsilon greedy, shared": LinEpsilonGreedy,
    "epsilon greedy, disjoint": lambda: LinEpsilonGreedy(features="disjoint"),
}


class Users:
    """Three features, independent."""

    def observe(self, rounds, prompts):
        return Observation(rounds.normal("context", 3).astype(np.float32), prompts)


class Echo:
    """Writes the prompt down."""

    def generate(self, obs, action, rounds):
        return Output(obs.prompts.embedding[action])

    def output_distribution(self, obs):
        embedding = obs.prompts.embedding
        return GaussianOutputs(np.zeros((len(obs), embedding.shape[1])), embedding, np.zeros(embedding.shape[1]))


class Linear:
    """r(x, s) = xᵀs / 2."""

    def expected(self, obs, output):
        return np.einsum("nd,nd->n", obs.context, output.embedding, dtype=np.float64) / 2

    def mean_over(self, obs, outputs, action):
        values = np.einsum("nd,ad->na", obs.context, outputs.prompt, dtype=np.float64) / 2
        return values if action is None else values[np.arange(len(obs)), action]


@pytest.fixture(scope="module")
def linear_world() -> PromptSimulator:
    """Twelve prompts, rewards that are linear in the users' features times the prompt's."""
    prompts = Prompts.from_embedding(Rounds(3, 0, 12, "prompts").normal("prompt", 3))
    return PromptSimulator(Users(), prompts, Echo(), Linear(), GaussianNoise(0.5))


def users(*context: float, prompts: Prompts = TWO, mask=None) -> Observation:
    return Observation(np.array(context, np.float32)[:, None], prompts, action_mask=mask)


def test_linucb_of_two_rounds_is_what_the_paper_says() -> None:
    """A, b, θ̂ of prompt 0 after x̃ = (1, 2), r = 3 and x̃ = (1, 0), r = 1, by hand."""
    learner = LinUCB(features="disjoint", alpha=2.0)
    learner.update(users(2.0), np.array([0]), np.array([3.0]))
    ridge = learner.model.ridge
    np.testing.assert_allclose(ridge.precision, [[[2, 2], [2, 5]], [[1, 0], [0, 1]]])
    np.testing.assert_allclose(ridge.moment, [[3, 6], [0, 0]])
    np.testing.assert_allclose(ridge.theta, [[0.5, 1], [0, 0]], atol=1e-12)
    learner.update(users(0.0), np.array([0]), np.array([1.0]))
    np.testing.assert_allclose(ridge.precision[0], [[3, 2], [2, 5]])
    np.testing.assert_allclose(ridge.moment[0], [4, 6])
    np.testing.assert_allclose(ridge.theta[0], np.array([8, 10]) / 11)
    np.testing.assert_allclose(ridge.inverse[0], np.array([[5, -2], [-2, 3]]) / 11)
    bounds = learner.upper_bounds(users(1.0))
    np.testing.assert_allclose(bounds, [[18 / 11 + 2 * np.sqrt(4 / 11), 2 * np.sqrt(2)]])
    action, propensity = learner.act(users(1.0), Rounds(0, 0, 1))
    assert (action.tolist(), propensity.tolist()) == ([0], [1.0])


def test_shared_features_are_the_products_of_user_and_prompt_by_hand() -> None:
    """φ = (1, e, x, x·e): after x = 2, e = 0, r = 3 the prompt with e = 1 inherits θ̂ᵀφ = 1.5, and doubts it by 2.5."""
    learner = LinUCB(alpha=1.0)
    learner.update(users(2.0), np.array([0]), np.array([3.0]))
    np.testing.assert_allclose(learner.model.ridge.theta, [[0.5, 0, 1, 0]], atol=1e-12)
    np.testing.assert_allclose(learner.model.mean(users(1.0)), [[1.5, 1.5]])
    np.testing.assert_allclose(learner.model.variance(users(1.0)), [[0.5, 2.5]])
    assert learner.act(users(1.0), Rounds(0, 0, 1))[0].tolist() == [1]


def test_shared_model_equals_the_regression_written_out(linear_world) -> None:
    obs = linear_world.observe(Rounds(0, 0, 40))
    action, reward = Rounds(0, 0, 40).integers("a", 12), Rounds(0, 0, 40).normal("r")
    learner = LinUCB(ridge=0.3)
    for rows in (slice(0, 1), slice(1, 15), slice(15, 40)):
        learner.update(obs.take(rows), action[rows], reward[rows])
    x = np.c_[np.ones(40), obs.context]
    e = np.c_[np.ones(12), obs.prompts.embedding]
    phi = np.einsum("ni,aj->naij", x, e).reshape(40, 12, 16)
    taken = phi[np.arange(40), action]
    inverse = np.linalg.inv(0.3 * np.eye(16) + taken.T @ taken)
    np.testing.assert_allclose(learner.model.mean(obs), phi @ inverse @ (reward @ taken), atol=1e-10)
    np.testing.assert_allclose(learner.model.variance(obs), np.einsum("nai,ij,naj->na", phi, inverse, phi), atol=1e-10)


def test_a_batch_teaches_what_its_rounds_teach_one_by_one(linear_world) -> None:
    obs, action = linear_world.observe(Rounds(0, 0, 30)), Rounds(0, 0, 30).integers("a", 12)
    for features in ("shared", "disjoint"):
        together, apart = LinUCB(features=features), LinUCB(features=features)
        together.update(obs, action, obs.context[:, 0])
        for i in range(30):
            apart.update(obs.take(slice(i, i + 1)), action[i : i + 1], obs.context[i : i + 1, 0])
        np.testing.assert_allclose(together.model.ridge.theta, apart.model.ridge.theta, atol=1e-10)


@pytest.mark.parametrize("features", ["shared", "disjoint"])
def test_thompson_sampling_draws_from_what_it_believes(features) -> None:
    """With two prompts the difference of their draws is Gaussian: its sign has a closed form."""
    learner, n = LinTS(features=features, scale=0.7), 20_000
    learner.update(users(2.0, 0.5, -1.0), np.array([0, 1, 0]), np.array([3.0, 1.0, 0.2]))
    obs = users(*[1.0] * n)
    action, propensity = learner.act(obs, Rounds(0, 0, n))
    phi = np.array([[1, 0, 1, 0], [1, 1, 1, 1]]) if features == "shared" else np.array([[1, 1, 0, 0], [0, 0, 1, 1]])
    ridge = learner.model.ridge
    theta, inverse = ridge.theta[0], ridge.inverse[0]
    if features == "disjoint":
        theta, zero = ridge.theta.ravel(), np.zeros((2, 2))
        inverse = np.block([[ridge.inverse[0], zero], [zero, ridge.inverse[1]]])
    difference = phi[1] - phi[0]
    p = norm.cdf(theta @ difference / (0.7 * np.sqrt(difference @ inverse @ difference)))
    assert 0.05 < p < 0.95
    assert abs(action.mean() - p) < 4 * np.sqrt(p * (1 - p) / n)
    assert propensity is None
    learner.propensity_draws = 3000
    action, propensity = learner.act(obs.take(slice(0, 6)), Rounds(0, 0, 6))
    np.testing.assert_allclose(propensity, np.where(action == 1, p, 1 - p), atol=4 * np.sqrt(0.25 / 3000))


@pytest.mark.parametrize("features", ["shared", "disjoint"])
def test_draws_have_the_mean_and_the_variance_that_the_model_says(features, linear_world) -> None:
    learner, obs = LinTS(features=features), linear_world.observe(Rounds(0, 0, 5))
    rounds = Rounds(1, 0, 200)
    learner.update(linear_world.observe(rounds), rounds.integers("a", 12), rounds.normal("r"))
    model, m = learner.model, 20_000
    normal = np.broadcast_to(Rounds(0, 0, m).normal("z", model.width), (5, m, model.width))
    drawn, variance = model.sampled(obs, normal, 0.5), 0.25 * model.variance(obs)
    assert (abs(drawn.mean(axis=1) - model.mean(obs)) < 5 * np.sqrt(variance / m)).all()
    np.testing.assert_allclose(drawn.var(axis=1), variance, rtol=5 * np.sqrt(2 / m))


def test_inverse_estimated_propensities_are_right_on_average() -> None:
    """E[(1 + m) / (1 + K)] = (1 − (1 − p)^(m + 1)) / p for K ~ Binomial(m, p)."""
    learner, n, m = LinTS(features="disjoint", propensity_draws=4), 4000, 4
    learner.update(users(1.0), np.array([0]), np.array([1.0]))  # N(1/3·2, 2/3) against N(0, 2) at x = 1
    p = norm.cdf(-(2 / 3) / np.sqrt(2 / 3 + 2))
    action, propensity = learner.act(users(*[1.0] * n), Rounds(0, 0, n))
    inverse = 1 / propensity[action == 1]
    expected = (1 - (1 - p) ** (m + 1)) / p
    assert abs(inverse.mean() - expected) < 4 * inverse.std() / np.sqrt(len(inverse))


@pytest.mark.parametrize("name", ALL)
def test_learners_find_the_best_prompts_of_a_linear_world(name, linear_world) -> None:
    learner = ALL[name]()
    assert isinstance(learner, OnlineLearner)
    run = play_online(linear_world, learner, 3000, seed=0, batch=10)
    assert linear_world.optimality(learner.policy(), 1000) > 0.9
    assert (run.require_regret() >= 0).all()


@pytest.mark.parametrize("name", ["ucb, shared", "thompson, shared"])
def test_regret_beats_uniform_and_grows_slower_than_the_rounds(name, linear_world) -> None:
    runs = play_seeds(linear_world, ALL[name], 4000, range(5), batch=20)
    band = runs.regret()
    uniform = 4000 * linear_world.regret(Uniform(), 2000).value
    assert band.high[-1] < 0.2 * uniform
    after_1000 = np.mean([run.require_regret()[:1000].sum() for run in runs.runs])
    assert band.mean[-1] < 2 * after_1000  # linear would be 4 times
    assert runs.mean_reward(1000).low[0] > 0.95 * linear_world.optimal_value(2000).value - 0.05


def test_regret_is_the_gap_to_the_best_allowed_prompt() -> None:
    simulator = SyntheticConfig(n_actions=8, mask_rate=0.5).build()
    run = play_online(simulator, LinUCB(), 1500, seed=4, batch=7)
    obs = simulator.observe(simulator.rounds(4, 0, 1500))
    q = simulator.action_values(obs).value
    best = np.where(obs.action_mask, q, -np.inf).max(axis=1)
    np.testing.assert_allclose(run.require_regret(), best - q[np.arange(1500), run.data.action], atol=1e-9)
    assert obs.action_mask[np.arange(1500), run.data.action].all()
    np.testing.assert_array_equal(run.data.obs.context, obs.context)


@pytest.mark.parametrize("name", ALL)
def test_a_run_repeats_itself_and_learns_one_way_only(name, linear_world) -> None:
    first, again, other = (play_online(linear_world, ALL[name](), 300, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.data.action, again.data.action)
    np.testing.assert_array_equal(first.reward, again.reward)
    assert not np.array_equal(first.reward, other.reward)


def test_propensities_are_those_that_there_are(linear_world) -> None:
    ucb, thompson, estimated, greedy = (
        play_online(linear_world, learner, 50, seed=1).data.propensity
        for learner in (LinUCB(), LinTS(), LinTS(propensity_draws=9), LinEpsilonGreedy(epsilon=0.24))
    )
    assert (ucb == 1).all()
    assert thompson is None
    assert set(np.round(estimated * 10).astype(int)) <= set(range(1, 11))
    np.testing.assert_allclose(np.unique(greedy.round(9)), [0.02, 0.78])


def test_estimated_propensities_do_not_depend_on_the_batch(linear_world) -> None:
    learner = LinTS(propensity_draws=20)
    obs = linear_world.observe(Rounds(0, 0, 8))
    whole = learner.act(obs, Rounds(0, 0, 8))
    cut = [learner.act(obs.take(slice(i, i + 1)), Rounds(0, i, 1)) for i in range(8)]
    np.testing.assert_array_equal(whole[0], np.concatenate([action for action, _ in cut]))
    np.testing.assert_array_equal(whole[1], np.concatenate([propensity for _, propensity in cut]))


def test_a_policy_of_what_was_learnt_saves_and_stays_as_it_was(linear_world, tmp_path) -> None:
    for features in ("shared", "disjoint"):
        learner = LinUCB(features=features)
        play_online(linear_world, learner, 200)
        policy, obs = learner.policy(), linear_world.observe(Rounds(0, 0, 50))
        before = policy.score.scores(obs)
        np.testing.assert_array_equal(before, learner.model.mean(obs))
        play_online(linear_world, learner, 200, seed=1)
        np.testing.assert_array_equal(policy.score.scores(obs), before)
        back = prompt_bandits.load(prompt_bandits.save(policy, tmp_path / features))
        np.testing.assert_array_equal(back.score.scores(obs), before)
        with pytest.raises(ValueError, match="theta: expected shape"):
            back.action_dist(users(1.0))


def test_an_environment_is_played_as_its_simulator() -> None:
    env = gym.make("PromptPersonalization-Synthetic-v0", n_actions=5)
    through_env = play_online(env, LinUCB(), 1100, seed=3, batch=50)
    alone = play_online(env.unwrapped.simulator, LinUCB(), 1100, seed=3, batch=50)
    np.testing.assert_array_equal(through_env.reward, alone.reward)
    halved = gym.wrappers.TransformReward(env, lambda reward: reward / 2)
    for world in (halved, gym.make("CartPole-v1"), 3):
        with pytest.raises(ValueError, match="world: expected a simulator"):
            play_online(world, LinUCB(), 10)


def test_callbacks_hear_means_at_round_numbers_and_at_the_end(linear_world) -> None:
    history = History()
    run = play_online(linear_world, LinUCB(), 1250, batch=10, callback=history, log_every=500)
    assert [log["step"] for log in history.logs] == [500, 1000, 1250]
    np.testing.assert_allclose(history.logs[1]["reward"], run.reward[500:1000].mean())
    np.testing.assert_allclose(history.logs[2]["regret"], run.require_regret()[1000:].mean())


def test_without_exact_values_there_is_no_regret() -> None:
    run = play_online(identity_bandit(10)[0], LinUCB(), 50)
    assert run.regret is None
    with pytest.raises(ValueError, match="regret: unknown"):
        run.require_regret()


def test_bands_are_students_t_over_seeds() -> None:
    band = Band.of(np.array([1]), np.array([[1.0], [2.0], [3.0]]), 0.95)
    np.testing.assert_allclose([band.mean[0], band.high[0]], [2, 2 + 4.302653 / np.sqrt(3)], rtol=1e-6)
    with pytest.raises(ValueError, match="at least two seeds"):
        Band.of(np.array([1]), np.ones((1, 1)), 0.95)
    axes = plot_bands({"one": band}, "regret")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["one"]


class Wrong:
    def __init__(self, action):
        self.action = action

    def act(self, obs, rounds):
        return self.action, None

    def update(self, obs, action, reward):
        raise AssertionError("refused before it learns")


def test_what_is_wrong_is_said(linear_world) -> None:
    for make, said in [
        (lambda: LinUCB(alpha=-1.0), "alpha: expected >= 0, got -1"),
        (lambda: LinTS(scale=0.0), "scale: expected a positive number, got 0"),
        (lambda: LinTS(propensity_draws=-1), "propensity_draws: expected >= 0"),
        (lambda: LinEpsilonGreedy(epsilon=2.0), "epsilon: expected in"),
        (lambda: LinUCB(features="both"), "features: expected one of disjoint, shared, got 'both'"),
        (lambda: LinUCB(ridge=0.0), "ridge: expected a positive number"),
        (lambda: LinUCB().policy(), "LinUCB: expected rounds to be played first"),
        (lambda: LinUCB().update(users(1.0), np.array([0]), np.array([np.nan])), "reward: expected finite"),
        (lambda: LinUCB().update(users(1.0), np.array([0, 1]), np.array([1.0])), r"action: expected shape \(1,\)"),
        (lambda: play_online(linear_world, LinUCB(), 0), "expected n, batch and log_every >= 1"),
        (lambda: play_online(linear_world, Uniform(), 5), "learner: expected an object with `act` and `update`"),
        (lambda: play_online(linear_world, Wrong(np.array([12])), 5), "expected actions in 0 … 11, got 12"),
        (lambda: play_online(linear_world, Wrong(np.array([0.5])), 5), "expected integer actions"),
        (lambda: play_online(linear_world, Wrong(np.array([1, 2])), 5), "expected integer actions of shape"),
    ]:
        with pytest.raises(ValueError, match=said):
            make()


def test_the_example_prints_a_table_and_saves_a_plot_and_a_log(tmp_path) -> None:
    example = Path(__file__).parent.parent / "examples/online_baselines.py"
    arguments = ["--n-actions", "10", "--n", "300", "--seeds", "2", "--out", str(tmp_path)]
    out = subprocess.run([sys.executable, example, *arguments], capture_output=True, text=True, check=True).stdout
    assert len(re.findall(r"^.+ \d\.\d{4} \[-?\d\.\d{4}, \d\.\d{4}\] +-?\d\.\d{3}$", out, re.MULTILINE)) == 3, out
    assert (tmp_path / "regret.png").read_bytes()[:4] == b"\x89PNG"
    assert len(prompt_bandits.BanditDataset.open(tmp_path / "log")) == 300
