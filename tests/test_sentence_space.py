"""What learning in sentence space is made of: a model of outputs, reward models by output, and their mean."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
import pytest

import prompt_bandits
from agents import sentence_rewards
from agents.learners import SentenceDM, SentenceDR
from agents.output_model import OutputModel, fit_output_model
from agents.pair_outputs import PairMeans
from agents.policies import NeuralPolicy
from agents.reward_models import RewardTraining
from agents.sentence_rewards import CorrectedReward, RidgeReward, fit_sentence_reward
from agents.sentence_value import SentenceValue
from prompt_bandits import BanditDataset, collect
from prompt_bandits.policies import Restricted, Uniform
from prompt_bandits.rounds import Rounds
from prompt_bandits.simulator import GaussianNoise
from prompt_bandits.synthetic import SyntheticConfig
from prompt_bandits.types import Observation, Output

QUICK = RewardTraining(steps=1500, patience=None)
WORLD = SyntheticConfig(n_actions=60).build()


@pytest.fixture(scope="module")
def log() -> BanditDataset:
    return collect(WORLD, Uniform(), 3000)


def mean_error(model: OutputModel, obs: Observation) -> float:
    """Of the mean output of every prompt, per dimension, squared."""
    exact = WORLD.llm.output_distribution(obs)
    action = np.arange(WORLD.n_actions)
    errors = [
        np.square(model.mean(obs.take(np.full(len(action), row)), action) - exact.shift[row] - exact.prompt).mean()
        for row in range(20)
    ]
    return float(np.mean(errors))


def test_the_output_model_finds_what_the_llm_writes_on_average(log) -> None:
    """Outputs vary by about 100 around their mean; 50 noisy ones a prompt leave an error of 1/50, fresh ones less."""
    alone, asked = fit_output_model(log, seed=0), fit_output_model(log, WORLD, n_outputs=200, seed=0)
    assert mean_error(alone, log.obs) < 0.06
    assert mean_error(asked, log.obs) < mean_error(alone, log.obs) / 2
    assert not alone.interaction.any()
    assert alone.r_squared > 0.95
    np.testing.assert_allclose(alone.residuals.std(axis=0), 1, atol=0.1)


def test_prompts_that_were_never_logged_get_what_their_features_tell() -> None:
    simulator = SyntheticConfig(n_actions=60, mapping="linear").build()
    allowed = np.arange(60) < 40
    data = collect(simulator, Restricted(Uniform(), allowed), 3000)
    model = fit_output_model(data, seed=0)
    exact = simulator.llm.output_distribution(data.obs.take(slice(0, 1)))
    missing = np.flatnonzero(~allowed)
    predicted = model.mean(data.obs.take(np.zeros(20, np.int64)), missing)
    truth = exact.shift + exact.prompt[missing]
    assert np.square(predicted - truth).mean() < 0.05 * truth.var()


class Multiplies:
    """Query times prompt, which no sum of the two can say."""

    def generate(self, obs, action, rounds):
        mean = 2 * obs.query * obs.prompts.embedding[action]
        return Output((mean + rounds.normal("output", mean.shape[1])).astype(np.float32))


def test_interaction_is_found_where_there_is_one() -> None:
    simulator = replace(WORLD, llm=Multiplies())
    data = collect(simulator, Uniform(), 3000)
    model = fit_output_model(data, seed=0)
    assert model.interaction.any()
    obs, action = data.obs.take(slice(0, 300)), data.action[:300]
    truth = 2 * obs.query * obs.prompts.embedding[action]
    assert np.square(model.mean(obs, action) - truth).mean() < 0.1 * truth.var()
    direction = np.random.default_rng(0).normal(size=(300, 5))
    projected = model.project(obs, direction)[np.arange(300), action]
    np.testing.assert_allclose(projected, (model.mean(obs, action) * direction).sum(axis=1), rtol=1e-6, atol=1e-8)
    check_average(model, obs, action)


def check_average(model, obs, action) -> None:
    """A policy that takes two prompts, the first a third of the time."""
    other, rows = (action + 1) % obs.n_actions, np.arange(len(action))
    dist = np.zeros((len(action), obs.n_actions))
    dist[rows, action], dist[rows, other] = 1 / 3, 2 / 3
    expected = model.mean(obs, action) / 3 + 2 * model.mean(obs, other) / 3
    np.testing.assert_allclose(model.average(obs, dist), expected, rtol=1e-6, atol=1e-8)


def recurrent_queries(n: int, n_queries: int):
    """Rounds of which every tenth or so asks the same, of users who are all different."""
    data = collect(replace(WORLD, llm=Twists()), Uniform(), n)
    which = np.arange(n) % n_queries
    obs = replace(data.obs, query=data.obs.query[which])
    rounds = Rounds(3, 0, n, "log/twists")
    return replace(data, obs=obs, output=Twists().generate(obs, data.action, rounds))


class Twists:
    """A mean that no product of features tells: every (query, prompt) pair has its own."""

    costly = False

    def generate(self, obs, action, rounds):
        own = np.sin(1e3 * (obs.query[:, :1] + obs.prompts.embedding[action]))
        return Output((own + 0.5 * rounds.normal("output", own.shape[1])).astype(np.float32))


def test_every_pair_of_recurrent_queries_has_an_effect_of_its_own() -> None:
    """Means of two outputs have noise of variance 1/8, pairs vary by 1/2: shrunken by a fifth, the error is 1/10."""
    data, simulator = recurrent_queries(1000, 20), replace(WORLD, llm=Twists())
    model = fit_output_model(data, simulator, seed=0)
    assert model.known.shape == (20, 5)
    assert model.deviation.shape == (20, 60, 5)
    obs, action = data.obs.take(slice(0, 500)), data.action[:500]
    truth = np.sin(1e3 * (obs.query[:, :1] + obs.prompts.embedding[action]))
    assert np.square(model.mean(obs, action) - truth).mean() == pytest.approx(0.1, abs=0.02)
    assert model.r_squared == pytest.approx(1 - (0.1 + 0.25) / 0.75, abs=0.05)
    direction = np.random.default_rng(0).normal(size=(500, 5))
    projected = model.project(obs, direction)[np.arange(500), action]
    np.testing.assert_allclose(projected, (model.mean(obs, action) * direction).sum(axis=1), rtol=1e-6, atol=1e-8)
    check_average(model, obs, action)
    another = replace(obs, query=obs.query + 1)
    plain = replace(model, known=model.known[:0], deviation=model.deviation[:0])
    np.testing.assert_array_equal(model.mean(another, action), plain.mean(another, action))


def test_pairs_are_not_asked_for_where_that_costs_or_queries_hardly_recur(monkeypatch) -> None:
    simulator = replace(WORLD, llm=Twists())
    assert len(fit_output_model(recurrent_queries(1000, 600), simulator, seed=0).known) == 0
    assert len(fit_output_model(recurrent_queries(1000, 20), seed=0).known) == 0
    monkeypatch.setattr(Twists, "costly", True)
    assert len(fit_output_model(recurrent_queries(1000, 20), simulator, seed=0).known) == 0


def test_what_a_prediction_tells_already_is_no_effect_of_a_pair() -> None:
    noise = np.random.default_rng(0).normal(size=(30, 40, 2))
    pairs = PairMeans(np.arange(30), np.zeros((30, 1)), noise, np.ones(2))
    assert np.abs(pairs.deviation(np.zeros_like(noise))).max() < 0.3
    np.testing.assert_allclose(pairs.deviation(noise - 100), 100, rtol=1e-3)


def test_the_output_model_stands_in_for_the_llm(log, tmp_path) -> None:
    model = fit_output_model(log, seed=0)
    n = 20_000
    obs, action = log.obs.take(np.zeros(n, np.int64)), np.full(n, 3)
    drawn = model.respond(obs, action, Rounds(0, 0, n, "fit/test")).embedding
    mean = model.mean(obs.take(slice(0, 1)), action[:1])[0] + model.residuals.mean(axis=0)
    np.testing.assert_allclose(drawn.mean(axis=0), mean, atol=0.05)
    np.testing.assert_allclose(drawn.std(axis=0), 1, atol=0.1)
    with pytest.raises(ValueError, match="action: a model of logged outputs knows nothing of outputs without a prompt"):
        model.respond(obs, None, Rounds(0, 0, n, "fit/test"))
    other = SyntheticConfig(n_actions=7).build()
    with pytest.raises(ValueError, match="prompts: expected the 60 that the model of outputs was fitted for"):
        model.project(other.observe(other.rounds(0, 0, 4)), np.ones((4, 5)))
    back = prompt_bandits.load(prompt_bandits.save(model, tmp_path / "m"))
    np.testing.assert_array_equal(back.mean(obs, action), model.mean(obs, action))


def test_outputs_are_needed(log) -> None:
    with pytest.raises(ValueError, match="output: no embeddings"):
        fit_output_model(replace(log, output=None), seed=0)
    with pytest.raises(ValueError, match="output: no embeddings"):
        fit_sentence_reward(replace(log, output=None), seed=0)


def test_ridge_by_sufficient_statistics_is_ridge() -> None:
    from sklearn.linear_model import Ridge

    generator = np.random.default_rng(0)
    design = np.c_[generator.normal(size=(80, 4)), np.ones(80)]
    reward = design @ [1.0, -2.0, 0.0, 0.5, 3.0] + generator.normal(size=80)
    sums = sentence_rewards._Sums.empty(5)
    sums.add(design[:30], reward[:30])
    sums.add(design[30:], reward[30:])
    weight, covariance = sums.solve(7.0)
    known = Ridge(alpha=7.0).fit(design[:, :4], reward)
    np.testing.assert_allclose(weight, [*known.coef_, known.intercept_], rtol=1e-6)
    assert sums.error(weight) == pytest.approx(np.square(reward - design @ weight).sum())
    free, _ = sums.solve(0.0)
    residual = np.square(reward - design @ free).sum() / (80 - 5)
    np.testing.assert_allclose(sums.solve(0.0)[1], residual * np.linalg.inv(design.T @ design), rtol=1e-5)
    assert covariance.shape == (5, 5)


@dataclass(frozen=True)
class Likes:
    """A user's taste as a function of context and output."""

    kind: str

    def expected(self, obs, output):
        x, o = obs.context, output.embedding / 10
        if self.kind == "linear":
            return x @ np.arange(1, 6) / 5 + o.sum(axis=1)
        return -np.square(o - x).sum(axis=1)  # neither linear nor bilinear


