"""What every learner minimises, by hand and by identity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from agents.batch import Batch
from agents.clustering import Clustering, ClusterReward
from agents.cross_fitting import CrossFittedActionReward, fold_of
from agents.kernels import KERNELS, OutputKernel, gaussian, median_bandwidth, output_distance
from agents.learners import DR, DSO, IPS, POEM, POTEC, OnlineREINFORCE, SwitchDR, dso, model_value
from agents.learners.dr import doubly_robust_loss
from agents.learners.ips import ips_loss
from agents.learners.kernel_weighting import draw_sentences
from agents.learners.model_value import model_value_loss
from agents.learners.steps import Step
from agents.losses import entropy, kl_divergence, variance_penalty
from agents.nearest_density import NearestDensity
from agents.policies import masked_log_softmax
from agents.testing import identity_bandit
from agents.weights import importance_weight
from prompt_bandits import BanditDataset
from prompt_bandits.policies import EpsilonGreedy, Logits
from prompt_bandits.rounds import Rounds
from prompt_bandits.types import Observation, Output, Prompts

LOG_PROBS = torch.tensor([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]]).log()


def step_of(data: BanditDataset, log_probs: torch.Tensor, action: list[int]) -> Step:
    """A hand-made step: these log-probabilities, and a' drawn as told."""

    class Told(Step):
        def draws(self, k):
            return torch.tensor(action)[:, None].expand(-1, k)

    return Told(np.arange(len(data)), data.obs, Batch.of(data), log_probs, Rounds(0, 0, len(data), "fit/test"))


def two_rows(**columns) -> BanditDataset:
    return BanditDataset.from_arrays(
        np.zeros((2, 1)),
        np.array([0, 1]),
        np.array([2.0, -1.0]),
        prompts=3,
        propensity=np.array([0.5, 0.01]),
        **columns,
    )


def test_the_ips_loss_by_hand() -> None:
    log_probs = torch.tensor([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]]).log()
    clipped = IPS(clip=10.0)._loss(step_of(two_rows(), log_probs, [0, 0])).value
    # w = 0.2/0.5 and min(0.8/0.01, 10)
    assert clipped.item() == pytest.approx(-(0.4 * 2.0 * np.log(0.2) + 10 * -1.0 * np.log(0.8)) / 2, rel=1e-5)
    free = IPS(clip=None)._loss(step_of(two_rows(), log_probs, [0, 0])).value
    assert free.item() == pytest.approx(-(0.4 * 2.0 * np.log(0.2) + 80 * -1.0 * np.log(0.8)) / 2, rel=1e-5)


