"""The difference of two policies over the same rounds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from agents.ope.intervals import METHODS
from agents.ope.paired import difference

PAIRED = [name for name in METHODS if name != "clopper_pearson"]


def pairs(n: int = 400, gain: float = 0.05, seed: int = 0):
    """Values of two policies that share the luck of the round."""
    generator = np.random.default_rng(seed)
    luck = generator.lognormal(size=n)
    return luck + gain + 0.3 * generator.normal(size=n), luck


def test_difference_by_hand() -> None:
    found = difference([3.0, 2.0, 4.0], [2.0, 0.0, 1.0])  # gains 1, 2, 3
    assert (found.estimate.value, found.estimate.se, found.estimate.n) == pytest.approx((2, 1 / math.sqrt(3), 3))
    half = 4.30265273 / math.sqrt(3)
    assert (found.interval.low, found.interval.high) == pytest.approx((2 - half, 2 + half))
    t = 2 * math.sqrt(3)  # P(T₂ < t) = 1/2 + t / (2·√(2 + t²))
    assert found.probability == pytest.approx(0.5 + t / (2 * math.sqrt(2 + t**2)))


@pytest.mark.parametrize("method", ["student_t", "bootstrap", "bootstrap_bca", "empirical_likelihood"])
def test_a_policy_is_neither_better_nor_worse_than_itself(method) -> None:
    values, _ = pairs()
    found = difference(values, values, method)
    assert (found.estimate.value, found.interval.low, found.interval.high) == (0, 0, 0)
    assert found.probability == 0.5


def test_rounding_is_no_gain() -> None:
    values, _ = pairs()
    assert difference(np.nextafter(values, np.inf), values).probability == 0.5


@pytest.mark.parametrize("method", PAIRED)
def test_trading_places_turns_the_difference_around(method) -> None:
    new, old = pairs()
    bounds = (-3.0, 3.0)
    there, back = difference(new, old, method, bounds=bounds), difference(old, new, method, bounds=bounds)
    assert there.estimate.value == pytest.approx(-back.estimate.value)
    near = 0.3 * there.estimate.se if method.startswith("bootstrap") else 1e-9
    assert (there.interval.low, there.interval.high) == pytest.approx(
        (-back.interval.high, -back.interval.low), abs=near
    )
    assert there.probability == pytest.approx(1 - back.probability, abs=0.05 if near > 1e-9 else 1e-9)


def test_what_both_policies_owe_to_the_round_cancels() -> None:
    new, old = pairs()
    apart = math.hypot(new.std(ddof=1), old.std(ddof=1)) / math.sqrt(len(new))
    assert difference(new, old).estimate.se < apart / 3


def test_the_probability_is_one_minus_the_one_sided_p_value() -> None:
    from scipy.stats import ttest_rel

    new, old = pairs(gain=0.02)
    p = ttest_rel(new, old, alternative="greater").pvalue
    assert 0.6 < difference(new, old).probability == pytest.approx(1 - p)


def test_the_bootstrap_share_is_near_the_studentised_probability() -> None:
    new, old = pairs(gain=0.01)
    assert difference(new, old, "bootstrap").probability == pytest.approx(difference(new, old).probability, abs=0.06)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["student_t", "bootstrap"])
def test_of_two_equal_policies_one_in_ten_seems_better_with_nine_tenths(method) -> None:
    found = [difference(*pairs(100, 0.0, seed), method, seed=seed).probability for seed in range(300)]
    assert np.mean(np.array(found) > 0.9) == pytest.approx(0.1, abs=0.06)
    assert np.mean(found) == pytest.approx(0.5, abs=0.06)


def test_a_gain_in_every_round_is_certain_and_a_loss_is_too() -> None:
    assert difference(np.ones(400), np.zeros(400)).probability == 1
    assert difference(np.zeros(400), np.ones(400)).probability == 0


def test_other_rounds_and_proportions_are_refused() -> None:
    with pytest.raises(ValueError, match=r"old_values: expected the same rounds as new_values, \(4,\), got \(3,\)"):
        difference(np.zeros(4), np.zeros(3))
    with pytest.raises(ValueError, match="no proportion"):
        difference(np.zeros(4), np.ones(4), "clopper_pearson")
    with pytest.raises(ValueError, match="new_values: expected numbers, got 1 NaN"):
        difference([0.0, np.nan], [0.0, 1.0])
    with pytest.raises(ValueError, match="at least 2"):
        difference([1.0], [0.0])
    with pytest.raises(ValueError, match="bounds: hoeffding expects"):
        difference([1.0, 0.0], [0.0, 1.0], "hoeffding")
    with pytest.raises(ValueError, match="all in the bounds"):
        difference([1.0, 0.0], [0.0, 1.0], "hoeffding", bounds=(0.0, 1.0))


def test_a_difference_reads_well() -> None:
    found = difference([3.0, 2.0, 4.0], [2.0, 0.0, 1.0])
    assert str(found) == "+2.0000 [-0.4841, +4.4841], better with probability 0.963"
