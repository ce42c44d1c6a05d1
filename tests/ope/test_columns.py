"""Columns: by hand, in chunks, and what they refuse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agents.ope.chunk import chunks_of
from agents.ope.columns import (
    MostLikely,
    PolicyProb,
    Propensity,
    QLogged,
    QPolicy,
    Reward,
    UnsupportedMass,
    Weight,
    columns_of,
)
from agents.ope.models import Models
from agents.ope.policies import ActionDist
from prompt_bandits import BanditDataset, collect
from prompt_bandits.policies import Logits, OracleScore, Restricted, Softmax

from .three_rounds import POLICY, ByPrompt, three_rounds

ALL = [Reward(), Propensity(), PolicyProb(), MostLikely(), Weight(), QLogged(), QPolicy()]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (Reward(), [1, 2, 5]),
        (Propensity(), [0.5, 0.5, 0.2]),
        (PolicyProb(), [0.2, 0.8, 0.8]),
        (MostLikely(), [0.8, 0.8, 0.8]),
        (Weight(), [0.4, 1.6, 4]),
        (QLogged(), [0, 1, 1]),
        (QPolicy(), [0.8, 0.8, 0.8]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_columns_by_hand(column, expected) -> None:
    found = columns_of(three_rounds(), POLICY, [column], Models(q_hat=ByPrompt()))
    np.testing.assert_allclose(found[column], expected)
    assert found[column].dtype == np.float64


def test_what_the_policy_would_take_and_what_was_taken() -> None:
    found = columns_of(three_rounds(), POLICY, [])
    np.testing.assert_allclose(found.policy_mass, [0.2, 0.8])
    assert found.logged_count.tolist() == [1, 2]


def test_unsupported_mass_is_what_the_logging_policy_never_does(simulator) -> None:
    never_0 = Restricted(Softmax(Logits(np.zeros(10))), np.arange(10) > 0)
    data = collect(simulator, never_0, 20, seed=3)
    policy = Softmax(Logits(np.log(np.array([0.3, *[0.7 / 9] * 9]))))
    np.testing.assert_allclose(columns_of(data, policy, [UnsupportedMass()])[UnsupportedMass()], 0.3)


def test_equal_columns_are_computed_once(logged) -> None:
    asked = []

    class Counts(ByPrompt):
        def scores(self, obs):
            asked.append(len(obs))
            return super().scores(obs)

    found = columns_of(logged, POLICY_OF_TEN, [QLogged(), QPolicy(), QPolicy()], Models(q_hat=Counts()))
    assert asked == [len(logged)]
    assert len(found) == 2


POLICY_OF_TEN = Softmax(Logits(np.linspace(0, 2, 10)))


def test_a_folder_in_chunks_gives_what_memory_gives(simulator, logged, tmp_path) -> None:
    policy = Softmax(OracleScore(simulator), 2.0)
    stored = BanditDataset.open(logged.save(tmp_path / "data"))
    models = Models(q_hat=ByPrompt())
    whole = columns_of(logged, policy, [*ALL, UnsupportedMass()], models)
    assert sum(1 for _ in chunks_of(stored, policy, models, memory_mb=0.05)) > 5
    parts = columns_of(stored, policy, [*ALL, UnsupportedMass()], models, memory_mb=0.05)
    for column, values in whole.items():
        np.testing.assert_allclose(parts[column], values, rtol=1e-12, err_msg=str(column))
    np.testing.assert_allclose(parts.policy_mass, whole.policy_mass)
    assert (parts.logged_count == whole.logged_count).all()


def test_an_array_of_probabilities_is_read_by_position(logged) -> None:
    dist = POLICY_OF_TEN.action_dist(logged.obs) * np.linspace(0.5, 1.5, len(logged))[:, None]
    dist /= dist.sum(axis=1, keepdims=True)
    found = columns_of(logged, ActionDist(dist), [PolicyProb()], memory_mb=0.05)
    np.testing.assert_allclose(found[PolicyProb()], dist[np.arange(len(logged)), logged.action])


def test_an_array_for_other_rounds_is_refused(logged) -> None:
    dist = np.full((len(logged) - 1, 10), 0.1)
    with pytest.raises(ValueError, match="known for 599 rounds, asked about 600"):
        columns_of(logged, ActionDist(dist), [PolicyProb()])


def test_rows_that_do_not_sum_to_one_are_named(logged) -> None:
    dist = np.full((len(logged), 10), 0.1)
    dist[333, 0] = 0.4
    with pytest.raises(ValueError, match=r"sum to 1, got one off by 0.3 \(rounds 320 … 339"):
        columns_of(logged, ActionDist(dist), [PolicyProb()], memory_mb=200 / (1 << 13))


def test_no_reward_is_nan_and_no_propensity_zero() -> None:
    nan, zero = three_rounds(), three_rounds()
    nan.reward[1], zero.propensity[1] = np.nan, 0  # behind the dataset's back
    for data, column in ((nan, Reward()), (zero, Weight())):
        with pytest.raises(ValueError, match=r"(row|round) 1"):
            columns_of(data, POLICY, [column])


def test_without_propensities_weights_say_why_not() -> None:
    data = replace(three_rounds(), propensity=None)
    assert "propensity: unknown" in str(Weight().refusal(data, Models()))
    assert Weight().refusal(three_rounds(), Models()) is None
