"""OffCEM: by hand, its two ends, and what it is unbiased under."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agents.ope import evaluate
from agents.ope.estimators import DM, DR, IPS
from agents.ope.estimators.offcem import OffCEM
from prompt_bandits import collect
from prompt_bandits.policies import Logits, OracleScore, Softmax, Uniform

from .three_rounds import ByPrompt, Zero, three_rounds
from .three_sentences import POLICY, three_sentences

FAR = Softmax(Logits(np.linspace(0, 2, 10)))


def test_offcem_by_hand() -> None:
    """Σ_a π·q̂ = 0.3·1 + 0.5·2; r − q̂ = 1, 1, 3; cluster {0, 1} weighs 0.5 / 0.75 and 0.5 / 0.4, {2} 0.5 / 0.5."""
    found = evaluate(
        POLICY, three_sentences(), [OffCEM(n_clusters=2), OffCEM(n_clusters=2, clip=1.0)], q_hat=ByPrompt()
    )
    np.testing.assert_allclose(found["offcem[n_clusters=2]"].round_values, [1.3 + 2 / 3, 1.3 + 1.25, 1.3 + 3])
    np.testing.assert_allclose(found["offcem[clip=1, n_clusters=2]"].round_values, [1.3 + 2 / 3, 1.3 + 1, 1.3 + 3])


@pytest.mark.parametrize("by", ["prompts", "random"])
def test_singleton_clusters_make_it_dr(logged, by) -> None:
    found = evaluate(FAR, logged, [DR(), OffCEM(n_clusters=10, by=by)], q_hat=ByPrompt())
    np.testing.assert_allclose(found.results[1].round_values, found["dr"].round_values, rtol=1e-6)


def test_more_clusters_than_prompts_are_as_many(logged) -> None:
    many = evaluate(FAR, logged, [OffCEM(n_clusters=99), OffCEM(n_clusters=10)], q_hat=ByPrompt())
    np.testing.assert_array_equal(*(one.round_values for one in many.results))


def test_a_single_cluster_takes_the_mean_error_off_the_direct_method(logged) -> None:
    found = evaluate(FAR, logged, [DM(), OffCEM(n_clusters=1)], q_hat=ByPrompt())
    residual = logged.reward - logged.action
    np.testing.assert_allclose(found.results[1].round_values, found["dm"].round_values + residual, rtol=1e-6)


def test_without_a_reward_model_and_with_singletons_it_is_ips(logged) -> None:
    found = evaluate(FAR, logged, [IPS(), OffCEM(n_clusters=10)], q_hat=Zero())
    np.testing.assert_allclose(found.results[1].round_values, found["ips"].round_values, rtol=1e-6, atol=1e-9)


class OffByCluster:
    """The true value, and a number that only says which cluster the prompt is in."""

    def __init__(self, simulator, error) -> None:
        self.simulator, self.error = simulator, error

    def scores(self, obs):
        return self.simulator.action_values(obs).value + self.error

    def predict(self, obs, action):
        return self.scores(obs)[np.arange(len(obs)), action]


def test_it_is_unbiased_where_the_model_is_right_within_clusters(simulator) -> None:
    """And the direct method is off by what the model is."""
    from agents.clustering import kmeans

    group = kmeans(simulator.prompts.embedding, 3, seed=0).assignment
    q_hat = OffByCluster(simulator, np.array([0.0, 5.0, -3.0])[group])
    data = collect(simulator, Softmax(OracleScore(simulator), beta=0.5), 20_000, seed=5)
    found = evaluate(FAR, data, [DM(), DR(), OffCEM(n_clusters=3)], q_hat=q_hat)
    truth = simulator.policy_value(FAR).value
    dm, dr, offcem = found.results
    assert abs(dm.value - truth) > 50 * dm.se
    assert abs(offcem.value - truth) < 4 * offcem.se
    assert offcem.se < dr.se


def test_clusters_of_outputs_are_made_of_what_was_logged(simulator, logged) -> None:
    found = evaluate(FAR, logged, [OffCEM(n_clusters=3, by="outputs")], q_hat=ByPrompt()).results[0]
    assert found.diagnostics.mean_weight.value == pytest.approx(1, abs=0.2)
    bare = evaluate(FAR, replace(logged, output=None), [OffCEM(by="outputs"), OffCEM()], q_hat=ByPrompt())
    assert bare.results[0].refused == "output: no embeddings in this dataset, but needed here"
    assert bare.results[1].value is not None


def test_without_a_logging_policy_it_is_refused() -> None:
    found = evaluate(np.tile([0.2, 0.8], (3, 1)), three_rounds(), [OffCEM()], q_hat=ByPrompt())
    assert found.results[0].refused.startswith("logging_policy: this weight asks")


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="n_clusters: expected >= 1, got 0"):
        OffCEM(n_clusters=0)
    with pytest.raises(ValueError, match="by: expected one of prompts, outputs, random, got 'x'"):
        OffCEM(by="x")
    assert (
        evaluate(Uniform(), three_sentences(), [OffCEM(by="random", n_clusters=3)], q_hat=ByPrompt()).results[0].value
    )