def played(kind: str, n: int = 3000) -> BanditDataset:
    return collect(replace(WORLD, reward_model=Likes(kind), reward_noise=GaussianNoise(0.5)), Uniform(), n)


def test_validation_chooses_the_class_of_the_reward_model(log) -> None:
    bilinear = fit_sentence_reward(log, training=QUICK, seed=0)
    assert isinstance(bilinear, RidgeReward)
    assert bilinear.free[:-1, :-1].all()
    linear = fit_sentence_reward(played("linear"), training=QUICK, seed=0)
    assert isinstance(linear, RidgeReward)
    assert not linear.weight[:-1, :-1].any()
    crooked = fit_sentence_reward(played("crooked"), training=QUICK, seed=0)
    assert isinstance(crooked, CorrectedReward)


def test_reward_models_in_sentence_space_approach_the_truth(log) -> None:
    """R² against the true expected reward on rounds that were not fitted."""
    for data, simulator in (
        (log, WORLD),
        (played("linear"), replace(WORLD, reward_model=Likes("linear"))),
        (played("crooked"), replace(WORLD, reward_model=Likes("crooked"))),
    ):
        model = fit_sentence_reward(data, training=QUICK, seed=0)
        fresh = collect(simulator, Uniform(), 2000, seed=9)
        truth = simulator.expected_reward(fresh.obs, fresh.output)
        error = np.square(model.predict(fresh.obs, fresh.require_output()) - truth).mean()
        assert error < 0.15 * truth.var(), simulator.reward_model


