"""Estimates of a policy's value: by hand, by identity, and against the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agents.cross_fitting import CrossFittedActionReward
from agents.ope import chunk
from agents.value_estimates import dm_value, dr_value, effective_rounds, ips_value, snips_value
from prompt_bandits import BanditDataset, collect
from prompt_bandits.acting import prob
from prompt_bandits.policies import EpsilonGreedy, Logits, OracleScore, Softmax, Uniform

POLICY = Softmax(Logits(np.log([0.2, 0.8])))  # whatever the context


class Zero:
    def scores(self, obs):
        return np.zeros((len(obs), obs.n_actions))

    def predict(self, obs, action):
        return np.zeros(len(obs))


class ByPrompt:
    """q̂(x, a) = a."""

    def scores(self, obs):
        return np.tile(np.arange(obs.n_actions, dtype=float), (len(obs), 1))

    def predict(self, obs, action):
        return action.astype(float)


@pytest.fixture
def three() -> BanditDataset:
    """w = 0.4, 1.6, 4 under `POLICY`."""
    return BanditDataset.from_arrays(
        np.zeros((3, 1)),
        np.array([0, 1, 1]),
        np.array([1.0, 2.0, 5.0]),
        prompts=2,
        propensity=np.array([0.5, 0.5, 0.2]),
    )


def test_ips_by_hand(three) -> None:
    terms = np.array([0.4, 3.2, 20.0])
    found = ips_value(POLICY, three)
    assert (found.value, found.se, found.n) == pytest.approx((terms.mean(), terms.std(ddof=1) / np.sqrt(3), 3))
    assert ips_value(POLICY, three, clip=2.0).value == pytest.approx((0.4 + 3.2 + 10) / 3)


def test_snips_by_hand(three) -> None:
    w, r = np.array([0.4, 1.6, 4.0]), three.reward
    value = (w * r).sum() / w.sum()
    se = np.sqrt((w**2 * (r - value) ** 2).sum() * 3 / 2) / w.sum()
    found = snips_value(POLICY, three)
    assert (found.value, found.se, found.n) == pytest.approx((value, se, 3))
    assert snips_value(POLICY, three, clip=2.0).value == pytest.approx((0.4 + 3.2 + 10) / 4)
    assert effective_rounds(POLICY, three) == pytest.approx(6.0**2 / (0.16 + 2.56 + 16))


def test_dm_and_dr_by_hand(three) -> None:
    assert dm_value(POLICY, three, ByPrompt()).value == pytest.approx(0.8)
    terms = 0.8 + np.array([0.4 * 1, 1.6 * 1, 4 * 4])
    found = dr_value(POLICY, three, ByPrompt())
    assert (found.value, found.se) == pytest.approx((terms.mean(), terms.std(ddof=1) / np.sqrt(3)))
    assert dr_value(POLICY, three, ByPrompt(), clip=2.0).value == pytest.approx(0.8 + (0.4 + 1.6 + 8) / 3)


def test_dr_with_zero_q_equals_ips(simulator, logged) -> None:
    policy = Softmax(OracleScore(simulator), 2.0)
    for clip in (None, 1.5):
        assert dr_value(policy, logged, Zero(), clip) == ips_value(policy, logged, clip)


def test_on_policy_ips_and_snips_are_the_mean_reward(logged) -> None:
    policy = logged.require_logging_policy()
    for estimate in (ips_value, snips_value):
        found = estimate(policy, logged)
        assert found.value == pytest.approx(logged.reward.mean(), rel=1e-6)
        assert found.se == pytest.approx(logged.reward.std(ddof=1) / np.sqrt(600), rel=1e-6)
    assert effective_rounds(policy, logged) == pytest.approx(600)


def test_a_constant_moves_snips_by_itself_and_leaves_its_error(simulator, logged) -> None:
    policy = Softmax(OracleScore(simulator), 2.0)
    higher = replace(logged, reward=logged.reward + 7)
    before, after = snips_value(policy, logged), snips_value(policy, higher)
    assert after.value == pytest.approx(before.value + 7)
    assert after.se == pytest.approx(before.se)
    assert ips_value(policy, higher).value != pytest.approx(ips_value(policy, logged).value + 7, abs=0.01)


def test_dm_of_the_oracle_is_the_truth_and_dr_of_it_close(simulator, logged) -> None:
    policy = EpsilonGreedy(OracleScore(simulator), 0.2)

    class Oracle(OracleScore):
        def predict(self, obs, action):
            return self.simulator.action_value(obs, action).value

    dist, q = policy.action_dist(logged.obs), simulator.action_values(logged.obs).value
    truth = (dist * q).sum(1).mean()
    assert dm_value(policy, logged, Oracle(simulator)).value == pytest.approx(truth)
    assert dr_value(policy, logged, Oracle(simulator)).value == pytest.approx(truth, abs=0.3)


def test_estimates_are_within_their_standard_errors_of_the_truth(simulator) -> None:
    policy = Softmax(OracleScore(simulator), 1.0)
    truth = simulator.policy_value(policy).value
    data = collect(simulator, Softmax(OracleScore(simulator), 0.5), 20_000, seed=3)
    parts = [data.take(slice(begin, begin + 500)) for begin in range(0, 20_000, 500)]
    for estimate in (ips_value, snips_value, lambda p, d: dr_value(p, d, ByPrompt())):
        found = [estimate(policy, part) for part in parts]
        errors = np.array([(one.value - truth) / one.se for one in found])
        assert abs(errors.mean()) < 3 / np.sqrt(40)
        assert errors.std() == pytest.approx(1, abs=0.35)


def test_cross_fitted_models_answer_for_rounds_that_they_have_not_seen(logged) -> None:
    class Own:
        def __init__(self, number):
            self.number = float(number)

        def predict(self, obs, action):
            return np.full(len(obs), self.number)

        def scores(self, obs):
            return np.full((len(obs), obs.n_actions), self.number)

    cross = CrossFittedActionReward([Own(0), Own(1), Own(2)], seed=0)
    own = cross.out_of_fold(logged)
    assert set(own) == {0.0, 1.0, 2.0}
    policy = Uniform()
    assert dm_value(policy, logged, cross).value == pytest.approx(own.mean())
    weight = prob(policy, logged.obs, logged.action) / logged.propensity
    assert dr_value(policy, logged, cross).value == pytest.approx((own + weight * (logged.reward - own)).mean())


def test_a_folder_gives_what_its_rounds_in_memory_give(simulator, logged, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(chunk, "_ROWS", 250)
    logged.save(tmp_path / "data")
    stored = BanditDataset.open(tmp_path / "data")
    policy = Softmax(OracleScore(simulator), 2.0)
    for estimate in (
        ips_value,
        snips_value,
        lambda p, d: dr_value(p, d, ByPrompt()),
        lambda p, d: dm_value(p, d, ByPrompt()),
    ):
        a, b = estimate(policy, stored), estimate(policy, logged)
        assert (a.value, a.se, a.n) == pytest.approx((b.value, b.se, b.n))
    assert effective_rounds(policy, stored) == pytest.approx(effective_rounds(policy, logged))


def test_never_all_rounds_and_prompts_at_once(logged, monkeypatch) -> None:
    monkeypatch.setattr(chunk, "_CELLS_PER_MB", 1000 / 256)
    sizes = []

    class Watched(Zero):
        def action_dist(self, obs):
            sizes.append(len(obs))
            return Uniform().action_dist(obs)

        def scores(self, obs):
            sizes.append(len(obs))
            return super().scores(obs)

    dr_value(Watched(), logged, Watched())
    snips_value(Watched(), logged)
    assert max(sizes) == 100


def test_what_cannot_be_estimated_is_named(three, logged) -> None:
    with pytest.raises(ValueError, match="propensity: unknown"):
        ips_value(POLICY, replace(three, propensity=None))
    with pytest.raises(ValueError, match="clip: expected > 0 or None, got 0"):
        snips_value(POLICY, three, clip=0)
    never = Softmax(Logits(np.array([0.0, -np.inf])))
    only_second = three.take(np.array([1, 2]))
    with pytest.raises(ValueError, match="weight: expected a policy that takes some of the logged actions"):
        snips_value(never, only_second)
    assert effective_rounds(never, only_second) == 0
    assert ips_value(never, only_second).value == 0
    with pytest.raises(ValueError, match="data: expected at least one round, got none"):
        ips_value(Uniform(), logged.take(slice(0, 0)))
