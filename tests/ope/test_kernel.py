"""Kernel importance sampling in sentence space: by hand, its limits, both density forms, and doubly robust."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agents.density import MonteCarloDensity
from agents.kernels import OutputKernel, median_bandwidth
from agents.ope import evaluate, sentence_draws, shared_kernel_weights
from agents.ope.columns import columns_of
from agents.ope.estimators import IPS, SNIPS
from agents.ope.estimators.kernel import KernelDR, KernelIS, SNKernelIS
from agents.ope.sampled_reward import RSampled
from agents.ope.sentence_draws import drawn_actions
from agents.ope.sentence_models import SentenceReward
from agents.ope.shared_kernel_weights import spread_out
from prompt_bandits import collect
from prompt_bandits.policies import Logits, OracleScore, Softmax, Uniform
from prompt_bandits.synthetic import SyntheticConfig

from .three_rounds import three_rounds
from .three_sentences import LOGGING, POLICY, WRITES, Likes, Writes, three_sentences, with_all

FAR = Softmax(Logits(np.linspace(0, 2, 10)))
ALIKE = np.exp(-np.abs(WRITES[:, None] - WRITES)) / 2
"""K(φ(s_i), LLM(a)) of the Laplace kernel with τ = 1."""
SECOND = with_all(np.array([0.0, 1.0, 0.0]))


def laplace(kind, **settings):
    """With one output of each of the three prompts, unless told."""
    return kind(kernel="laplace", tau=1.0, **({"n_outputs": 3} | settings))


class Quarter:
    """A density of 1/4 everywhere."""

    def density(self, obs, output):
        return np.full(len(obs), 0.25)


def only(policy, data, estimator, **settings):
    """The result of one estimator."""
    return evaluate(policy, data, [estimator], **settings).results[0]


def test_shared_sentences_by_hand() -> None:
    weight = (POLICY * ALIKE).sum(axis=1) / (LOGGING * ALIKE).sum(axis=1)
    first = (0.2 + 0.3 * np.exp(-1) + 0.5 * np.exp(-3)) / (0.5 + 0.25 * np.exp(-1) + 0.25 * np.exp(-3))
    assert weight[0] == pytest.approx(first)
    found = only(POLICY, three_sentences(), laplace(KernelIS), simulator=Writes())
    np.testing.assert_allclose(found.round_values, weight * [1, 2, 5], rtol=1e-6)
    found = only(POLICY, three_sentences(), laplace(SNKernelIS), simulator=Writes())
    assert found.value == pytest.approx((weight * [1, 2, 5]).sum() / weight.sum(), rel=1e-6)


def test_a_given_density_by_hand() -> None:
    """The policy always has 1 written: e^−1, e^0 and e^−2, halved, over 1/4."""
    weight = np.exp([-1.0, 0.0, -2.0]) / 2 / 0.25
    found = only(
        SECOND, three_sentences(), laplace(KernelIS, density_by="function"), simulator=Writes(), density=Quarter()
    )
    np.testing.assert_allclose(found.round_values, weight * [1, 2, 5], rtol=1e-6)


def test_two_samples_by_hand() -> None:
    """With so many draws, one from each 2000th of the mass, both densities are about their expectations."""
    estimator = laplace(KernelIS, density_by="monte_carlo", n_outputs=2000, density_outputs=2000)
    found = only(POLICY, three_sentences(), estimator, simulator=Writes())
    weight = (POLICY * ALIKE).sum(axis=1) / (LOGGING * ALIKE).sum(axis=1)
    np.testing.assert_allclose(found.round_values, weight * [1, 2, 5], rtol=0.01)


def test_kernel_dr_by_hand() -> None:
    """Σ_a π·E[r̂] = 2·1 + 1; r − r̂(s) = 1 − 1, 2 − 3, 5 − 7."""
    estimator = laplace(KernelDR, density_by="function")
    found = only(SECOND, three_sentences(), estimator, simulator=Writes(), density=Quarter(), r_hat=Likes())
    np.testing.assert_allclose(found.round_values, 3 + 2 * np.exp([-1.0, 0.0, -2.0]) * [0, -1, -2], rtol=1e-6)


@pytest.fixture(scope="module")
def injective():
    """A world whose LLM writes the same whenever it is asked, and 300 rounds of it."""
    simulator = SyntheticConfig(n_actions=10, output_noise=0.0).build()
    return simulator, collect(simulator, Softmax(OracleScore(simulator), beta=0.5), 300, seed=1)


@pytest.mark.parametrize("n_outputs", [2, 6, 10, 25])
def test_a_narrow_kernel_and_an_injective_llm_make_it_ips(injective, n_outputs) -> None:
    simulator, data = injective
    estimators = [IPS(), KernelIS(tau=1e-4, n_outputs=n_outputs), SNIPS(), SNKernelIS(tau=1e-4, n_outputs=n_outputs)]
    ips, kernel, snips, self_normalised = evaluate(FAR, data, estimators, simulator=simulator).results
    np.testing.assert_allclose(kernel.round_values, ips.round_values, rtol=1e-5)
    assert self_normalised.value == pytest.approx(snips.value, rel=1e-5)


def test_a_kernel_that_finds_everything_alike_leaves_the_mean(simulator, logged) -> None:
    found = only(FAR, logged, KernelIS(tau=1e6, n_outputs=10), simulator=simulator)
    np.testing.assert_allclose(found.round_values, logged.reward, rtol=1e-4, atol=1e-6)


def test_on_policy_shared_sentences_give_the_mean(simulator, logged) -> None:
    found = only(logged.policies[0], logged, KernelIS(n_outputs=4), simulator=simulator)
    np.testing.assert_allclose(found.round_values, logged.reward, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("density_by", ["shared", "monte_carlo"])
def test_doubly_robust_with_a_model_of_nothing_is_importance_sampling(simulator, logged, density_by) -> None:
    settings = {"tau": 2.0, "density_by": density_by, "density_outputs": 20}
    estimators = [KernelIS(**settings), KernelDR(**settings)]
    one, other = evaluate(FAR, logged, estimators, simulator=simulator, r_hat=Likes(0.0, 0.0)).results
    np.testing.assert_allclose(one.round_values, other.round_values)


def test_doubly_robust_with_a_perfect_model_has_the_models_value() -> None:
    data = three_sentences()
    perfect = replace(data, reward=2 * data.require_output()[:, 0].astype(float) + 1)
    found = only(SECOND, perfect, laplace(KernelDR), simulator=Writes(), r_hat=Likes())
    np.testing.assert_allclose(found.round_values, [3, 3, 3], rtol=1e-6)


@pytest.mark.parametrize("density_by", ["shared", "monte_carlo"])
def test_weights_are_ratios_of_smoothed_densities(density_by) -> None:
    """In one dimension a Gaussian kernel makes a Gaussian output's variance 1 one of 1 + τ²."""
    simulator = SyntheticConfig(n_actions=10, dim_output=1).build()
    data = collect(simulator, Softmax(OracleScore(simulator), beta=1.0), 300, seed=1)
    policy, tau = Softmax(OracleScore(simulator), beta=-1.0), 2.0
    told = simulator.llm.output_distribution(data.obs)
    off = data.require_output() - told.shift - told.prompt[:, 0]
    likely = np.exp(-0.5 * off**2 / (1 + tau**2))
    expected = (policy.action_dist(data.obs) * likely).sum(axis=1) / (data.logging_dist() * likely).sum(axis=1)
    estimator = KernelIS(tau=tau, density_by=density_by, n_outputs=400, density_outputs=400)
    found = only(policy, data, estimator, simulator=simulator).round_values / data.reward
    assert np.corrcoef(found, expected)[0, 1] > 0.97
    assert np.median(np.abs(found / expected - 1)) < 0.1