@pytest.mark.parametrize("n", [2, 3, 9])
def test_a_handful_of_rounds_gives_a_ridge_regression_and_a_policy(log, n) -> None:
    """Too few to ask whether a network is better, so there is none; too few to hold out much."""
    few = log.take(slice(0, n))
    assert isinstance(fit_sentence_reward(few, seed=0), RidgeReward)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the model of outputs explains little
        policy = SentenceDM(steps=3).fit(few, seed=0)
    assert policy.action_dist(few.obs).shape == (n, 60)


def wide(n: int, dim: int) -> tuple[BanditDataset, np.ndarray]:
    """Outputs and contexts of many features, of which 3 directions vary; the reward is bilinear in those."""
    generator = np.random.default_rng(0)
    hidden_x, hidden_o = generator.normal(size=(2, n, 3))
    mix_x, mix_o = generator.normal(size=(2, 3, dim))
    truth = (hidden_x * hidden_o).sum(axis=1)
    data = BanditDataset.from_arrays(
        hidden_x @ mix_x + 0.01 * generator.normal(size=(n, dim)),
        generator.integers(0, 5, n),
        truth + generator.normal(size=n),
        prompts=5,
        output=hidden_o @ mix_o + 0.01 * generator.normal(size=(n, dim)),
    )
    return data, truth