def test_the_self_normalised_loss_by_hand() -> None:
    """w = 0.4 and 80, normalised to average 1; rewards count from their weighted mean."""
    loss = IPS(clip=None, self_normalised=True)._loss(step_of(two_rows(), LOG_PROBS, [0, 0])).value
    w = np.array([0.4, 80.0]) / 40.2
    mean = (w * [2.0, -1.0]).mean()
    expected = -(w * (np.array([2.0, -1.0]) - mean) * np.log([0.2, 0.8])).mean()
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_the_self_normalised_gradient_is_that_of_the_snips_estimate() -> None:
    data = two_rows()
    logits = torch.randn(2, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    log_probs = torch.log_softmax(logits, dim=1)
    step = step_of(data, log_probs, [0, 0])
    weight = step.logged_log_prob().exp() / step.propensity
    value = (weight * step.logged.reward).sum() / weight.sum()
    (exact,) = torch.autograd.grad(-value, logits, retain_graph=True)
    (ours,) = torch.autograd.grad(ips_loss(step, None, self_normalise=True).value, logits)
    torch.testing.assert_close(ours, exact)


def test_the_poem_loss_by_hand() -> None:
    """u = −(0.4·2, 10·−1), mean 4.6, and λ·sqrt(Var(u)/n) beside it."""
    loss = POEM(clip=10.0, variance_penalty=3.0)._loss(step_of(two_rows(), LOG_PROBS, [0, 0]), n=100).value
    terms = np.array([-0.8, 10.0])
    assert loss.item() == pytest.approx(4.6 + 3 * np.sqrt(terms.var(ddof=1) / 100), rel=1e-5)
    assert variance_penalty(torch.tensor([1.0]), 5).item() == pytest.approx(0, abs=1e-5)


class Table:
    """A reward model that knows a number for each prompt, whoever asks."""

    def __init__(self, *values: float) -> None:
        self.values = np.array(values, dtype=np.float64)

    def scores(self, obs):
        return np.tile(self.values, (len(obs), 1))

    def predict(self, obs, action):
        return self.values[action]


def loss_of(make, data, log_probs, drawn=(0, 0)) -> float:
    return make(data)(step_of(data, log_probs, list(drawn))).value.item()


def plain(prob, propensity):
    return importance_weight(prob, propensity, 200.0)


def test_the_dr_loss_by_hand() -> None:
    """w = 0.4 and 80; residuals 2 − 1 and −1 − 0; the model's value 0.2·1 + 0.5·4 and 0.1·1 + 0.1·4."""
    q_hat = Table(1.0, 0.0, 4.0)
    corrected = -(0.4 * 1 * np.log(0.2) + 80 * -1 * np.log(0.8)) / 2
    loss = loss_of(doubly_robust_loss(q_hat, q_hat, plain, sampled=False), two_rows(), LOG_PROBS)
    assert loss == pytest.approx(corrected - (2.2 + 0.5) / 2, rel=1e-5)
    sampled = loss_of(doubly_robust_loss(q_hat, q_hat, plain, sampled=True), two_rows(), LOG_PROBS, (2, 0))
    assert sampled == pytest.approx(corrected - (4 * np.log(0.5) + 1 * np.log(0.1)) / 2, rel=1e-5)


class Rows(Table):
    """A reward model that tells users apart: what `Table` says, times one more than the context."""

    def scores(self, obs):
        return super().scores(obs) * (1 + obs.context)

    def predict(self, obs, action):
        return super().predict(obs, action) * (1 + obs.context[:, 0])


def test_each_round_is_believed_to_earn_its_own_reward(monkeypatch) -> None:
    """Looked up or computed, exactly or by one draw."""
    q_hat = Rows(1.0, 0.0, 4.0)
    exact, sampled = -(2.2 * 1 + 0.5 * 2) / 2, -(4 * np.log(0.5) + 2 * 1 * np.log(0.1)) / 2
    for kept in (1 << 24, 0):
        monkeypatch.setattr(model_value, "_KEPT_CELLS", kept)
        assert loss_of(model_value_loss(q_hat), sentences(), LOG_PROBS) == pytest.approx(exact, rel=1e-5)
        drawn = loss_of(model_value_loss(q_hat, sampled=True), sentences(), LOG_PROBS, (2, 0))
        assert drawn == pytest.approx(sampled, rel=1e-5)


def test_the_mean_baseline_is_that_of_earlier_rewards() -> None:
    """Rewards 2 and −1, with none before, then once more with their mean .5 before."""
    loss = OnlineREINFORCE(baseline="mean")._loss()
    step = step_of(two_rows(), LOG_PROBS, [0, 0])
    log_prob = np.log([0.2, 0.8])
    assert loss(step).value.item() == pytest.approx(-(np.array([2.0, -1.0]) * log_prob).mean(), rel=1e-5)
    assert loss(step).value.item() == pytest.approx(-(np.array([1.5, -1.5]) * log_prob).mean(), rel=1e-5)


def test_dr_with_zero_q_equals_ips() -> None:
    zero = Table(0.0, 0.0, 0.0)
    ips = IPS()._loss(step_of(two_rows(), LOG_PROBS, [0, 0])).value.item()
    assert loss_of(doubly_robust_loss(zero, zero, plain, sampled=False), two_rows(), LOG_PROBS) == pytest.approx(ips)


def test_dr_without_weights_is_the_direct_method_and_switching_drops_large_ones() -> None:
    q_hat = Table(1.0, 0.0, 4.0)
    direct = loss_of(model_value_loss(q_hat), two_rows(), LOG_PROBS)
    none = loss_of(
        doubly_robust_loss(q_hat, q_hat, SwitchDR(threshold=0.0)._weight, sampled=False), two_rows(), LOG_PROBS
    )
    assert none == pytest.approx(direct)
    small = loss_of(
        doubly_robust_loss(q_hat, q_hat, SwitchDR(threshold=20.0)._weight, sampled=False), two_rows(), LOG_PROBS
    )
    assert small == pytest.approx(direct - 0.4 * 1 * np.log(0.2) / 2, rel=1e-5)
    every = SwitchDR(threshold=1e9)._weight(torch.tensor([0.8]), torch.tensor([0.01]))
    assert every.item() == pytest.approx(DR(clip=None)._weight(torch.tensor([0.8]), torch.tensor([0.01])).item())


def test_of_a_cross_fitted_model_each_row_gets_the_fold_that_has_not_seen_it() -> None:
    """Residuals and believed values both: as if each row had been judged by its own model."""
    models = (Table(1.0, 0.0, 4.0), Table(-2.0, 3.0, 5.0))
    seed = next(k for k in range(99) if fold_of(two_rows(), 2, k).tolist() == [0, 1])
    crossed = CrossFittedActionReward(models, seed)
    loss = loss_of(doubly_robust_loss(crossed, crossed, plain, sampled=False), two_rows(), LOG_PROBS)
    believed = 0.2 * 1 + 0.5 * 4 + 0.1 * -2 + 0.8 * 3 + 0.1 * 5
    corrected = 0.4 * (2 - 1) * np.log(0.2) + 80 * (-1 - 3) * np.log(0.8)
    assert loss == pytest.approx(-(corrected + believed) / 2, rel=1e-5)


def test_potec_with_a_cluster_for_each_prompt_is_dr() -> None:
    q_hat = Table(1.0, 0.0, 4.0)
    alone = Clustering(np.arange(3), np.eye(3, dtype=np.float32))
    dr = doubly_robust_loss(q_hat, q_hat, plain, sampled=False)
    potec = POTEC()._make_loss(q_hat, alone, sampled=False)
    assert loss_of(potec, two_rows(), LOG_PROBS) == pytest.approx(loss_of(dr, two_rows(), LOG_PROBS))


def test_the_log_by_cluster_has_summed_propensities_and_the_best_prompts_value() -> None:
    clustering = Clustering(np.array([0, 1, 1]), np.eye(2, dtype=np.float32))
    policy = EpsilonGreedy(Logits(np.array([0.0, 0.0, 1.0])), 0.3)  # 0.1, 0.1, 0.8
    data = replace(two_rows(), policies=(policy,))
    clusters = clustering.rounds(data)
    assert clusters.action.tolist() == [0, 1]
    np.testing.assert_allclose(clusters.propensity, [0.1, 0.9])
    assert clusters.n_actions == 2
    assert clustering.rounds(replace(data, policies=())).propensity is None
    reward = ClusterReward(Table(1.0, 0.0, 4.0), clustering)
    np.testing.assert_array_equal(reward.scores(data.obs), [[1, 4], [1, 4]])
    np.testing.assert_array_equal(reward.best(data.obs), [[0, 2], [0, 2]])
    np.testing.assert_array_equal(reward.predict(data.obs, np.array([1, 0])), [4, 1])
    masked = replace(data.obs, action_mask=np.array([[True, True, False], [False, True, True]]))
    np.testing.assert_array_equal(reward.best(masked)[:, 1], [1, 2])


class Written:
    """Writes (0, 3) in the first round and (1, 1) in the second, plus the prompt's number."""

    def respond(self, obs, action, rounds):
        base = np.array([[0.0, 3.0], [1.0, 1.0]], np.float32)
        return Output(base[obs.context[:, 0].astype(int)] + action[:, None].astype(np.float32))


def sentences() -> BanditDataset:
    data = two_rows(output=np.array([[0.0, 0.0], [3.0, 3.0]]))
    return replace(data, obs=replace(data.obs, context=np.array([[0.0], [1.0]], np.float32)))


DENSITY = np.array([0.05, 0.01], np.float32)


class Given:
    def density(self, obs, output):
        return DENSITY


def dso_loss(learner: DSO, action: list[int], r_hat=None) -> float:
    """The loss that the learner's own fit would minimise in a step of these rows."""
    made = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dso, "fit_policy", lambda config, data, make_loss, **_: made.append(make_loss(data)))
        learner.fit(sentences(), seed=0, simulator=Written(), density=Given(), r_hat=r_hat)
    return made[0](step_of(sentences(), LOG_PROBS, action)).value.item()


