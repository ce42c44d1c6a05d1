"""The oracle over an LLM that can write but a few things, over one that is costly to ask, and without a prompt."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from prompt_bandits import collect
from prompt_bandits.policies import EpsilonGreedy, Logits, OracleScore, Softmax, Uniform
from prompt_bandits.rounds import Rounds
from prompt_bandits.simulator import GaussianNoise, PromptSimulator
from prompt_bandits.synthetic import SyntheticConfig
from prompt_bandits.types import FiniteOutputs, Observation, Output, Prompts

N_PROMPTS, N_QUERIES, K, K0 = 6, 4, 3, 2
TABLE = Output(np.random.Generator(np.random.Philox(5)).normal(size=(200, 2)).astype(np.float32))
ROWS = np.arange(N_QUERIES * N_PROMPTS * K).reshape(N_QUERIES, N_PROMPTS, K)
BASE_ROWS = 100 + np.arange(N_QUERIES * K0).reshape(N_QUERIES, 1, K0)
SKEWED = Softmax(Logits(np.arange(N_PROMPTS) / 2))


class Visitors:
    def __init__(self, masked=False):
        self.masked = masked

    def observe(self, rounds, prompts):
        query = rounds.integers("query", N_QUERIES)
        mask = rounds.uniform("mask", len(prompts)) < 0.6 if self.masked else None
        if mask is not None:
            mask[:, 2] = True
        context = rounds.normal("context", 2).astype(np.float32)
        return Observation(context, prompts, query_id=query, action_mask=mask)


class Written:
    """Knows all that it can write; counts what it is asked."""

    def __init__(self, known=True, costly=False):
        self.known, self.costly, self.asked = known, costly, []

    def generate(self, obs, action, rounds):
        self.asked.append(len(obs))
        if action is None:
            return TABLE.take(BASE_ROWS[obs.query_id, 0, rounds.integers("llm", K0)])
        return TABLE.take(ROWS[obs.query_id, action, rounds.integers("llm", K)])

    def finite_outputs(self, obs):
        return FiniteOutputs(obs.query_id, ROWS[:, obs.prompts.prompt_id], TABLE) if self.known else None

    def finite_base_outputs(self, obs):
        return FiniteOutputs(obs.query_id, BASE_ROWS, TABLE) if self.known else None


class Taste:
    def expected(self, obs, output):
        return np.tanh((obs.context * output.embedding).sum(axis=1)) + 1.0


class TasteOfPrompts(Taste):
    """Looks at the prompt too, and compares with a baseline."""

    def expected_given(self, obs, action, output):
        return self.expected(obs, output) + 10.0 * obs.prompts.prompt_id[action]

    def baseline(self, obs):
        return obs.context[:, 0] + 5.0


def bandit(llm=None, reward=None, masked=False, prompts=None) -> PromptSimulator:
    prompts = Prompts.one_hot(N_PROMPTS) if prompts is None else prompts
    return PromptSimulator(Visitors(masked), prompts, llm or Written(), reward or Taste(), GaussianNoise(0.1))


def brute_force(simulator, obs) -> np.ndarray:
    """(n, |A|) by one prompt and slot after the other."""
    ids = obs.prompts.prompt_id
    slots = [
        [
            simulator.expected_reward(obs, TABLE.take(ROWS[obs.query_id, ids[a], k]), np.full(len(obs), a))
            for k in range(K)
        ]
        for a in range(len(ids))
    ]
    return np.mean(slots, axis=1).T


@pytest.mark.parametrize("reward", [Taste(), TasteOfPrompts()])
def test_values_are_means_over_all_that_can_be_written(reward) -> None:
    simulator = bandit(reward=reward)
    obs = simulator.observe(simulator.oracle_rounds(70))
    values, truth = simulator.action_values(obs), brute_force(simulator, obs)
    assert values.se is None
    np.testing.assert_allclose(values.value, truth, rtol=1e-12)
    action = np.arange(70) % N_PROMPTS
    np.testing.assert_allclose(simulator.action_value(obs, action).value, truth[np.arange(70), action], rtol=1e-12)
    assert simulator.llm.asked == []
    for purpose, seed in (("a", 0), ("b", 1)):
        sampled = replace(simulator, llm=Written(known=False)).action_values(obs, n_outputs=400)
        assert (np.abs(sampled.value - truth) < 5 * sampled.se).all(), (purpose, seed)


def test_enumeration_in_chunks_changes_nothing(monkeypatch) -> None:
    simulator = bandit()
    obs = simulator.observe(simulator.oracle_rounds(50))
    whole = simulator.action_values(obs).value
    monkeypatch.setattr("prompt_bandits.action_values._OUTPUTS", 40)
    np.testing.assert_array_equal(simulator.action_values(obs).value, whole)
    sampled = replace(simulator, llm=Written(known=False)).action_values(obs, n_outputs=4).value
    monkeypatch.setattr("prompt_bandits.action_values._OUTPUTS", 1 << 17)
    np.testing.assert_array_equal(replace(simulator, llm=Written(known=False)).action_values(obs, 4).value, sampled)


def test_some_of_the_prompts_have_the_values_that_they_have_among_all() -> None:
    every = Prompts.one_hot(N_PROMPTS)
    some = Prompts(every.prompt_id[[4, 1]], every.embedding[[4, 1]])
    obs = bandit().observe(Rounds(0, 0, 20))
    part = bandit(prompts=some).action_values(replace(obs, prompts=some)).value
    np.testing.assert_array_equal(part, bandit().action_values(obs).value[:, [4, 1]])


def test_a_reward_with_a_fast_path_is_asked_for_it() -> None:
    class Quick(Taste):
        def mean_over_finite(self, obs, outputs, action):
            assert outputs.rows.shape == (N_QUERIES, N_PROMPTS, K)
            return np.full((len(obs), N_PROMPTS) if action is None else len(obs), 7.0)

    simulator = bandit(reward=Quick())
    obs = simulator.observe(Rounds(0, 0, 5))
    assert simulator.action_values(obs).value.tolist() == [[7.0] * N_PROMPTS] * 5
    assert simulator.action_value(obs, np.zeros(5, int)).value.tolist() == [7.0] * 5
    assert simulator.policy_value(Uniform(), 5).value == pytest.approx(7.0)


def test_the_value_without_a_prompt_is_exact_where_all_is_known() -> None:
    simulator = bandit(reward=TasteOfPrompts())
    obs = simulator.observe(simulator.oracle_rounds(3000))
    slots = [simulator.expected_reward(obs, TABLE.take(BASE_ROWS[obs.query_id, 0, k])) for k in range(K0)]
    np.testing.assert_allclose(simulator.no_prompt_terms(3000), np.mean(slots, axis=0), rtol=1e-12)
    exact = simulator.no_prompt_value(3000)
    sampled = replace(simulator, llm=Written(known=False)).no_prompt_value(3000, n_outputs=8)
    assert abs(exact.value - sampled.value) < 0.02
    assert exact.value == pytest.approx(np.mean(slots))


def test_the_synthetic_value_without_a_prompt_is_the_mean_of_what_is_written_without() -> None:
    for kwargs in ({}, {"reward_type": "binary"}):
        simulator = SyntheticConfig(n_actions=5, **kwargs).build()
        rounds = Rounds(3, 0, 40_000)
        obs = simulator.observe(rounds)
        rewards = simulator.expected_reward(obs, simulator.respond(obs, None, rounds))
        exact = simulator.no_prompt_value(40_000)
        assert abs(exact.value - rewards.mean()) < 4 * np.hypot(exact.se, rewards.std() / 200)


def test_a_baseline_is_an_oracle_column_everywhere() -> None:
    simulator = bandit(reward=TasteOfPrompts())
    data = collect(simulator, Uniform(), 30)
    np.testing.assert_array_equal(data.oracle["baseline"], data.obs.context[:, 0] + 5.0)
    assert set(collect(bandit(), Uniform(), 3).oracle) == {"expected_reward"}


@pytest.mark.parametrize("masked", [False, True])
def test_a_costly_llm_is_asked_once_a_context_for_an_action_of_the_policy(masked) -> None:
    llm = Written(known=False, costly=True)
    costly, cheap = bandit(llm, masked=masked), bandit(masked=masked)
    value = costly.policy_value(Uniform() if masked else SKEWED)
    assert (value.n, llm.asked) == (1000, [1000])
    truth = cheap.policy_value(Uniform() if masked else SKEWED, 1000)
    assert abs(value.value - truth.value) < 4 * value.se
    assert costly.uniform_value().n == costly.no_prompt_value().n == 1000
    assert llm.asked == [1000] * 3
    assert abs(costly.uniform_value().value - cheap.uniform_value(1000).value) < 4 * value.se
    dist = np.eye(N_PROMPTS)[np.full(300, 2)]
    assert costly.policy_value(dist).value == pytest.approx(cheap.policy_value(dist).value, abs=0.2)
    costly.policy_value(Uniform(), 200, n_outputs=3)
    assert llm.asked[-1] == 600
    values = [replace(costly, reward_model=_Index()).policy_value(dist, seed=seed).value for seed in range(2)]
    assert values == [2.0, 2.0]


class _Index:
    def expected_given(self, obs, action, output):
        return action.astype(float)

    def expected(self, obs, output):
        raise AssertionError


@pytest.mark.parametrize("name", ["optimal_value", "regret", "optimality"])
def test_what_asks_a_costly_llm_for_every_prompt_wants_a_number_and_says_the_cost(name) -> None:
    llm = Written(known=False, costly=True)
    simulator = bandit(llm)
    given = () if name == "optimal_value" else (Uniform(),)
    with pytest.raises(ValueError, match=rf"n: expected a number of contexts, since {name} .* up to 2,800 generations"):
        getattr(simulator, name)(*given)
    assert llm.asked == []
    with pytest.warns(UserWarning, match=f"{name}: .* in 25 contexts, up to 700 generations") as said:
        getattr(simulator, name)(*given, n=25)
    assert said[0].filename == __file__
    assert sum(llm.asked) == simulator.generation_cost(25) == 25 * 7 * 4
    with pytest.warns(UserWarning, match="up to 350 generations"):
        getattr(simulator, name)(*given, n=25, n_outputs=2)


def test_a_costly_llm_that_knows_all_is_not_asked() -> None:
    llm = Written(known=True, costly=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        best = bandit(llm).optimal_value()
    assert best == bandit().optimal_value()
    assert best.n == 10_000
    assert llm.asked == []


def test_the_best_of_a_costly_llm_is_close_to_the_exact_best() -> None:
    costly, exact = bandit(Written(known=False, costly=True)), bandit()
    with pytest.warns(UserWarning, match="generations"):
        found = costly.optimal_value(400, n_outputs=64)
    assert found.value == pytest.approx(exact.optimal_value(400).value, abs=0.05)
    with pytest.warns(UserWarning, match="generations"):
        regret = costly.regret(EpsilonGreedy(OracleScore(exact)), 400, n_outputs=64)
    assert abs(regret.value) < 0.05


def test_more_outputs_make_a_sampled_value_sharper() -> None:
    sampled, exact = bandit(Written(known=False)), bandit()
    gaps = [np.abs(sampled.value_terms(SKEWED, 200, 0, n) - exact.value_terms(SKEWED, 200)).mean() for n in (2, 200)]
    assert gaps[1] < gaps[0] / 5
    with pytest.raises(ValueError, match="n_outputs: expected at least 1, got 0"):
        sampled.policy_value(SKEWED, 20, n_outputs=0)
    with pytest.raises(ValueError, match="at least 2 for a standard error, got 1"):
        sampled.action_values(sampled.observe(Rounds(0, 0, 2)), n_outputs=1)