def test_many_features_are_reduced_to_their_principal_components() -> None:
    data, truth = wide(3000, 200)
    model = fit_sentence_reward(data, classes=("bilinear",), seed=0)
    assert model.z_map.shape == model.output_map.shape == (200, 32)
    assert np.square(model.predict(data.obs, data.require_output()) - truth).mean() < 0.3 * truth.var()


def test_folds_take_any_keys(log) -> None:
    """Ids of people's own logs are sparse, and may be negative."""
    odd = replace(log, round_id=np.arange(len(log)) * 10**12 - 5)
    assert isinstance(fit_sentence_reward(odd, classes=("bilinear",), seed=0), RidgeReward)


def test_one_hot_prompts_without_features_are_told_apart(log) -> None:
    """1000 prompts of which nothing is known but their number: effects of their own, no products."""
    data = BanditDataset.from_arrays(
        log.obs.context, log.action, log.reward, prompts=1000, query=log.obs.query, output=log.require_output()
    )
    model = fit_output_model(data, seed=0)
    assert not model.interaction.size
    assert mean_error(replace(model, effect=model.effect[:60], prompts=WORLD.prompts.embedding), log.obs) < 0.1


def test_only_the_classes_asked_for_are_fitted(log) -> None:
    linear = fit_sentence_reward(log, classes=("linear",), seed=0)
    assert not linear.weight[:-1, :-1].any()
    assert isinstance(fit_sentence_reward(log, classes=("bilinear+mlp",), training=QUICK, seed=0), CorrectedReward)
    with pytest.raises(ValueError, match="classes: expected some of linear, bilinear"):
        fit_sentence_reward(log, classes=("quadratic",), seed=0)


def test_a_folder_gives_the_same_reward_model_as_memory(log, tmp_path, monkeypatch) -> None:
    log.save(tmp_path / "d")
    monkeypatch.setattr(sentence_rewards, "_ROWS", 700)
    classes = ("linear", "bilinear")
    stored = fit_sentence_reward(BanditDataset.open(tmp_path / "d"), classes=classes, seed=0)
    whole = fit_sentence_reward(log, classes=classes, seed=0)
    obs, output = log.obs, log.require_output()
    np.testing.assert_allclose(stored.predict(obs, output), whole.predict(obs, output), rtol=1e-6, atol=1e-8)