def kernel_at(distance: float) -> float:
    return gaussian(torch.tensor(distance), 2.0).item()


def test_the_dso_loss_by_hand() -> None:
    """Each row has its own density, its own drawn sentence, and its weight is clipped."""
    learner = DSO(tau=2.0, emb_noise=0.0, clip=4.0)
    # drawn sentences (1, 4) and (3, 3): distances sqrt(17)/2 and 0
    near, far = kernel_at(0.0), kernel_at(17**0.5 / 2)
    weights = [far / 0.05, min(near / 0.01, 4.0)]
    assert weights[0] < 4 < near / 0.01
    expected = -(weights[0] * 2.0 * np.log(0.3) + weights[1] * -1.0 * np.log(0.1)) / 2
    assert dso_loss(learner, [1, 2]) == pytest.approx(expected, rel=1e-5)
    assert dso_loss(replace(learner, n_inner=3), [1, 2]) == pytest.approx(expected, rel=1e-5)
    assert dso_loss(replace(learner, emb_noise=1.0), [1, 2]) != pytest.approx(expected, rel=1e-3)


def test_self_normalised_dso_weights_average_one() -> None:
    learner = DSO(tau=2.0, emb_noise=0.0, clip=4.0, self_normalised=True)
    weights = np.array([kernel_at(17**0.5 / 2) / 0.05, 4.0])
    weights /= weights.mean()
    expected = -(weights * [2.0, -1.0] * np.log([0.3, 0.1])).mean()
    assert dso_loss(learner, [1, 2]) == pytest.approx(expected, rel=1e-5)