def test_doubly_robust_stands_a_kernel_that_is_too_wide(simulator) -> None:
    data = collect(simulator, Softmax(OracleScore(simulator), beta=0.5), 20_000, seed=7)
    policy = Softmax(OracleScore(simulator), beta=3.0)
    truth = simulator.policy_value(policy).value
    weighted, robust = evaluate(policy, data, [KernelIS(tau=4.0), KernelDR(tau=4.0)], simulator=simulator).results
    assert abs(weighted.value - truth) > 8 * weighted.se
    assert abs(robust.value - truth) < 4 * robust.se


@pytest.mark.slow
def test_a_network_tells_a_density_like_fresh_sentences(simulator, logged) -> None:
    forms = [KernelIS(density_by=by, tau=2.0, n_outputs=50) for by in ("monte_carlo", "function")]
    sampled, network = (only(FAR, logged, one, simulator=simulator).round_values / logged.reward for one in forms)
    assert network.mean() == pytest.approx(1, abs=0.3)
    assert np.corrcoef(sampled, network)[0, 1] > 0.3


def test_neighbours_by_hand() -> None:
    """All three rounds are neighbours of each."""
    found = only(SECOND, three_sentences(), laplace(KernelIS, density_by="nearest"), simulator=Writes())
    weight = np.exp([-1.0, 0.0, -2.0]) / 2 / ALIKE.mean(axis=1)
    np.testing.assert_allclose(found.round_values, weight * [1, 2, 5], rtol=1e-6)


