"""Estimators by way of sentences: by hand, their limits, what balances, and what they gain where prompts are many."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agents.cross_fitting import CrossFittedOutputReward
from agents.ope import chunk, evaluate, sentence_balance
from agents.ope.chunk import chunks_of
from agents.ope.columns import columns_of
from agents.ope.estimators import DM, DR, IPS, SNIPS
from agents.ope.estimators.kernel import KernelIS
from agents.ope.estimators.sentence import BalancedSentenceDM, BalancedSentenceDR, SentenceDM, SentenceDR
from agents.ope.models import Fitter, Models
from agents.ope.sentence_balance import Balancing, average_output, factors
from agents.ope.sentence_models import OUTPUTS, CrossFittedOutputs, RLogged, SentenceQ, SentenceReward
from agents.reward_models import RewardTraining
from prompt_bandits import collect
from prompt_bandits.policies import Logits, OracleScore, Softmax
from prompt_bandits.synthetic import SyntheticConfig

from .three_rounds import three_rounds
from .three_sentences import LOGGING, POLICY, WRITES, Likes, model_of_outputs, three_sentences

FAR = Softmax(Logits(np.linspace(0, 2, 10)))
EXACT = replace(model_of_outputs(), residuals=np.zeros((1, 1)))
"""A model of outputs that always writes WRITES."""
LAPLACE = {"kernel": "laplace", "tau": 1.0, "n_outputs": 3}
ALL = [SentenceDM(), BalancedSentenceDM(), BalancedSentenceDR(), SentenceDR(n_outputs=5)]


def only(policy, data, estimator, **settings):
    """The result of one estimator."""
    return evaluate(policy, data, [estimator], **settings).results[0]


def test_sentence_dm_by_hand() -> None:
    """q̂ = 2·(0, 1, 3) + 1, taken with probability 0.2, 0.3 and 0.5."""
    found = only(POLICY, three_sentences(), SentenceDM(), simulator=EXACT, r_hat=Likes())
    np.testing.assert_allclose(found.round_values, [4.6, 4.6, 4.6])


def test_a_penalty_that_forbids_balancing_takes_off_the_mean_error() -> None:
    """r − r̂(s) = 0, −1, −2."""
    found = only(POLICY, three_sentences(), BalancedSentenceDM(penalty=1e12), simulator=EXACT, r_hat=Likes())
    np.testing.assert_allclose(found.round_values, [4.6, 3.6, 2.6], rtol=1e-6)


def test_sentence_dr_by_hand() -> None:
    """1.5 is logged where 1 is what the LLM writes on average: r̂(s) = 1, 4, 7 and q̂(a) = 1, 3, 7."""
    data = three_sentences(np.array([0.0, 1.5, 3.0]))
    found = only(POLICY, data, SentenceDR(**LAPLACE), simulator=EXACT, r_hat=Likes())
    alike = np.exp(-np.abs(np.array([0, 1.5, 3])[:, None] - WRITES))
    kernel = (POLICY * alike).sum(axis=1) / (LOGGING * alike).sum(axis=1)
    of_outputs = 1.5 / 2.9 + np.array([0.4, 1.5, 1]) / (2.9 / 3) * (np.array([0, 1, 0]) - 1.5 / 2.9)
    np.testing.assert_allclose(found.round_values, 4.6 + kernel * [0, -2, -2] + of_outputs, rtol=1e-5)
    clipped = only(POLICY, data, SentenceDR(clip=0.5, **LAPLACE), simulator=EXACT, r_hat=Likes())
    tamed = np.minimum(kernel, 0.5)
    np.testing.assert_allclose(clipped.round_values, 4.6 + tamed * [0, -2, -2] + of_outputs, rtol=1e-5)


def test_balanced_sentence_dr_by_hand() -> None:
    """As before: r − r̂(s) = 0, −2, −2, weighted by 1 where balancing is forbidden."""
    data = three_sentences(np.array([0.0, 1.5, 3.0]))
    found = only(POLICY, data, BalancedSentenceDR(penalty=1e12), simulator=EXACT, r_hat=Likes())
    of_outputs = 1.5 / 2.9 + np.array([0.4, 1.5, 1]) / (2.9 / 3) * (np.array([0, 1, 0]) - 1.5 / 2.9)
    np.testing.assert_allclose(found.round_values, 4.6 + np.array([0, -2, -2]) + of_outputs, rtol=1e-5)


class LikesByPrompt:
    """What Likes expects of WRITES."""

    def scores(self, obs):
        return np.tile(2 * WRITES + 1, (len(obs), 1))


def test_with_a_narrow_kernel_and_an_injective_llm_sentence_dr_is_dr() -> None:
    found = only(POLICY, three_sentences(), SentenceDR(tau=1e-3, n_outputs=3), simulator=EXACT, r_hat=Likes())
    expected = only(POLICY, three_sentences(), DR(), q_hat=LikesByPrompt())
    np.testing.assert_allclose(found.round_values, expected.round_values, rtol=1e-6)


def test_without_a_reward_model_sentence_dr_is_kernel_importance_sampling(simulator, logged) -> None:
    estimators = [SentenceDR(tau=1.0), KernelIS(tau=1.0)]
    one, other = evaluate(FAR, logged, estimators, simulator=simulator, r_hat=Likes(0.0, 0.0, 5)).results
    np.testing.assert_allclose(one.round_values, other.round_values, atol=1e-12)


def test_with_a_perfect_reward_model_balancing_leaves_the_direct_method(simulator, logged) -> None:
    likes = Likes(dim=5)
    perfect = replace(logged, reward=likes.predict(logged.obs, logged.require_output()))
    one, other = evaluate(FAR, perfect, [SentenceDM(), BalancedSentenceDM()], simulator=simulator, r_hat=likes).results
    np.testing.assert_allclose(one.round_values, other.round_values, atol=1e-6)


def test_what_a_linear_reward_model_says_does_not_matter_once_it_is_balanced(simulator, logged) -> None:
    """All give the least-squares estimate of the bilinear reward; a cross-fitted model is linear a fold at a time."""
    estimator = BalancedSentenceDM(penalty=1e-9)
    models = (Likes(0.0, 0.0, 5), Likes(5.0, -3.0, 5), None)
    one, other, fitted = (only(FAR, logged, estimator, simulator=simulator, r_hat=r_hat).value for r_hat in models)
    assert one == pytest.approx(other, abs=1e-5)
    assert fitted == pytest.approx(one, abs=0.02)


def test_weights_balance_the_products_of_users_and_sentences(simulator, logged) -> None:
    fitter = Fitter(logged, FAR, Models(simulator=simulator))
    spec = Balancing(1e-9)
    model, outputs = fitter.get(spec), fitter.get(OUTPUTS)
    (whole,) = chunks_of(logged, FAR, fitter.models)
    weight = model.weight(whole)
    z, written = factors(model.features, whole, logged.require_output())
    _, average = factors(model.features, whole, average_output(whole, outputs))
    np.testing.assert_allclose((z * weight[:, None]).T @ written, z.T @ average, atol=1e-5 * len(logged))
    shy = Fitter(logged, FAR, fitter.models).get(Balancing(1e3)).weight(whole)
    assert weight.mean() == pytest.approx(1, abs=1e-6)
    assert shy.mean() == pytest.approx(1, abs=1e-6)
    assert shy.std() < 0.1 * weight.std()


def test_on_policy_weights_are_about_one(simulator, logged) -> None:
    columns = BalancedSentenceDM().columns()
    found = evaluate(logged.policies[0], logged, [BalancedSentenceDM(), BalancedSentenceDR()], simulator=simulator)
    mean = logged.reward.mean()
    assert all(abs(one.value - mean) < 0.5 * one.se for one in found.results)
    fitter = Fitter(logged, logged.policies[0], found.models)
    fitter.get(Balancing())
    weight = columns_of(logged, logged.policies[0], [columns["balancing"]], fitter.models)[columns["balancing"]]
    assert weight.std() < 0.25


@pytest.mark.parametrize("with_simulator", [True, False])
def test_balanced_and_doubly_robust_ones_are_right_within_four_standard_errors(simulator, with_simulator) -> None:
    data = collect(simulator, Softmax(OracleScore(simulator), beta=0.5), 10_000, seed=9)
    policy = Softmax(OracleScore(simulator), beta=5.0)
    found = evaluate(policy, data, ALL, simulator=simulator if with_simulator else None)
    truth = simulator.policy_value(policy).value
    for one in found.results[1:]:
        assert abs(one.value - truth) < 4 * one.se, str(one)
    assert found["balanced-sentence-dr"].se < only(policy, data, IPS()).se


def test_every_round_is_judged_by_models_that_have_not_seen_it(logged) -> None:
    fitter = Fitter(logged, FAR, Models(), seed=3)
    reward, value = SentenceReward(), SentenceQ()
    r_hat, outputs, q = fitter.get(reward), fitter.get(OUTPUTS), fitter.get(value)
    assert isinstance(r_hat, CrossFittedOutputReward)
    assert isinstance(outputs, CrossFittedOutputs)
    predicted = columns_of(logged, FAR, [RLogged(reward)], fitter.models)[RLogged(reward)]
    np.testing.assert_allclose(predicted, r_hat.out_of_fold(logged))
    unseen = {id(model): set(rows) for parts in (r_hat, outputs) for rows, model in parts.unseen(logged)}
    seen = np.zeros(len(logged), dtype=int)
    for rows, one in q.unseen(logged):
        seen[rows] += 1
        assert set(rows) <= unseen[id(one.affine[0])] & unseen[id(one.outputs)]
    assert (seen == 1).all()


def test_a_reward_model_by_network_corrects_a_ridge_regression(logged) -> None:
    estimator = SentenceDM(reward_classes=("bilinear+mlp",))
    found = evaluate(
        FAR, logged.take(slice(0, 100)), [estimator], training=RewardTraining(steps=20, log_every=10, hidden=4), folds=2
    )
    assert estimator.name == "sentence-dm[reward_classes=('bilinear+mlp',)]"
    assert found.results[0].value is not None


@pytest.mark.parametrize("with_simulator", [True, False])
def test_chunks_folders_and_arrays_do_not_change_values(simulator, logged, tmp_path, with_simulator) -> None:
    whole = evaluate(FAR, logged, ALL, simulator=simulator if with_simulator else None)
    array = evaluate(FAR.action_dist(logged.obs), logged, ALL, models=whole.models)
    folder = evaluate(FAR, logged.save(tmp_path / "log"), ALL, models=whole.models, memory_mb=1)
    fitter = Fitter(logged, FAR, whole.models)
    fitter.get(Balancing())
    for one in ALL:
        columns = one.columns()
        pieces = columns_of(logged, FAR, list(columns.values()), fitter.models, memory_mb=0.05)
        values = one.round_values({name: pieces[column] for name, column in columns.items()})
        for other in (values, array[one.name].round_values, folder[one.name].round_values):
            np.testing.assert_allclose(other, whole[one.name].round_values, rtol=1e-4, atol=1e-5)


def test_of_many_rounds_some_tell_how_to_balance(simulator, logged, monkeypatch) -> None:
    policy = Softmax(OracleScore(simulator), beta=3.0)
    whole = only(policy, logged, BalancedSentenceDM(), simulator=simulator)
    monkeypatch.setattr(sentence_balance, "_MOST_ROUNDS", 300)
    monkeypatch.setattr(chunk, "_ROWS", 150)
    some = only(policy, logged, BalancedSentenceDM(), simulator=simulator)
    array = only(policy.action_dist(logged.obs), logged, BalancedSentenceDM(), simulator=simulator)
    np.testing.assert_allclose(array.round_values, some.round_values, rtol=1e-5, atol=1e-6)
    assert some.value != whole.value
    assert some.value == pytest.approx(whole.value, abs=0.5 * whole.se)


def test_no_propensities_are_needed_but_for_the_model_of_outputs(logged) -> None:
    data = replace(logged, propensity=None, policies=(), policy_id=None)
    found = evaluate(FAR, data, ALL)
    assert found["sentence-dm"].value == pytest.approx(evaluate(FAR, logged, ALL)["sentence-dm"].value)
    assert found["balanced-sentence-dm"].value is not None
    assert found["balanced-sentence-dr"].refused.startswith("propensity: unknown in this dataset")
    assert found.results[3].refused.startswith("logging_policy: this weight asks")


def test_without_outputs_they_are_refused() -> None:
    found = evaluate(np.tile([0.2, 0.8], (3, 1)), three_rounds(), ALL)
    assert {one.refused for one in found.results} == {"output: no embeddings in this dataset, but needed here"}


def test_a_model_of_outputs_that_explains_little_is_doubted(logged) -> None:
    blind = replace(model_of_outputs(), r_squared=0.2)
    for estimator in (SentenceDM(), BalancedSentenceDM(), SentenceDR(n_outputs=3, tau=1.0)):
        doubted = only(POLICY, three_sentences(), estimator, simulator=blind, r_hat=Likes())
        assert any("explains 20% of what the LLM writes" in told for told in doubted.warnings)
        trusted = only(POLICY, three_sentences(), estimator, simulator=model_of_outputs(), r_hat=Likes())
        assert not any("model of outputs" in told for told in trusted.warnings)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="penalty: expected > 0, got 0"):
        BalancedSentenceDM(penalty=0)
    for kind in (SentenceDM, BalancedSentenceDR, SentenceDR):
        with pytest.raises(ValueError, match="reward_classes: expected some of linear, bilinear"):
            kind(reward_classes=())
    with pytest.raises(ValueError, match="density_by"):
        SentenceDR(density_by="guess")


@pytest.mark.slow
@pytest.mark.parametrize(("with_simulator", "n"), [(True, 1000), (False, 6000)])
def test_with_a_thousand_prompts_balanced_sentences_have_half_the_error(with_simulator, n) -> None:
    """Of the best of IPS, SNIPS, DM and DR over six logs, for a policy far from the logging policy. Without a simulator
    prompts have to be logged a few times each.
    """
    base, errors = [IPS(), SNIPS(), DM(), DR()], {}
    for seed in range(6):
        simulator = SyntheticConfig(n_actions=1000, world_seed=seed).build()
        data = collect(simulator, Softmax(OracleScore(simulator), beta=0.5), n, seed=seed)
        policy = Softmax(OracleScore(simulator), beta=10.0)
        truth = simulator.policy_value(policy, 2000).value
        quick = {"training": RewardTraining(steps=300), "folds": 2}
        found = [*evaluate(policy, data, base, **quick).results]
        found.append(only(policy, data, BalancedSentenceDR(), simulator=simulator if with_simulator else None))
        for one in found:
            errors.setdefault(one.name, []).append((one.value - truth) ** 2)
    mse = {name: np.mean(several) for name, several in errors.items()}
    assert mse["balanced-sentence-dr"] < 0.5 * min(mse[one.name] for one in base), mse