class SumOfOutput:
    def predict(self, obs, output):
        return output.sum(axis=1)


def test_the_control_variate_by_hand() -> None:
    """Residuals 2 − 0 and −1 − 6; what is drawn is believed to earn 5 and 6."""
    learner = DSO(tau=2.0, emb_noise=0.0, clip=4.0, control_variate=True)
    weights = [kernel_at(17**0.5 / 2) / 0.05, 4.0]
    signals = np.array([weights[0] * 2 + 5, weights[1] * -7 + 6])
    expected = -(signals * np.log([0.3, 0.1])).mean()
    assert dso_loss(learner, [1, 2], SumOfOutput()) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match="r_hat: expected none unless control_variate=True"):
        dso_loss(DSO(), [0, 0], SumOfOutput())


def test_the_exact_expectation_is_the_mean_of_sampled_gradients() -> None:
    """Its gradient equals Σ_a π(a|x)·(gradient of the loss that draws a)."""
    learner = DSO(tau=2.0, emb_noise=0.0, clip=None)
    logits = torch.randn(2, 3, generator=torch.Generator().manual_seed(1), requires_grad=True)

    def gradient(learner, action):
        log_probs = torch.log_softmax(logits, dim=1)
        step = step_of(sentences(), log_probs, action)
        drawn = draw_sentences(learner, step, OutputKernel(tau=2.0, emb_noise=0.0), Written(), DENSITY)
        reward = torch.tensor([2.0, -1.0])[:, None]
        return torch.autograd.grad(drawn.loss(step, drawn.weight * reward), logits)[0]

    exact = gradient(replace(learner, expectation="exact", n_inner=2), [0, 0])
    probs = torch.softmax(logits, dim=1).detach()
    mean = sum(probs[:, [a]] * gradient(learner, [a, a]) for a in range(3))
    torch.testing.assert_close(exact, mean)


