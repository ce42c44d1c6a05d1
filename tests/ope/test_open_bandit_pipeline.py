"""The same figures as from Open Bandit Pipeline's definitions, written here in plain NumPy on its own arrays.

https://github.com/st-tech/zr-obp, obp/ope/estimators.py and estimators_multi.py.
"""

from __future__ import annotations

import numpy as np
import pytest

from agents.ope import evaluate
from agents.ope.estimators import DM, DR, IPS, SNDR, SNIPS, DRos, Replay, SubGaussianDR, SubGaussianIPS, SwitchDR
from prompt_bandits import collect
from prompt_bandits.policies import EpsilonGreedy, Logits, OracleScore, Softmax, Uniform

from .three_rounds import ByPrompt


def feedback(data, policy, q_hat):
    """Arrays as OBP's users have them: action_dist and estimated_rewards (n, |A|, 1)."""
    return {
        "reward": data.reward,
        "action": data.action,
        "pscore": data.propensity,
        "action_dist": policy.action_dist(data.obs)[:, :, None],
        "q": q_hat.scores(data.obs)[:, :, None],
    }


def figures(reward, action, pscore, action_dist, q):
    n = len(reward)
    rows, position = np.arange(n), np.zeros(n, dtype=int)
    iw = action_dist[rows, action, position] / pscore
    q_factual = q[rows, action, position]
    dm = np.average(q[rows, :, position], weights=action_dist[rows, :, position], axis=1)
    os, sg = 5.0 * iw / (iw**2 + 5.0), iw / (1 - 0.3 + 0.3 * iw)
    return {
        IPS(): (iw * reward).mean(),
        IPS(clip=2.0): (np.minimum(iw, 2.0) * reward).mean(),
        SNIPS(): (reward * iw / iw.mean()).mean(),
        DM(): dm.mean(),
        DR(): (dm + iw * (reward - q_factual)).mean(),
        DR(clip=2.0): (dm + np.minimum(iw, 2.0) * (reward - q_factual)).mean(),
        SNDR(): (dm + iw * (reward - q_factual) / iw.mean()).mean(),
        SwitchDR(tau=2.0): (dm + (iw <= 2.0) * iw * (reward - q_factual)).mean(),
        DRos(5.0): (dm + os * (reward - q_factual)).mean(),
        SubGaussianIPS(0.3): (sg * reward).mean(),
        SubGaussianDR(0.3): (dm + sg * (reward - q_factual)).mean(),
    }


def test_figures_are_those_of_the_definitions(logged) -> None:
    given = feedback(logged, Softmax(Logits(np.linspace(0, 1.5, 10))), ByPrompt())
    expected = figures(**given)
    found = evaluate(given["action_dist"], logged, list(expected), q_hat=ByPrompt())
    for estimator, value in expected.items():
        assert found[estimator.name].value == pytest.approx(value, rel=1e-10), estimator.name


def test_replay_is_that_of_the_definition(simulator) -> None:
    data, policy = collect(simulator, Uniform(), 500, seed=4), EpsilonGreedy(OracleScore(simulator))
    match = policy.action_dist(data.obs)[np.arange(500), data.action] == 1
    expected = (data.reward * match / match.mean()).mean()
    assert evaluate(policy, data, [Replay()])["replay"].value == pytest.approx(expected)