def test_a_density_of_ours_may_be_given(simulator, logged) -> None:
    given = MonteCarloDensity(simulator, logged.policies[0], OutputKernel(tau=2.0, emb_noise=0.0), 200)
    one = only(FAR, logged, KernelIS(tau=2.0, density_by="function", n_outputs=50), simulator=simulator, density=given)
    other = only(FAR, logged, KernelIS(tau=2.0, density_by="monte_carlo", n_outputs=50), simulator=simulator)
    assert one.value == pytest.approx(other.value, abs=0.5 * other.se)


def test_sentences_that_are_too_many_to_keep_are_written_again(simulator, logged, monkeypatch) -> None:
    estimators = [KernelIS(tau=1.0, n_outputs=5), KernelDR(tau=2.0, n_outputs=5)]
    kept = evaluate(FAR, logged, estimators, simulator=simulator)
    monkeypatch.setattr(shared_kernel_weights, "_KEPT_FEATURES", 0)
    monkeypatch.setattr(sentence_draws, "_CELLS", 1000)
    again = evaluate(FAR, logged, estimators, simulator=simulator)
    for one, other in zip(kept.results, again.results, strict=True):
        np.testing.assert_allclose(one.round_values, other.round_values, rtol=1e-6)


@pytest.mark.parametrize("with_simulator", [True, False])
@pytest.mark.parametrize("cross", ["shared", "monte_carlo"])
def test_chunks_do_not_change_values(simulator, logged, with_simulator, cross) -> None:
    estimator = KernelDR(tau=1.0, n_outputs=5, density_outputs=7, density_by=cross, emb_noise=0.5)
    whole = evaluate(FAR, logged, [estimator], simulator=simulator if with_simulator else None)
    columns = list(estimator.columns().values())
    pieces = columns_of(logged, FAR, columns, whole.models, memory_mb=0.05)
    values = estimator.round_values({name: pieces[column] for name, column in estimator.columns().items()})
    np.testing.assert_allclose(values, whole.results[0].round_values, rtol=1e-5)


def test_a_folder_and_an_array_give_what_memory_and_a_policy_give(simulator, logged, tmp_path) -> None:
    estimator = KernelDR(n_outputs=5)
    whole = evaluate(FAR, logged, [estimator], simulator=simulator)
    folder = evaluate(FAR, logged.save(tmp_path / "log"), [estimator], models=whole.models, memory_mb=1)
    array = evaluate(FAR.action_dist(logged.obs), logged, [estimator], models=whole.models)
    for other in (folder, array):
        np.testing.assert_allclose(other.results[0].round_values, whole.results[0].round_values, rtol=1e-4)


def test_logged_outputs_stand_in_for_the_llm(simulator) -> None:
    data = collect(simulator, Uniform(), 2000, seed=3)
    one = only(FAR, data, SNKernelIS(), simulator=simulator)
    other = only(FAR, data, SNKernelIS())
    assert other.value == pytest.approx(one.value, abs=one.se)


def test_the_bandwidth_is_a_share_of_the_median_distance(logged, simulator) -> None:
    tau = 0.1 * median_bandwidth(logged.require_output())
    one = only(FAR, logged, KernelIS(), simulator=simulator)
    other = only(FAR, logged, KernelIS(tau=tau), simulator=simulator)
    np.testing.assert_allclose(one.round_values, other.round_values, rtol=1e-6)


def test_a_sum_over_prompts_is_estimated_without_bias() -> None:
    """Σ_a f(a) of f = 1, …, 6 by three prompts, the logged one being the last."""
    generator = np.random.default_rng(0)
    dist = np.tile([0.1, 0.1, 0.2, 0.2, 0.1, 0.3], (20_000, 1))
    action, stands_for = spread_out(dist, np.full(20_000, 5), generator.random((20_000, 3)))
    assert (action[:, 0] == 5).all()
    assert (stands_for[:, 0] == 1).all()
    total = (stands_for * (action + 1)).sum(axis=1)
    assert total.mean() == pytest.approx(21, abs=4 * total.std() / np.sqrt(20_000))
    action, stands_for = spread_out(dist[:2], np.array([5, 0]), generator.random((2, 13)))
    assert action.shape == (2, 12)
    np.testing.assert_allclose((stands_for * (action + 1)).sum(axis=1), 21)


