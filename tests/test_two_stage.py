"""Policies in two stages, and clusters of prompts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax as scipy_softmax

from agents.clustering import Clustering, kmeans
from agents.policies import NeuralPolicy, RewardTwoStage, TwoStage
from prompt_bandits.policies import EpsilonGreedy, Logits, OracleScore, Softmax, Uniform
from prompt_bandits.synthetic import SyntheticConfig
from prompt_bandits.testing import check_policy
from prompt_bandits.types import Observation, Prompts

CLUSTERS = Clustering(np.array([0, 1, 0, 1]), np.array([[0.0], [1.0]], np.float32))
VALUES = np.array([1.0, 2.0, 3.0, 5.0])
OBS = Observation(np.zeros((2, 1), np.float32), Prompts.from_embedding(np.arange(4.0)[:, None]))


def test_two_stages_by_hand() -> None:
    first, second = Softmax(Logits(np.array([0.0, np.log(3)]))), Softmax(Logits(np.log(np.array([1.0, 2.0, 3.0, 6.0]))))
    # π1 = (1/4, 3/4); within cluster 0 prompts 0 and 2 as 1 : 3, within cluster 1 prompts 1 and 3 as 2 : 6
    expected = [1 / 16, 3 / 16, 3 / 16, 9 / 16]
    np.testing.assert_allclose(TwoStage(first, second, CLUSTERS).action_dist(OBS), [expected, expected])


def test_a_greedy_second_stage_takes_the_best_of_each_cluster() -> None:
    policy = TwoStage(Uniform(), EpsilonGreedy(Logits(VALUES)), CLUSTERS)
    np.testing.assert_allclose(policy.action_dist(OBS)[0], [0, 0, 0.5, 0.5])


def test_the_reward_based_first_stage_scores_clusters_by_what_the_second_would_earn() -> None:
    p = np.exp(VALUES)
    earns = [
        (p[[0, 2]] * VALUES[[0, 2]]).sum() / p[[0, 2]].sum(),
        (p[[1, 3]] * VALUES[[1, 3]]).sum() / p[[1, 3]].sum(),
    ]
    policy = RewardTwoStage(Softmax(Logits(VALUES)), Logits(VALUES), CLUSTERS, beta=0.5)
    np.testing.assert_allclose(
        CLUSTERS.sum_by_cluster(policy.action_dist(OBS))[0], scipy_softmax(0.5 * np.array(earns))
    )


def test_greedy_in_both_stages_is_optimal_under_masks_too() -> None:
    simulator = SyntheticConfig(n_actions=30, mask_rate=0.6).build()
    oracle = OracleScore(simulator)
    policy = RewardTwoStage(EpsilonGreedy(oracle), oracle, kmeans(simulator.prompts.embedding, 4), beta=1e6)
    assert simulator.policy_value(policy, 500).value == pytest.approx(simulator.optimal_value(500).value, abs=1e-4)


def test_a_learned_first_stage_sees_the_centres() -> None:
    first = NeuralPolicy.initial("pairwise", CLUSTERS.observation(OBS), hidden=8, seed=0)
    policy = TwoStage(first, Uniform(), CLUSTERS)
    check_policy(policy, OBS)
    moved = replace(CLUSTERS, centers=CLUSTERS.centers + 1)
    assert not np.allclose(policy.action_dist(OBS), TwoStage(first, Uniform(), moved).action_dist(OBS))


def test_masks_reach_both_stages() -> None:
    masked = replace(OBS, action_mask=np.array([[True, False, True, False], [True, True, False, True]]))
    policy = TwoStage(Uniform(), Uniform(), CLUSTERS)
    np.testing.assert_allclose(policy.action_dist(masked), [[0.5, 0, 0.5, 0], [0.5, 0.25, 0, 0.25]])


def test_cluster_probabilities_and_the_spread_of_their_inverses() -> None:
    dist = np.array([[0.1, 0.2, 0.3, 0.4], [0.5, 0.0, 0.5, 0.0]])
    np.testing.assert_allclose(CLUSTERS.sum_by_cluster(dist), [[0.4, 0.6], [1.0, 0.0]])
    spread = CLUSTERS.inverse_probability_spread(dist)
    assert spread[0] == pytest.approx(np.std([1 / 0.4, 1 / 0.6]))
    assert spread[1] == np.inf


def test_kmeans_finds_the_mixture_that_made_the_prompts() -> None:
    prompts = SyntheticConfig(n_actions=200, prompts="mixture", n_clusters=4).build().prompts
    found = kmeans(prompts.embedding, 4, seed=0)
    made = np.arange(200) % 4
    pairs = set(zip(made.tolist(), found.assignment.tolist(), strict=True))
    assert len(pairs) == 4  # a renaming
    for k in range(4):
        np.testing.assert_allclose(found.centers[k], prompts.embedding[found.assignment == k].mean(0), atol=1e-4)
    again = kmeans(prompts.embedding, 4, seed=0)
    assert np.array_equal(found.assignment, again.assignment)


def test_wrong_clusters_are_named() -> None:
    with pytest.raises(ValueError, match=r"n_clusters: expected 1 … 4 \(distinct prompts\), got 5"):
        kmeans(OBS.prompts.embedding, 5)
    with pytest.raises(ValueError, match="assignment: expected every cluster 0 … 2"):
        Clustering(np.array([0, 2, 0]), np.zeros((3, 1)))