def test_dso_divides_each_round_by_its_own_density(monkeypatch) -> None:
    class Numbered:
        def density(self, obs, output):
            return 1 + np.arange(len(obs), dtype=np.float32)

    simulator, data = identity_bandit(300)
    seen, real = [], draw_sentences

    def watched(config, step, kernel, simulator, density):
        seen.append((step.index, density))
        return real(config, step, kernel, simulator, density)

    monkeypatch.setattr(dso, "draw_sentences", watched)
    DSO(steps=3).fit(data, seed=0, simulator=simulator, density=Numbered())
    assert len(seen) == 3
    for index, density in seen:
        np.testing.assert_array_equal(density, 1 + index)


def test_kernels_integrate_to_one_and_are_what_they_are_called() -> None:
    distance = torch.linspace(0, 30, 60_001)
    for name, kernel in KERNELS.items():
        mass = 2 * torch.trapezoid(kernel(distance, 1.5), distance).item()
        assert mass == pytest.approx(1, abs=2e-3), name
    at = torch.tensor([0.0, 1.0, 3.0])
    np.testing.assert_allclose(KERNELS["laplace"](at, 2.0), np.exp([0, -0.5, -1.5]) / 4, rtol=1e-6)
    np.testing.assert_allclose(KERNELS["epanechnikov"](at, 2.0), [0.375, 0.28125, 0.0], rtol=1e-6)


def test_the_median_bandwidth_is_the_median_distance_of_distinct_pairs() -> None:
    outputs = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    first, second = np.triu_indices(300, 1)
    every = output_distance(torch.tensor(outputs[first]), torch.tensor(outputs[second]))
    assert median_bandwidth(outputs, n_pairs=200_000) == pytest.approx(float(every.median()), rel=0.01)
    with pytest.raises(ValueError, match="tau: the median distance between logged outputs is 0"):
        median_bandwidth(np.ones((10, 2), np.float32))


def test_the_nearest_density_is_the_mean_kernel_over_similar_rounds() -> None:
    """Two groups of users far apart; the density at (1, 1) for the first is the mean over the first group's outputs."""
    context = np.array([[9.0], [0.0], [9.1], [0.1], [0.2]])
    output = np.array([[8.0, 8.0], [1.0, 1.0], [9.0, 9.0], [1.0, 2.0], [3.0, 1.0]])
    data = BanditDataset.from_arrays(context, np.zeros(5, int), np.zeros(5), prompts=1, output=output)
    density = NearestDensity(data, OutputKernel(tau=2.0, emb_noise=0.0), n_neighbors=3)
    asked = Observation(np.array([[0.1]], np.float32), Prompts.one_hot(1))
    expected = np.mean([kernel_at(0.0), kernel_at(0.5), kernel_at(1.0)])
    np.testing.assert_allclose(density.density(asked, np.ones((1, 2), np.float32)), expected, rtol=1e-5)


def test_entropy_and_divergence_by_hand() -> None:
    uniform = torch.full((1, 4), 0.25).log()
    assert entropy(uniform).item() == pytest.approx(np.log(4))
    other = torch.tensor([[0.5, 0.5, 0.0, 0.0]])
    expected = 0.5 * np.log(0.25 / 0.5) + 0.5 * np.log(0.25 / 1e-12)
    assert kl_divergence(uniform, other).item() == pytest.approx(expected, rel=1e-5)
    assert kl_divergence(uniform, uniform.exp()).item() == pytest.approx(0, abs=1e-7)


def test_draws_are_the_policys_and_never_of_probability_zero() -> None:
    n = 30_000
    log_probs = masked_log_softmax(
        torch.log(torch.tensor([[0.2, 0.5, 0.3, 1.0]])), torch.tensor([[True, True, True, False]])
    )
    step = Step(np.arange(n), None, None, log_probs.expand(n, 4), Rounds(0, 0, n, "fit/test"))
    counts = np.bincount(step.draw().numpy(), minlength=4)
    assert counts[3] == 0
    np.testing.assert_allclose(counts[:3] / n, [0.2, 0.5, 0.3], atol=0.015)

    class Edge:
        def uniform(self, name):
            return np.full(2, 1 - 2**-53)

    assert Step(np.arange(2), None, None, log_probs.expand(2, 4), Edge()).draw().tolist() == [2, 2]