def test_prompts_that_only_the_policy_takes_are_drawn_too() -> None:
    """Prompt 1 writes like what was logged for prompt 0, which the policy never takes."""
    data = three_sentences()
    object.__setattr__(data.policies[0], "dist", np.array([[0.5, 0.0, 0.5], *LOGGING[1:]]))
    weights = [
        only(SECOND, data, laplace(KernelIS, n_outputs=2), simulator=Writes(), seed=seed).round_values[0]
        for seed in range(10)
    ]
    assert max(weights) > 0.1


def test_a_certain_logging_policy_leaves_no_other_prompt_to_draw() -> None:
    _, stands_for = spread_out(np.array([[0.0, 2.0, 0.0]]), np.array([1]), np.array([[0.3, 0.9]]))
    assert stands_for.tolist() == [[1, 0]]


def test_draws_are_spread_over_the_mass_and_none_is_impossible() -> None:
    dist = np.tile([0.0, 0.25, 0.0, 0.75, 0.0], (100, 1))
    action = drawn_actions(dist, np.random.default_rng(1).random((100, 8)))
    assert (action == [1, 1, 3, 3, 3, 3, 3, 3]).all()
    assert (drawn_actions(2 * dist, np.full((100, 1), 1 - 2**-53)) == 3).all()


def test_the_models_expectation_is_over_the_policys_own_sentences(simulator, logged) -> None:
    """r̂(x, s) = φ_1(s): its expectation is the policy's mean output."""
    column = RSampled(SentenceReward(), 400)
    found = only(FAR, logged, KernelDR(n_outputs=400), simulator=simulator, r_hat=Likes(1.0, 0.0))
    assert found.value is not None
    told = simulator.llm.output_distribution(logged.obs)
    expected = FAR.action_dist(logged.obs) @ told.prompt[:, 0] + told.shift[:, 0]
    models = evaluate(FAR, logged, [KernelDR()], simulator=simulator, r_hat=Likes(1.0, 0.0)).models
    values = columns_of(logged, FAR, [column], models)[column]
    np.testing.assert_allclose(values, expected, atol=5 / np.sqrt(400))
    assert values.mean() == pytest.approx(expected.mean(), abs=4 / np.sqrt(400 * 600))


def test_what_is_missing_is_named() -> None:
    without = replace(three_sentences(), output=None)
    found = evaluate(POLICY, without, [KernelIS(), KernelDR()], simulator=Writes(), r_hat=Likes())
    assert {one.refused for one in found.results} == {"output: no embeddings in this dataset, but needed here"}
    without = replace(three_sentences(), policies=())
    for form in ("shared", "monte_carlo"):
        found = only(POLICY, without, KernelIS(density_by=form), simulator=Writes())
        assert found.refused.startswith("logging_policy: this weight asks what the logging policy would have done")
    found = only(POLICY, without, KernelIS(density_by="function", tau=1.0), simulator=Writes())
    assert found.refused.startswith("logging_policy: ")
    assert only(POLICY, without, laplace(KernelIS, density_by="function"), simulator=Writes(), density=Quarter()).value
    found = only(POLICY, three_sentences(), KernelIS(), simulator=object())
    assert found.refused.startswith("simulator: this estimator samples outputs of the frozen LLM; expected an object")
    found = only(np.tile([0.2, 0.8], (3, 1)), three_rounds(), KernelIS())
    assert found.refused == "output: no embeddings in this dataset, but needed here"
    found = only(POLICY, three_sentences(np.ones(3)), KernelIS(), simulator=Writes())
    assert found.refused.startswith("tau: the median distance between logged outputs is 0")


def test_a_density_of_nothing_is_no_density() -> None:
    class Nothing:
        def density(self, obs, output):
            return np.zeros(len(obs))

    with pytest.raises(ValueError, match=r"density: expected numbers > 0, got 0.0 in round 0"):
        only(SECOND, three_sentences(), laplace(KernelIS, density_by="function"), simulator=Writes(), density=Nothing())


@pytest.mark.parametrize(
    "settings",
    [
        {"kernel": "box"},
        {"tau": 0.0},
        {"emb_noise": -1.0},
        {"n_outputs": 1},
        {"density_by": "guess"},
        {"density_outputs": 0},
        {"density_steps": 0},
        {"clip": 0.0},
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(settings) -> None:
    with pytest.raises(ValueError, match="expected"):
        KernelIS(**settings)
    with pytest.raises(ValueError, match="reward_classes: expected some of linear, bilinear"):
        KernelDR(reward_classes=("cubic",))
