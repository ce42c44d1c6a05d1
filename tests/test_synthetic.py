"""The synthetic parts, by hand and by their closed forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from prompt_bandits import collect
from prompt_bandits.policies import Uniform
from prompt_bandits.rounds import Rounds
from prompt_bandits.simulator import BernoulliNoise
from prompt_bandits.synthetic import (
    BilinearReward,
    GaussianContexts,
    ProbitReward,
    RandomMask,
    SyntheticConfig,
    SyntheticLLM,
    config_from,
    synthetic_simulator,
)
from prompt_bandits.synthetic.llm import Exponential, Power, Rational, Sigmoid, Trigonometric, linear
from prompt_bandits.types import Observation, Output, Prompts

MAPPINGS = ("linear", "rational", "sigmoid", "trigonometric", "power", "exponential")


@pytest.mark.parametrize(
    ("mapping", "z", "expected"),
    [
        (linear, 1.5, 1.5),
        (Rational(0.5), 1.0, 1.5 / 3.0),
        (Rational(0.5), -2.001, 5.0),
        (Rational(0.5), -1.999, -5.0),
        (Sigmoid(), 0.0, 2.5),
        (Sigmoid(scaler=2.0), 1.0, 5 / (1 + np.exp(-2.0))),
        (Trigonometric(), np.pi / 6, 2.5),
        (Trigonometric(amplitude=3, scaler=3), np.pi / 6, 3.0),
        (Power(), 1.0, 0.25 * (8 * 24) ** 0.2),
        (Power(), -4.0, -1.0 * (7 * 9) ** 0.2),
        (Power(), 5.0, 0.0),
        (Power(scaler=2), 0.5, 0.25 * (8 * 24) ** 0.2),
        (Exponential(), 2.0, 50 / (1 + np.exp(2) + np.exp(-2))),
        (Exponential(scaler=0.5), 4.0, 50 / (1 + np.exp(2) + np.exp(-2))),
    ],
)
def test_output_maps_by_hand(mapping, z, expected) -> None:
    np.testing.assert_allclose(mapping(np.array([z])), [expected], rtol=1e-12)


def small_world() -> tuple[Observation, SyntheticLLM, BilinearReward]:
    prompts = Prompts.from_embedding(np.array([[1.0, 0.0], [0.0, 2.0]]))
    obs = Observation(np.array([[1.0], [2.0]], np.float32), prompts, np.array([[3.0], [-1.0]], np.float32))
    llm = SyntheticLLM(np.array([[1.0, -1.0]]), np.array([[1.0, 2.0], [3.0, 4.0]]), noise_level=0.0, gain=2.0)
    reward = BilinearReward(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]), normalizer=10.0)
    return obs, llm, reward


def test_output_and_reward_by_hand() -> None:
    obs, llm, reward = small_world()
    output = llm.generate(obs, np.array([0, 1]), Rounds(0, 0, 2))
    # round 0: 2·((3, −3) + (1, 2)) = (8, −2); round 1: 2·((−1, 1) + (6, 8)) = (10, 18)
    np.testing.assert_allclose(output.embedding, [[8, -2], [10, 18]])
    # taste (x, q): round 0 (1, 3)·(8, −2)/10 = 0.2; round 1 (2, −1)·(10, 18)/10 = 0.2
    np.testing.assert_allclose(reward.expected(obs, output), [0.2, 0.2], rtol=1e-6)


def test_without_a_prompt_only_the_query_counts() -> None:
    obs, llm, _ = small_world()
    np.testing.assert_allclose(llm.generate(obs, None, Rounds(0, 0, 2)).embedding, [[6, -6], [-2, 2]])


def test_a_sparse_reward_ignores_the_other_dimensions() -> None:
    obs, _, _ = small_world()
    sparse = BilinearReward(np.array([[1.0]]), np.array([[1.0]]))
    assert sparse.normalizer == 5 * (1 + 1) * 1
    expected = sparse.expected(obs, Output(np.array([[4.0, 100.0], [1.0, -7.0]], np.float32)))
    np.testing.assert_allclose(expected, [(1 + 3) * 4 / 10, (2 - 1) * 1 / 10], rtol=1e-6)


def test_the_default_normalizer_is_the_published_one() -> None:
    simulator = SyntheticConfig().build()
    assert simulator.reward_model.normalizer == 250  # type: ignore[attr-defined]


def test_output_noise_has_its_level_and_mean() -> None:
    simulator = SyntheticConfig(n_actions=3, output_noise=0.7, output_gain=1.5).build()
    n = 20_000
    rounds = simulator.rounds(0, 0, n)
    one = simulator.observe(simulator.rounds(0, 0, 1)).take(np.zeros(n, dtype=np.int64))
    output = simulator.respond(one, np.full(n, 2), rounds).embedding
    llm = simulator.llm
    mean = 1.5 * (one.query[0] @ llm.query_matrix + llm.output_map(one.prompts.embedding[2] @ llm.prompt_matrix))
    np.testing.assert_allclose(output.mean(0), mean, atol=4 * 0.7 / np.sqrt(n))
    np.testing.assert_allclose(output.std(0), 0.7, rtol=0.03)


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_confounded_dimensions_depend_on_neither_query_nor_prompt(mapping) -> None:
    config = SyntheticConfig(n_actions=20, mapping=mapping, n_confounded=2, confounder_scale=1.5, output_noise=0.5)
    simulator = config.build()
    n = 20_000
    rounds = simulator.rounds(0, 0, n)
    obs = simulator.observe(rounds)
    action = rounds.integers("probe", 20)
    output = simulator.respond(obs, action, rounds).embedding
    confounded, rest = output[:, 3:], output[:, :3]
    np.testing.assert_allclose(confounded.mean(0), 0, atol=4 * 3.1 / np.sqrt(n))
    np.testing.assert_allclose(confounded.std(0), np.hypot(2 * 1.5, 0.5), rtol=0.03)
    for column in obs.query.T:
        assert np.abs(np.corrcoef(confounded.T, column)[-1, :-1]).max() < 4 / np.sqrt(n)
    plain = replace(config, n_confounded=0).build().respond(obs, action, rounds).embedding
    np.testing.assert_array_equal(rest, plain[:, :3])


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize("reward_type", ["continuous", "binary"])
@pytest.mark.parametrize("extra", [{}, {"n_confounded": 2}, {"n_relevant": 2}], ids=["plain", "confounded", "sparse"])
def test_closed_form_action_values_equal_monte_carlo(mapping, reward_type, extra) -> None:
    config = SyntheticConfig(n_actions=4, mapping=mapping, reward_type=reward_type, reward_normalizer=25.0, **extra)
    simulator = config.build()
    obs = simulator.observe(simulator.rounds(0, 0, 6))
    exact = simulator.action_values(obs)
    assert exact.se is None

    class Opaque:
        """The same LLM, without telling its distribution."""

        def generate(self, obs, action, rounds):
            return simulator.llm.generate(obs, action, rounds)

    sampled = replace(simulator, llm=Opaque()).action_values(obs, n_outputs=4000)
    assert sampled.se is not None
    assert (np.abs(sampled.value - exact.value) <= 4.5 * sampled.se + 1e-6).all()
    given = np.array([0, 1, 2, 3, 0, 1])
    np.testing.assert_allclose(
        simulator.action_value(obs, given).value, exact.value[np.arange(6), given], rtol=1e-4, atol=1e-6
    )


def test_probit_by_hand() -> None:
    obs, llm, reward = small_world()
    probit = ProbitReward(reward)
    output = llm.generate(obs, np.array([0, 1]), Rounds(0, 0, 2))
    np.testing.assert_allclose(probit.expected(obs, output), norm.cdf([0.2, 0.2]), rtol=1e-6)
    noisy = SyntheticLLM(llm.query_matrix, llm.prompt_matrix, noise_level=2.0, gain=2.0)
    mean = probit.mean_over(obs, noisy.output_distribution(obs), np.array([0, 1]))
    # score variance: noise² · ‖taste‖², taste (1, 3)/10 and (2, −1)/10
    np.testing.assert_allclose(mean, norm.cdf([0.2 / np.sqrt(1 + 4 * 0.1), 0.2 / np.sqrt(1 + 4 * 0.05)]), rtol=1e-6)


def test_binary_rewards_are_coins_with_the_expected_probability() -> None:
    simulator = SyntheticConfig(n_actions=3, reward_type="binary", reward_normalizer=10.0).build()
    rounds = simulator.rounds(0, 0, 20_000)
    obs = simulator.observe(rounds)
    feedback = simulator.play(obs, np.zeros(20_000, dtype=np.int64), rounds)
    assert set(np.unique(feedback.reward)) == {0.0, 1.0}
    gap = feedback.reward - feedback.expected_reward
    assert abs(gap.mean()) < 4 * gap.std() / np.sqrt(len(gap))


def test_reward_std_is_the_noise_of_continuous_rewards() -> None:
    simulator = SyntheticConfig(n_actions=3, reward_std=0.3).build()
    rounds = simulator.rounds(0, 0, 20_000)
    feedback = simulator.play(simulator.observe(rounds), np.zeros(20_000, dtype=np.int64), rounds)
    assert abs((feedback.reward - feedback.expected_reward).std() - 0.3) < 0.01


def test_regression_data_may_have_another_reward_noise() -> None:
    config = SyntheticConfig(n_actions=5)
    loud, quiet = (collect(replace(config, reward_std=std).build(), Uniform(), 500) for std in (1.0, 0.1))
    np.testing.assert_array_equal(loud.output.embedding, quiet.output.embedding)
    np.testing.assert_array_equal(loud.oracle["expected_reward"], quiet.oracle["expected_reward"])
    noise = [data.reward - data.oracle["expected_reward"] for data in (loud, quiet)]
    np.testing.assert_allclose(noise[0], 10 * noise[1], atol=1e-12)


def test_contexts_have_the_covariance_asked_for() -> None:
    covariance = np.array([[2.0, 0.6, 0.0], [0.6, 1.0, -0.3], [0.0, -0.3, 0.5]])
    source = GaussianContexts(covariance, 1, mean=np.array([1.0, 0.0, -1.0]))
    drawn = source.observe(Rounds(0, 0, 50_000), Prompts.one_hot(2)).features()
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.05)
    np.testing.assert_allclose(drawn.mean(0), [1, 0, -1], atol=0.03)


def test_a_singular_covariance_will_do_and_a_negative_one_not() -> None:
    source = GaussianContexts(np.ones((2, 2)), 1)
    obs = source.observe(Rounds(0, 0, 10), Prompts.one_hot(2))
    np.testing.assert_allclose(obs.context, obs.query, rtol=1e-5)
    with pytest.raises(ValueError, match="positive semi-definite"):
        GaussianContexts(np.array([[1.0, 2.0], [2.0, 1.0]]), 1)


def test_the_test_split_has_other_rounds_and_shifted_contexts() -> None:
    train = SyntheticConfig(n_actions=3, context_shift=1.5)
    test = replace(train, split="test")
    n = 20_000
    a, b = (c.build().observe(c.build().rounds(0, 0, n)) for c in (train, test))
    assert np.abs(a.context - b.context).min() > 0
    spread = a.context.std(0)
    distance = np.linalg.norm((b.context.mean(0) - a.context.mean(0)) / spread)
    assert abs(distance - 1.5) < 0.1
    np.testing.assert_allclose(a.query.mean(0), b.query.mean(0), atol=0.1)
    assert np.array_equal(train.build().prompts.embedding, test.build().prompts.embedding)


def test_masks_leave_out_their_share_and_never_everything() -> None:
    simulator = SyntheticConfig(n_actions=50, mask_rate=0.9).build()
    mask = simulator.observe(simulator.rounds(0, 0, 5000)).action_mask
    assert mask.any(axis=1).all()
    assert abs(1 - mask.mean() - 0.9) < 0.01
    alone = RandomMask(simulator.source.source, 0.99).observe(Rounds(0, 0, 3000), Prompts.one_hot(3)).action_mask
    assert (alone.sum(axis=1) >= 1).all()


def test_mixture_prompts_gather_around_their_centres() -> None:
    embedding = SyntheticConfig(n_actions=300, prompts="mixture", n_clusters=3).build().prompts.embedding
    clusters = np.arange(300) % 3
    for k in range(3):
        assert np.abs(embedding[clusters == k].std(0) - 0.1).max() < 0.03
    assert np.ptp([embedding[clusters == k].mean(0) for k in range(3)], axis=0).max() > 0.5


@pytest.mark.parametrize(
    ("world_seed", "uniform", "optimal"),
    [(0, -0.1119, 0.6687), (1, -0.0849, 0.6809), (2, -0.0080, 0.5605), (3, -0.1134, 0.5367)],
)
def test_published_worlds_have_their_published_values(world_seed, uniform, optimal) -> None:
    simulator = SyntheticConfig(world="published", world_seed=world_seed).build()
    assert simulator.uniform_value(100_000).value == pytest.approx(uniform, abs=0.008)
    assert simulator.optimal_value(100_000).value == pytest.approx(optimal, abs=0.008)


def test_in_published_worlds_the_output_shares_the_rewards_matrices_and_in_independent_ones_nothing() -> None:
    published, independent = (SyntheticConfig(world=world).build() for world in ("published", "independent"))
    np.testing.assert_array_equal(published.llm.query_matrix, published.reward_model.context_matrix)
    np.testing.assert_array_equal(published.llm.prompt_matrix, published.reward_model.query_matrix)
    correlation = np.corrcoef(independent.llm.query_matrix.ravel(), independent.reward_model.context_matrix.ravel())[
        0, 1
    ]
    assert abs(correlation) < 0.7
    assert not np.array_equal(independent.llm.query_matrix, independent.reward_model.context_matrix)


def test_world_seeds_make_other_worlds_and_the_same_one_again() -> None:
    a, b, c = (SyntheticConfig(n_actions=5, world_seed=s).build() for s in (0, 0, 1))
    assert np.array_equal(a.prompts.embedding, b.prompts.embedding)
    assert not np.array_equal(a.prompts.embedding, c.prompts.embedding)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"n_actions": 0}, "n_actions: expected an integer >= 1, got 0"),
        ({"dim_output": 2.5}, "dim_output: expected an integer"),
        ({"world": "flat"}, "world: expected one of independent, published, got 'flat'"),
        ({"mapping": "cubic"}, "mapping: expected one of linear"),
        ({"reward_type": "ordinal"}, "reward_type: expected one of continuous, binary"),
        ({"n_relevant": 9}, "n_relevant: expected an integer in 1 … 5, got 9"),
        ({"split": "dev"}, "split: expected one of train, test"),
        ({"output_gain": float("nan")}, "output_gain: expected a finite number, got nan"),
        ({"reward_std": "1"}, "reward_std: expected a finite number >= 0, got '1'"),
        ({"n_confounded": 1.5}, "n_confounded: expected an integer in 0 … 5, got 1.5"),
    ],
)
def test_wrong_values_are_named(kwargs, message) -> None:
    with pytest.raises(ValueError, match=message):
        SyntheticConfig(**kwargs)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"reward_std": -1.0}, "reward_std: expected a finite number >= 0, got -1.0"),
        ({"output_noise": -1.0}, "output_noise"),
        ({"mask_rate": 1.0}, r"mask_rate: expected in \[0, 1\)"),
        ({"n_confounded": 6}, "n_confounded: expected an integer in 0 … 5, got 6"),
        ({"prompts": "mixture", "n_clusters": 5000}, "n_clusters: expected an integer in 1 … 1000, got 5000"),
        ({"covariance": [[1.0]]}, "covariance: expected shape"),
    ],
)
def test_values_that_do_not_fit_are_named_when_built(kwargs, message) -> None:
    with pytest.raises(ValueError, match=message):
        SyntheticConfig(**kwargs).build()


def test_an_unknown_argument_is_answered_with_the_likeliest_one() -> None:
    with pytest.raises(TypeError, match=r"unknown argument 'n_action'; did you mean 'n_actions'\?"):
        config_from({"n_action": 3})


class Loud:
    """A custom LLM: the query, louder for later prompts."""

    def generate(self, obs, action, rounds):
        factor = 1 if action is None else 1 + action[:, None]
        return Output((obs.query[:, :2] * factor + rounds.normal("output", 2)).astype(np.float32))


class Picky:
    """A custom, non-linear reward."""

    def expected(self, obs, output):
        return np.tanh(output.embedding[:, 0] * obs.context[:, 0])


def test_custom_parts_take_their_place_and_the_oracle_says_its_error() -> None:
    simulator = synthetic_simulator(SyntheticConfig(n_actions=3), llm=Loud(), reward_model=Picky())
    obs = simulator.observe(simulator.rounds(0, 0, 40))
    values = simulator.action_values(obs, n_outputs=2000)
    assert values.se is not None
    assert values.value.shape == values.se.shape == (40, 3)
    # by quadrature: mean of tanh(x·(q·(1+a) + ξ))
    nodes, weights = np.polynomial.hermite_e.hermegauss(81)
    for a in range(3):
        inside = obs.context[:, :1] * (obs.query[:, :1] * (1 + a) + nodes)
        expected = (np.tanh(inside) * weights).sum(1) / weights.sum()
        assert (np.abs(values.value[:, a] - expected) < 5 * values.se[:, a] + 1e-4).all()
    uniform, best = simulator.uniform_value(500), simulator.optimal_value(500)
    assert 0 < uniform.se < 0.1
    assert best.value > uniform.value


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"llm": SyntheticLLM(np.ones((4, 5)), np.ones((5, 5)))}, "llm.generate: fails for queries"),
        ({"llm": Loud(), "prompts": Prompts.one_hot(3)}, "reward_model.expected: fails for outputs"),
        (
            {"reward_model": BilinearReward(np.ones((3, 5)), np.ones((5, 5)))},
            "reward_model.expected: fails for outputs",
        ),
        ({"prompts": Prompts.one_hot(3)}, "prompts.embedding: expected 5 dimensions, got 3"),
        ({"source": GaussianContexts(np.eye(4), 2)}, "llm.generate: fails"),
        ({"reward_noise": BernoulliNoise()}, "reward_noise.sample: fails for what reward_model.expected gives"),
    ],
)
def test_custom_parts_that_do_not_fit_are_named(parts, message) -> None:
    with pytest.raises(ValueError, match=message):
        synthetic_simulator(SyntheticConfig(), **parts)


def test_a_part_with_randomness_of_its_own_is_refused() -> None:
    generator = np.random.default_rng(0)

    class Moody:
        def generate(self, obs, action, rounds):
            return Output(generator.normal(size=(len(obs), 5)).astype(np.float32))

    with pytest.raises(ValueError, match="draw from `rounds` only"):
        synthetic_simulator(SyntheticConfig(), llm=Moody())