def test_an_affine_reward_is_its_intercept_and_slope(log) -> None:
    model = fit_sentence_reward(log, classes=("bilinear",), seed=0)
    intercept, slope = model.affine(log.obs)
    output = log.require_output()
    features = log.obs.features()
    z = np.c_[(features - features.mean(0, float)) / features.std(0, dtype=float), np.ones(len(log))]
    phi = np.c_[(output - output.mean(0, float)) / output.std(0, dtype=float), np.ones(len(log))]
    by_hand = np.einsum("nz,zo,no->n", z, model.weight, phi)
    np.testing.assert_allclose(intercept + (slope * output).sum(axis=1), by_hand, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(model.predict(log.obs, output), by_hand, rtol=1e-6, atol=1e-9)


def test_posterior_draws_have_the_posteriors_mean_and_covariance(log) -> None:
    model = fit_sentence_reward(log, classes=("bilinear",), seed=0)
    drawn = np.stack([member.weight.ravel() for member in model.draws(4000, seed=0)])
    deviation = np.sqrt(np.diag(model.covariance))
    np.testing.assert_allclose((drawn.mean(axis=0) - model.weight.ravel()) / deviation, 0, atol=0.08)
    np.testing.assert_allclose(drawn.std(axis=0) / deviation, 1, atol=0.06)


def sentence_value(log, **fields) -> SentenceValue:
    outputs = fit_output_model(log, seed=0)
    model = fit_sentence_reward(log, classes=("bilinear",), seed=0)
    return SentenceValue(outputs, (model,), **fields)


def test_the_sentence_value_is_the_mean_reward_of_what_is_written(log) -> None:
    """Against the oracle's q(x, a), which no learner sees: R² above 0.9; and both ways of asking agree."""
    value, obs = sentence_value(log), log.obs.take(slice(0, 400))
    truth, scores = WORLD.action_values(obs).value, value.scores(obs)
    assert np.square(scores - truth).mean() < 0.1 * truth.var()
    action = log.action[:400]
    np.testing.assert_allclose(value.predict(obs, action), scores[np.arange(400), action], rtol=1e-6, atol=1e-8)


class Square:
    def predict(self, obs, output):
        return np.square(output).sum(axis=1)


def test_a_reward_that_is_not_affine_is_averaged_over_residuals(log) -> None:
    """E‖µ + ε‖² = ‖µ‖² + E‖ε‖², for residuals and their mirror images."""
    outputs = fit_output_model(log, seed=0)
    value = SentenceValue(outputs, rest=Square(), n_draws=600)
    obs, action = log.obs.take(slice(0, 5)), log.action[:5]
    expected = np.square(outputs.mean(obs, action)).sum(axis=1) + np.square(outputs.residuals[:300]).sum(axis=1).mean()
    np.testing.assert_allclose(value.predict(obs, action), expected, rtol=1e-5)
    few = replace(value, n_draws=2)
    np.testing.assert_allclose(few.scores(obs)[np.arange(5), action], few.predict(obs, action), rtol=1e-6)


def test_pessimism_takes_off_what_the_log_is_unsure_of(log, tmp_path) -> None:
    value = SentenceDM(pessimism=2.0).fit_value(log, seed=0)
    assert len(value.affine) == 16
    obs = log.obs.take(slice(0, 50))
    bold = replace(value, pessimism=0.0)
    np.testing.assert_allclose(bold.scores(obs) - value.scores(obs), 2 * value.spread(obs), rtol=1e-6, atol=1e-9)
    fewer = SentenceDM(pessimism=2.0).fit_value(log.take(slice(0, 300)), seed=0)
    assert fewer.spread(obs).mean() > 2 * value.spread(obs).mean()
    back = prompt_bandits.load(prompt_bandits.save(value, tmp_path / "v"))
    np.testing.assert_array_equal(back.scores(obs), value.scores(obs))
    with pytest.raises(ValueError, match="pessimism: expected 0 with a reward model that tells no uncertainty"):
        SentenceDM(pessimism=1.0).fit_value(log, seed=0, r_hat=Square())


def test_corrected_rewards_are_pessimistic_and_saved_too(tmp_path) -> None:
    data = played("crooked", 1500)
    value = SentenceDM(pessimism=1.0, n_members=4, reward_training=QUICK).fit_value(data, seed=0)
    assert value.rest is not None
    obs, action = data.obs.take(slice(0, 4)), data.action[:4]
    np.testing.assert_allclose(value.predict(obs, action), value.scores(obs)[np.arange(4), action], rtol=1e-5)
    back = prompt_bandits.load(prompt_bandits.save(value, tmp_path / "v"))
    np.testing.assert_array_equal(back.scores(obs), value.scores(obs))


def test_fitted_parts_can_be_given(log) -> None:
    learner = SentenceDM(steps=20)
    value = learner.fit_value(log, WORLD, seed=0)
    given = learner.fit(log, seed=0, r_hat=value.affine[0], outputs=value.outputs)
    fitted = learner.fit(log, seed=0, simulator=WORLD)
    assert isinstance(given, NeuralPolicy)
    np.testing.assert_array_equal(given.action_dist(log.obs), fitted.action_dist(log.obs))


@pytest.mark.slow
def test_the_sentence_space_direct_method_beats_the_online_skyline() -> None:
    """Published worlds 0 and 1 at 8,000 and 500 rounds of a uniform policy: above .85 and .60, and each world above the
    .705 that online REINFORCE reaches on average.
    """
    for n, floor in ((8000, 0.85), (500, 0.6)):
        reached = []
        for world_seed in range(2):
            simulator = SyntheticConfig(world="published", world_seed=world_seed).build()
            data = collect(simulator, Uniform(), n)
            reached.append(simulator.optimality(SentenceDM().fit(data, seed=0, simulator=simulator)))
        assert np.mean(reached) > floor, reached
        assert n < 8000 or min(reached) > 0.705, reached


def test_a_poor_model_of_outputs_is_told_and_the_doubly_robust_learner_corrects_it() -> None:
    """The LLM writes one of two things, by a crooked function of query and prompt that no linear model can say."""

    class Crooked:
        def generate(self, obs, action, rounds):
            side = np.sign(obs.query[:, :1] * obs.query[:, 1:2]) * np.where(action[:, None] % 2, 1.0, -1.0)
            return Output((side + 0.1 * rounds.normal("output", 1)).astype(np.float32))

    class Plain:
        def expected(self, obs, output):
            return output.embedding[:, 0]

    simulator = replace(
        SyntheticConfig(n_actions=6).build(), llm=Crooked(), reward_model=Plain(), reward_noise=GaussianNoise(0.1)
    )
    data = collect(simulator, Uniform(), 2000)
    with pytest.warns(UserWarning, match=r"SentenceDM: the model of outputs explains .*% of what is written"):
        direct = SentenceDM(steps=600).fit(data, seed=0, simulator=simulator)
    with pytest.warns(UserWarning, match="SentenceDR: the model of outputs explains"):
        robust = SentenceDR(steps=1500, tau=0.3, emb_noise=0.0).fit(data, seed=0, simulator=simulator)
    assert simulator.optimality(direct, 500) < 0.3
    assert simulator.optimality(robust, 500) > 0.7


@pytest.mark.slow
def test_kernel_weights_correct_a_reward_model_of_the_wrong_class() -> None:
    """Linear rewards know of no taste: the direct method learns nothing with them, the doubly robust one learns."""
    simulator = SyntheticConfig(world="published", world_seed=0).build()
    data = collect(simulator, Uniform(), 8000)
    wrong = {"reward_classes": ("linear",)}
    direct = SentenceDM(**wrong).fit(data, seed=0, simulator=simulator)
    robust = SentenceDR(**wrong).fit(data, seed=0, simulator=simulator)
    assert simulator.optimality(direct) < 0.2
    assert simulator.optimality(robust) > 0.35
