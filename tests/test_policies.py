"""Policies and the ways of acting with them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from prompt_bandits.acting import (
    act,
    greedy_action,
    log_prob,
    predicted_value,
    prob,
    restrict,
    sample_actions,
    sample_for_rows,
)
from prompt_bandits.policies import EpsilonGreedy, Logits, Mixture, OracleScore, Restricted, Softmax, Uniform
from prompt_bandits.rounds import Rounds
from prompt_bandits.synthetic import SyntheticConfig
from prompt_bandits.testing import check_policy
from prompt_bandits.types import Observation, Prompts

VALUES = np.array([0.0, 1.0, 3.0, 2.0])
MASK = np.array([[True, True, False, True]])


def rounds_like(n: int, n_actions: int = 4, mask: np.ndarray | None = None) -> Observation:
    obs = Observation(np.zeros((n, 1), np.float32), Prompts.from_embedding(np.zeros((n_actions, 1))))
    return obs if mask is None else replace(obs, action_mask=np.repeat(mask, n, axis=0))


POLICIES = {
    "uniform": Uniform(),
    "softmax": Softmax(Logits(VALUES), beta=0.7),
    "epsilon greedy": EpsilonGreedy(Logits(VALUES), epsilon=0.3),
    "greedy": EpsilonGreedy(Logits(VALUES)),
    "mixture": Mixture([Uniform(), EpsilonGreedy(Logits(VALUES))], [1, 3]),
    "restricted": Restricted(Softmax(Logits(VALUES)), np.array([True, False, True, True])),
}


def test_distributions_by_hand() -> None:
    obs, masked = rounds_like(1), rounds_like(1, mask=MASK)
    e = np.exp(0.7 * VALUES)
    expected = {
        "uniform": ([0.25] * 4, [1 / 3, 1 / 3, 0, 1 / 3]),
        "softmax": (e / e.sum(), np.where(MASK[0], e, 0) / e[MASK[0]].sum()),
        "epsilon greedy": ([0.075, 0.075, 0.775, 0.075], [0.1, 0.1, 0, 0.8]),
        "greedy": ([0, 0, 1, 0], [0, 0, 0, 1]),
        "mixture": ([1 / 16, 1 / 16, 13 / 16, 1 / 16], [1 / 12, 1 / 12, 0, 10 / 12]),
    }
    for name, (plain, under_mask) in expected.items():
        np.testing.assert_allclose(POLICIES[name].action_dist(obs)[0], plain, err_msg=name)
        np.testing.assert_allclose(POLICIES[name].action_dist(masked)[0], under_mask, err_msg=name)
    kept = np.exp(VALUES) * [1, 0, 1, 1]
    np.testing.assert_allclose(POLICIES["restricted"].action_dist(obs)[0], kept / kept.sum())


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("mask", [None, MASK], ids=["free", "masked"])
def test_draws_follow_the_distribution_and_tell_their_probability(policy, mask) -> None:
    obs = rounds_like(20_000, mask=mask)
    check_policy(policy, obs)
    action, propensity = act(policy, obs, Rounds(0, 0, 20_000))
    dist = policy.action_dist(obs.take(slice(0, 1)))[0]
    np.testing.assert_allclose(propensity, dist[action], rtol=1e-12)
    assert (propensity > 0).all()
    possible = dist > 0
    counts = np.bincount(action, minlength=4)[possible]
    if possible.sum() > 1:
        assert stats.chisquare(counts, 20_000 * dist[possible]).pvalue > 1e-3


def test_a_zero_probability_is_never_drawn_at_the_edges() -> None:
    class Edge:
        def action_dist(self, obs):
            return np.tile([0.0, 0.5, 0.0, 0.5, 0.0], (len(obs), 1))

    class At:
        """Uniform draws at the very edges of [0, 1)."""

        def __init__(self, u):
            self.u = u

        def uniform(self, name, width=None):
            return np.array([self.u])

    obs = rounds_like(1, 5)
    for u, expected in [(0.0, 1), (0.5 - 2**-54, 1), (0.5, 3), (1 - 2**-53, 3)]:
        assert act(Edge(), obs, At(u))[0].tolist() == [expected]


def test_a_row_that_sums_to_a_little_less_than_one_is_drawn_against_its_own_total() -> None:
    class Short:
        def action_dist(self, obs):
            return np.tile(np.array([0.59996, 0.39999, 0.0]), (len(obs), 1))

    class Last:
        def uniform(self, name, width=None):
            return np.array([1 - 2**-53])

    action, propensity = act(Short(), rounds_like(1, 3), Last())
    assert action.tolist() == [1]
    np.testing.assert_allclose(propensity, 0.39999 / 0.99995, rtol=1e-12)


@pytest.mark.parametrize("row", [[0.5, 0.0], [-0.2, 1.2], [0.0, 0.0], [np.nan, 1.0]])
def test_what_is_no_distribution_is_not_drawn_from(row) -> None:
    class Wrong:
        def action_dist(self, obs):
            return np.tile(row, (len(obs), 1))

    with pytest.raises(ValueError, match="action_dist: expected"):
        act(Wrong(), rounds_like(3, 2), Rounds(0, 0, 3))


def test_propensities_never_exceed_one() -> None:
    greedy = EpsilonGreedy(Logits(VALUES))
    _, propensity = act(Mixture([greedy] * 3, (0.7, 0.2, 0.1)), rounds_like(5), Rounds(0, 0, 5))
    assert propensity.tolist() == [1.0] * 5


def test_draws_are_unbiased_at_a_hundred_thousand_actions() -> None:
    """Float32 cumulative sums would starve the last actions; ours are float64."""
    n_actions = 100_000
    logits = np.random.default_rng(0).normal(size=n_actions).astype(np.float32)
    obs = rounds_like(400, n_actions)
    action = np.concatenate(
        [act(Softmax(Logits(logits)), obs, Rounds(0, start, 400))[0] for start in range(0, 6_000, 400)]
    )
    dist = Softmax(Logits(logits)).action_dist(obs.take(slice(0, 1)))[0]
    groups = np.arange(n_actions) // 10_000
    counts = np.bincount(groups[action], minlength=10)
    assert stats.chisquare(counts, 6_000 * np.bincount(groups, dist)).pvalue > 1e-3


def test_many_draws_with_replacement() -> None:
    obs = rounds_like(5000)
    policy = POLICIES["softmax"]
    action, probability = sample_actions(policy, obs, Rounds(0, 0, 5000), 3)
    dist = policy.action_dist(obs.take(slice(0, 1)))[0]
    np.testing.assert_allclose(probability, dist[action])
    for column in action.T:
        assert stats.chisquare(np.bincount(column, minlength=4), 5000 * dist).pvalue > 1e-3
    assert abs(np.corrcoef(action[:, 0], action[:, 1])[0, 1]) < 4 / np.sqrt(5000)


def test_draws_without_replacement_are_distinct_and_sequential() -> None:
    obs = rounds_like(20_000)
    policy = POLICIES["softmax"]
    action, _ = sample_actions(policy, obs, Rounds(0, 0, 20_000), 2, replacement=False)
    assert (action[:, 0] != action[:, 1]).all()
    p = policy.action_dist(obs.take(slice(0, 1)))[0]
    pairs = np.bincount(action[:, 0] * 4 + action[:, 1], minlength=16).reshape(4, 4)
    expected = np.array([[0 if a == b else p[a] * p[b] / (1 - p[a]) for b in range(4)] for a in range(4)])
    off = ~np.eye(4, dtype=bool)
    assert stats.chisquare(pairs[off], 20_000 * expected[off]).pvalue > 1e-3
    everything, _ = sample_actions(policy, rounds_like(3), Rounds(0, 0, 3), 4, replacement=False)
    assert np.sort(everything, axis=1).tolist() == [[0, 1, 2, 3]] * 3
    with pytest.raises(ValueError, match="k: expected at most 1"):
        sample_actions(POLICIES["greedy"], obs, Rounds(0, 0, 20_000), 2, replacement=False)


def test_repeated_rows_draw_as_rounds_of_their_own() -> None:
    obs = Observation(np.arange(3, dtype=np.float32)[:, None], Prompts.one_hot(4))

    class ByContext:
        def action_dist(self, obs):
            logits = obs.context * VALUES
            return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)

    row = np.tile([2, 0, 1, 2], 5000)
    uniform = Rounds(0, 0, len(row)).uniform("actions", 2)
    action = sample_for_rows(ByContext(), obs, row, uniform)
    dist = ByContext().action_dist(obs)
    for k in range(3):
        counts = np.bincount(action[row == k].ravel(), minlength=4)
        assert stats.chisquare(counts, counts.sum() * dist[k]).pvalue > 1e-3


def test_probabilities_of_given_actions() -> None:
    obs = rounds_like(3)
    policy = POLICIES["greedy"]
    given = np.array([2, 0, 2])
    assert prob(policy, obs, given).tolist() == [1, 0, 1]
    assert log_prob(policy, obs, given).tolist() == [0, -np.inf, 0]
    assert greedy_action(POLICIES["softmax"], rounds_like(2, mask=MASK)).tolist() == [3, 3]
    assert greedy_action(POLICIES["softmax"], rounds_like(0)).tolist() == []


def test_predicted_value_by_hand() -> None:
    value = predicted_value(POLICIES["epsilon greedy"], rounds_like(2), Logits(VALUES))
    np.testing.assert_allclose(value, 0.7 * 3 + 0.3 * 1.5)


def test_candidate_subsets_become_masks() -> None:
    obs = restrict(rounds_like(2), [np.array([0, 3]), np.array([1])])
    assert obs.action_mask.tolist() == [[True, False, False, True], [False, True, False, False]]
    assert Uniform().action_dist(obs).tolist() == [[0.5, 0, 0, 0.5], [0, 1, 0, 0]]
    both = restrict(rounds_like(1, mask=MASK), [np.array([2, 3])])
    assert both.action_mask.tolist() == [[False, False, False, True]]
    with pytest.raises(ValueError, match=r"candidates\[0\]: expected at least one allowed"):
        restrict(rounds_like(1, mask=MASK), [np.array([2])])
    with pytest.raises(ValueError, match=r"candidates\[0\]: expected actions in 0 … 3, got 4"):
        restrict(rounds_like(1), [np.array([4])])
    with pytest.raises(ValueError, match="expected 2 sets"):
        restrict(rounds_like(2), [np.array([1])])


def test_restricted_falls_back_where_nothing_is_left() -> None:
    policy = Restricted(Uniform(), np.array([False, False, True, False]))
    np.testing.assert_allclose(policy.action_dist(rounds_like(1, mask=MASK)), [[1 / 3, 1 / 3, 0, 1 / 3]])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Softmax(Logits(VALUES), beta=np.nan), "beta: expected a finite number"),
        (lambda: EpsilonGreedy(Logits(VALUES), 1.1), r"epsilon: expected in \[0, 1\], got 1.1"),
        (lambda: Mixture([Uniform()], [1, 2]), "weights: expected one for each of 1 policies, got 2"),
        (lambda: Mixture([Uniform()], [-1]), "weights: expected non-negative"),
        (lambda: Restricted(Uniform(), np.zeros(4, bool)), "allowed: expected a boolean array"),
        (lambda: Logits(VALUES).scores(rounds_like(1, 5)), r"value: expected shape \(5,\), got \(4,\)"),
    ],
)
def test_wrong_settings_are_named(make, message) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_the_oracle_policy_is_optimal_and_its_value_exact() -> None:
    simulator = SyntheticConfig(n_actions=20).build()
    best = EpsilonGreedy(OracleScore(simulator))
    assert simulator.policy_value(best, 2000).value == pytest.approx(simulator.optimal_value(2000).value, rel=1e-6)
    assert simulator.policy_value(Uniform(), 2000).value == pytest.approx(simulator.uniform_value(2000).value, rel=1e-5)
    assert simulator.regret(best, 2000).value == pytest.approx(0, abs=1e-6)
    assert simulator.optimality(best, 2000) == pytest.approx(1)
    assert simulator.optimality(Uniform(), 2000) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("kwargs", [{}, {"mask_rate": 0.5}, {"reward_type": "binary"}], ids=str)
def test_policy_value_equals_the_mean_of_played_rewards(kwargs) -> None:
    simulator = SyntheticConfig(n_actions=20, **kwargs).build()
    policy = Softmax(OracleScore(simulator), beta=3.0)
    value = simulator.policy_value(policy, 20_000)
    rounds = simulator.rounds(99, 0, 40_000)
    obs = simulator.observe(rounds)
    reward = simulator.play(obs, act(policy, obs, rounds)[0], rounds).reward
    gap = reward.mean() - value.value
    assert abs(gap) < 4 * np.hypot(reward.std() / 200, value.se)


def test_policy_value_takes_an_array_of_distributions() -> None:
    simulator = SyntheticConfig(n_actions=20).build()
    policy = Softmax(OracleScore(simulator))
    dist = policy.action_dist(simulator.observe(simulator.oracle_rounds(300)))
    assert simulator.policy_value(dist).value == pytest.approx(simulator.policy_value(policy, 300).value)
    with pytest.raises(ValueError, match=r"action_dist: expected shape \(100, 20\), got \(300, 20\)"):
        simulator.policy_value(dist, n=100)
    with pytest.raises(ValueError, match="rows that sum to 1"):
        simulator.policy_value(0.9 * dist)
    with pytest.raises(ValueError, match="non-negative"):
        simulator.policy_value(dist - 0.5)


def test_mass_on_masked_prompts_has_no_value() -> None:
    simulator = SyntheticConfig(n_actions=20, mask_rate=0.5).build()
    with pytest.raises(ValueError, match="expected 0 on masked prompts"):
        simulator.policy_value(np.full((50, 20), 0.05))


def test_a_monte_carlo_oracle_does_not_judge_by_the_outputs_that_it_chose_by() -> None:
    simulator = SyntheticConfig(n_actions=60).build()

    class Opaque:
        def generate(self, obs, action, rounds):
            return simulator.llm.generate(obs, action, rounds)

    sampled = replace(simulator, llm=Opaque(), reward_model=_Steep())
    regret = sampled.regret(EpsilonGreedy(OracleScore(sampled)), 300)
    assert abs(regret.value) < 4 * regret.se
    assert sampled.policy_value(Uniform(), 100, seed=1).value != sampled.policy_value(Uniform(), 100, seed=0).value


class _Steep:
    def expected(self, obs, output):
        return np.tanh(output.embedding[:, 0] * obs.context[:, 0]) + 0.3 * output.embedding[:, 1]


def test_standard_errors_shrink_with_contexts_and_comparisons_are_paired() -> None:
    simulator = SyntheticConfig(n_actions=20).build()
    small, large = (simulator.policy_value(Uniform(), n).se for n in (1000, 16_000))
    assert small / large == pytest.approx(4, rel=0.15)
    near, nearer = (Softmax(OracleScore(simulator), beta=beta) for beta in (1.0, 1.01))
    gap = simulator.value_terms(nearer, 2000) - simulator.value_terms(near, 2000)
    assert gap.std() < simulator.value_terms(near, 2000).std() / 20


def test_the_oracle_does_not_depend_on_its_chunks() -> None:
    simulator = SyntheticConfig(n_actions=700).build()
    whole = simulator.value_terms(Uniform(), 3000)  # several chunks
    np.testing.assert_allclose(simulator.value_terms(Uniform(), 100), whole[:100], rtol=1e-5, atol=1e-7)


def test_check_policy_says_what_is_wrong() -> None:
    obs = rounds_like(3, mask=MASK)

    class Wrong:
        def __init__(self, dist):
            self.dist = dist

        def action_dist(self, obs):
            return self.dist[: len(obs)]

    for dist, message in [
        (np.full((3, 3), 1 / 3), "expected shape"),
        (np.full((3, 4), 0.3), "sum to 1"),
        (np.full((3, 4), 0.25), "expected 0 on masked prompts"),
    ]:
        with pytest.raises(ValueError, match=message):
            check_policy(Wrong(dist), obs)

    class BatchNorm:
        def action_dist(self, obs):
            return np.eye(4)[[0] * len(obs)] if len(obs) == 1 else np.eye(4)[[1] * len(obs)]

    with pytest.raises(ValueError, match="does not depend on the other rows"):
        check_policy(BatchNorm(), rounds_like(3))
