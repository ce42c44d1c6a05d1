"""Intervals hold the exact value as often as they say: 2,000 logs of 2,000 rounds, synthetic, 10 prompts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import prompt_bandits
from agents.ope.bootstrap import VARIANTS, resample
from agents.ope.bounds import weighted_bounds
from agents.ope.confidence_sequence import AsymptoticSequence, BernsteinSequence
from agents.ope.constrained_likelihood import constrained_empirical_likelihood
from agents.ope.intervals import METHODS, interval
from agents.ope.paired import difference
from prompt_bandits.acting import prob
from prompt_bandits.policies import OracleScore, Softmax, Uniform
from prompt_bandits.synthetic import SyntheticConfig
from prompt_bandits.types import FloatArray

LOGS, N, LEVEL = 2000, 2000, 0.95  # a share of 0.95 has a standard error of 0.005
AT_LEAST = LEVEL - 0.02
BOUNDS = weighted_bounds((0.0, 1.0), 10.0)  # uniform logs of 10 prompts: π/π0 is 10 at most

pytestmark = pytest.mark.slow


@dataclass(frozen=True, eq=False)
class Logs:
    """Binary rewards of a uniform policy and the weights of another, with the exact values of both."""

    reward: FloatArray  # (LOGS, N)
    weight: FloatArray  # (LOGS, N)
    value: float
    logging_value: float

    @property
    def ips(self) -> FloatArray:
        return self.weight * self.reward


@pytest.fixture(scope="module")
def logs() -> Logs:
    simulator = SyntheticConfig(n_actions=10, reward_type="binary").build()
    policy = Softmax(OracleScore(simulator), beta=5.0)
    data = prompt_bandits.collect(simulator, Uniform(), LOGS * N, seed=0)
    weight = prob(policy, data.obs, data.action) / data.require_propensity()
    # the closed form for each context, averaged over a million of them: its error is a fiftieth of an interval's
    value, logging_value = (simulator.policy_value(each, n=1_000_000).value for each in (policy, Uniform()))
    return Logs(data.reward.reshape(LOGS, N).astype(float), weight.reshape(LOGS, N), value, logging_value)


def test_the_world_has_weights_that_differ(logs) -> None:
    assert 2 < logs.weight.max() < 10
    assert 0.2 < 1 / (logs.weight**2).mean() < 0.95  # effective share of the rounds
    assert logs.value > logs.logging_value + 0.02


@pytest.mark.parametrize("method", [name for name in METHODS if name not in {"clopper_pearson", *VARIANTS}])
def test_intervals_of_weighted_rewards_cover(logs, method) -> None:
    held = [logs.value in interval(row, method, LEVEL, BOUNDS) for row in logs.ips]
    assert np.mean(held) >= AT_LEAST


def test_bootstrap_intervals_of_weighted_rewards_cover(logs) -> None:
    drawn = [resample(row, seed=seed) for seed, row in enumerate(logs.ips)]
    held = {name: np.mean([logs.value in make(one, LEVEL) for one in drawn]) for name, make in VARIANTS.items()}
    assert min(held.values()) >= AT_LEAST, held


@pytest.mark.parametrize("method", METHODS)
def test_intervals_of_binary_rewards_cover(logs, method) -> None:
    found = [interval(row, method, LEVEL, (0.0, 1.0), seed) for seed, row in enumerate(logs.reward)]
    assert np.mean([logs.logging_value in one for one in found]) >= AT_LEAST


def test_empirical_likelihood_that_knows_the_mean_weight_covers(logs) -> None:
    pairs = zip(logs.ips, logs.weight, strict=True)
    found = [constrained_empirical_likelihood(values, weights, LEVEL) for values, weights in pairs]
    assert np.mean([logs.value in one for one in found]) >= AT_LEAST


@pytest.mark.parametrize("method", ["student_t", "bootstrap", "empirical_likelihood"])
def test_intervals_of_the_gain_over_the_logging_policy_cover(logs, method) -> None:
    gain, pairs = logs.value - logs.logging_value, enumerate(zip(logs.ips, logs.reward, strict=True))
    found = [difference(new, old, method, LEVEL, seed=seed) for seed, (new, old) in pairs]
    assert np.mean([gain in one.interval for one in found]) >= AT_LEAST


@pytest.mark.parametrize("make", [lambda: BernsteinSequence(BOUNDS), AsymptoticSequence])
def test_confidence_sequences_cover_at_every_round_of_a_log(logs, make) -> None:
    held = []
    for row in logs.ips:
        low, high = make().update(row)
        held.append(((low <= logs.value) & (logs.value <= high)).all())
    assert np.mean(held) >= AT_LEAST
