"""Intervals by hand, by identity, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest

from agents.ope.atoms import as_atoms
from agents.ope.bootstrap import VARIANTS, bias_corrected, bootstrap, percentile, resample, studentised
from agents.ope.bounds import doubly_robust_bounds, weighted_bounds
from agents.ope.closed_form import clopper_pearson, empirical_bernstein, hoeffding, student_t
from agents.ope.constrained_likelihood import constrained_empirical_likelihood, ratio
from agents.ope.empirical_likelihood import critical_value, empirical_likelihood
from agents.ope.intervals import METHODS, Interval, interval


def skewed(n: int, seed: int = 0):
    """Mean 1, and a long tail like that of weights."""
    return np.random.default_rng(seed).lognormal(-0.5, 1.0, n)


def binary(n: int, share: float = 0.3, seed: int = 0):
    return (np.random.default_rng(seed).random(n) < share).astype(float)


def ends(found: Interval):
    return pytest.approx((found.low, found.high))


def test_student_t_by_hand() -> None:
    assert (2 - 4.30265273 / math.sqrt(3), 2 + 4.30265273 / math.sqrt(3)) == ends(student_t([1.0, 2.0, 3.0]))
    assert (2 - 1.8856181 / math.sqrt(3), 2 + 1.8856181 / math.sqrt(3)) == ends(student_t([1.0, 2.0, 3.0], 0.8))


def test_hoeffding_by_hand() -> None:
    found = hoeffding(np.full(100, 3.0), (2.0, 4.0))
    assert ends(found) == (3 - 2 * 0.13581015, 3 + 2 * 0.13581015)  # √(log 40 / 200)


@pytest.mark.parametrize("n", [10, 1000, 100_000])
def test_hoeffding_narrows_with_rounds_as_the_root_of_twice_their_number(n) -> None:
    """Not √(log(2/α)/2·n), which widens."""
    values = np.tile([0.0, 1.0], n // 2)
    assert hoeffding(values, (0, 1)).width == pytest.approx(2 * math.sqrt(math.log(40) / (2 * n)))


def test_hoeffding_rests_on_the_bounds_and_not_on_the_largest_value_seen() -> None:
    values = np.tile([4.0, 6.0], 5000)
    assert hoeffding(values, (0, 10)).width == pytest.approx(5 * hoeffding(values, (4, 6)).width)


def test_empirical_bernstein_by_hand() -> None:
    values = np.tile([4.0, 6.0], 5000)  # s² = 10000/9999
    half = math.sqrt(2 * (10_000 / 9999) * math.log(80) / 10_000) + 10 * 7 * math.log(80) / (3 * 9999)
    assert (5 - half, 5 + half) == ends(empirical_bernstein(values, (0, 10)))


def test_clopper_pearson_by_hand() -> None:
    none = clopper_pearson(np.zeros(10))
    assert (none.low, none.high) == (0.0, pytest.approx(1 - 0.025**0.1))
    every = clopper_pearson(np.ones(10))
    assert (every.low, every.high) == (pytest.approx(0.025**0.1), 1.0)
    assert ends(clopper_pearson([1.0] * 3 + [0.0] * 7)) == (0.06673951, 0.65245285)  # published tables: 6.67%, 65.25%


def test_empirical_likelihood_of_two_values_solves_the_binomial_likelihood_ratio() -> None:
    n, ones = 200, 30
    found = empirical_likelihood(np.repeat([1.0, 0.0], [ones, n - ones]))
    for share in (found.low, found.high):
        log_ratio = ones * math.log(share * n / ones) + (n - ones) * math.log((1 - share) * n / (n - ones))
        assert -2 * log_ratio == pytest.approx(critical_value(0.95, n))
    assert found.low < ones / n < found.high


@pytest.mark.parametrize("n", [5, 50, 5000])
def test_the_ends_of_empirical_likelihood_have_the_critical_ratio(n) -> None:
    """Found by another way: Newton's method over the multiplier."""
    values = skewed(n)
    found = empirical_likelihood(values, 0.9)
    for end in (found.low, found.high):
        assert ratio((values - end)[:, None]) == pytest.approx(critical_value(0.9, n), rel=1e-5)


def test_empirical_likelihood_leans_to_the_long_tail() -> None:
    values = skewed(100)
    found = empirical_likelihood(values)
    assert found.high - values.mean() > 1.1 * (values.mean() - found.low)


def test_weights_of_mean_one_say_all_about_values_in_proportion_to_them() -> None:
    weights = skewed(300)
    assert ends(constrained_empirical_likelihood(3 * weights, weights)) == (3.0, 3.0)


def test_weights_of_mean_one_narrow_the_interval_where_rewards_are_far_from_zero() -> None:
    weights = skewed(1000)
    values = weights * (5 + np.random.default_rng(1).normal(size=1000))
    found = constrained_empirical_likelihood(values, weights)
    assert 5.0 in found
    assert found.width < empirical_likelihood(values).width / 3


def test_weights_that_have_nothing_to_do_with_the_values_change_little() -> None:
    values, weights = skewed(3000), skewed(3000, seed=1)
    plain, told = empirical_likelihood(values), constrained_empirical_likelihood(values, weights)
    assert told.width == pytest.approx(plain.width, rel=0.02)


def test_resampled_means_have_the_standard_error_and_skewness_of_the_mean() -> None:
    values = skewed(20_000)
    drawn = resample(values, 20_000)
    assert drawn.own_se == pytest.approx(values.std(ddof=1) / math.sqrt(20_000))
    assert drawn.mean.mean() == pytest.approx(values.mean(), abs=4 * drawn.own_se / math.sqrt(20_000))
    assert drawn.mean.std() == pytest.approx(drawn.own_se, rel=0.03)
    z = (drawn.mean - drawn.mean.mean()) / drawn.mean.std()
    assert (z**3).mean() == pytest.approx(drawn.skewness / math.sqrt(20_000), abs=4 * math.sqrt(6 / 20_000))


@pytest.mark.parametrize(("make", "kind"), [(percentile, "mean"), (studentised, "t")])
def test_bootstrap_agrees_with_drawing_rounds_one_by_one(make, kind) -> None:
    values, generator = skewed(3000), np.random.default_rng(1)
    rows = (values[generator.integers(0, 3000, 3000)] for _ in range(4000))
    mean, se = np.array([(row.mean(), row.std(ddof=1) / math.sqrt(3000)) for row in rows]).T
    own = values.std(ddof=1) / math.sqrt(3000)
    if kind == "mean":
        low, high = np.quantile(mean, [0.025, 0.975])
    else:
        low, high = values.mean() - own * np.quantile((mean - values.mean()) / se, [0.975, 0.025])
    found = make(resample(values, 4000))
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.12 * own)  # 4 errors of a quantile of 4000


def test_bca_moves_percentiles_towards_the_long_tail_and_leaves_symmetric_values() -> None:
    tail = resample(skewed(200), 4000)
    assert bias_corrected(tail).low > percentile(tail).low
    assert bias_corrected(tail).high > percentile(tail).high
    even = resample(np.random.default_rng(0).normal(size=200), 4000)
    found, plain = bias_corrected(even), percentile(even)
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high), abs=0.15 * even.own_se)


def test_the_same_seed_gives_the_same_bootstrap_and_another_seed_another() -> None:
    values = skewed(500)
    assert bootstrap(values, seed=3) == bootstrap(values, seed=3)
    assert bootstrap(values, seed=3) != bootstrap(values, seed=4)


def test_a_studentised_end_is_open_where_two_rounds_bear_everything_and_bounds_close_it() -> None:
    for most in (0.0, 0.1, -0.7):
        values = np.full(1000, most)
        values[:2] = 5.0
        assert bootstrap(values).high == math.inf
        assert interval(values, "bootstrap", bounds=(-1.0, 5.0)).high == 5.0


@pytest.mark.parametrize("n", [1000, 20_000, 1_000_000])
def test_a_few_atoms_have_the_moments_of_many_values(n) -> None:
    values = skewed(n) - 1
    atoms = as_atoms(values)
    share = atoms.count / n
    assert len(atoms.place) <= 192
    assert atoms.n == n
    for power, within in ((1, 1e-9), (2, 1e-9), (3, 1e-4), (4, 1e-4)):
        moment = float((values**power).mean())
        assert share @ atoms.place**power == pytest.approx(moment, rel=within, abs=1e-12), power


def test_atoms_of_few_different_values_are_exact() -> None:
    atoms = as_atoms(np.tile([0.0, 0.0, 2.5, 1.0], 10_000))
    np.testing.assert_array_equal(atoms.place, [0.0, 1.0, 2.5])
    np.testing.assert_array_equal(atoms.count, [20_000, 10_000, 10_000])


@pytest.mark.parametrize("method", METHODS)
def test_a_hundredfold_of_rounds_makes_an_interval_a_tenth_as_wide(method) -> None:
    values = binary(10_000)
    few, many = (interval(values.repeat(times), method, bounds=(0.0, 1.0)).width for times in (1, 100))
    assert few / many == pytest.approx(10, rel=0.2 if method.startswith("bootstrap") else 0.15)


@pytest.mark.parametrize("method", METHODS)
def test_a_higher_level_is_wider_and_both_hold_the_mean(method) -> None:
    values = binary(500)
    narrow, wide = (interval(values, method, level, bounds=(0.0, 1.0)) for level in (0.5, 0.99))
    assert wide.low < narrow.low < values.mean() < narrow.high < wide.high
    assert (wide.level, wide.method) == (0.99, method)


@pytest.mark.parametrize("method", [name for name in METHODS if name != "clopper_pearson"])
def test_intervals_move_and_stretch_with_the_values(method) -> None:
    values = skewed(400)
    plain = interval(values, method, bounds=(0.0, 50.0))
    moved = interval(7 - 3 * values, method, bounds=(7 - 150.0, 7.0))
    rel = 0.15 if method.startswith("bootstrap") else 1e-6  # other draws where the order turns around
    assert moved.width == pytest.approx(3 * plain.width, rel=rel)
    assert (moved.low - 7 + 3 * values.mean()) == pytest.approx(3 * (values.mean() - plain.high), rel=2 * rel)


@pytest.mark.parametrize("method", ["student_t", *VARIANTS, "empirical_likelihood"])
@pytest.mark.parametrize("value", [0.25, 0.1])  # the mean of many 0.1 is another number
def test_equal_values_show_no_error(method, value) -> None:
    found = interval(np.full(49, value), method)
    assert (found.low, found.high) == pytest.approx((value, value), abs=1e-12)


@pytest.mark.parametrize("method", ["hoeffding", "empirical_bernstein"])
def test_equal_values_leave_bounded_methods_in_doubt(method) -> None:
    found = interval(np.zeros(50), method, bounds=(0.0, 1.0))
    assert found.low == 0
    assert found.high > 0.1


def test_what_bounds_exclude_is_left_out() -> None:
    values = np.array([0.0] * 9 + [1.0])
    assert interval(values).low < 0
    assert interval(values, bounds=(0.0, 1.0)).low == 0


def test_bounds_of_weighted_rewards_by_hand() -> None:
    assert weighted_bounds((0.0, 1.0), 20.0) == (0.0, 20.0)
    assert weighted_bounds((1.0, 5.0), 20.0) == (0.0, 100.0)  # a weight may be 0
    assert weighted_bounds((-2.0, 3.0), 10.0) == (-20.0, 30.0)
    assert doubly_robust_bounds((-1.0, 1.0), 10.0) == (-21.0, 21.0)


def test_values_of_the_doubly_robust_estimator_can_reach_its_bounds() -> None:
    weight, reward, q_logged, v = 10.0, 1.0, -1.0, 1.0
    assert v + weight * (reward - q_logged) == doubly_robust_bounds((-1.0, 1.0), 10.0)[1]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("values", "says"),
    [
        (np.array([0.5]), "at least 2 rounds"),
        (np.array([]), "at least 2 rounds"),
        (np.array([0.0, 1.0, np.nan]), "1 NaN or infinite of 3"),
        (np.array([0.0, 1.0, np.inf]), "1 NaN or infinite of 3"),
        (np.zeros((3, 2)), r"shape \(n,\), got \(3, 2\)"),
    ],
)
def test_values_that_say_nothing_are_refused(method, values, says) -> None:
    with pytest.raises(ValueError, match=says):
        interval(values, method, bounds=(0.0, 1.0) if METHODS[method].needs_bounds else None)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("level", [0.0, 1.0, 95, -0.5, math.nan])
def test_levels_outside_zero_and_one_are_refused(method, level) -> None:
    with pytest.raises(ValueError, match="level: expected a number in"):
        interval(binary(10), method, level, bounds=(0.0, 1.0))


@pytest.mark.parametrize("method", ["hoeffding", "empirical_bernstein"])
def test_bounds_that_are_missing_are_asked_for(method) -> None:
    with pytest.raises(ValueError, match=f"bounds: {method} expects the lowest and the highest value"):
        interval(binary(10), method)


@pytest.mark.parametrize("method", METHODS)
def test_bounds_that_are_violated_or_empty_are_refused(method) -> None:
    with pytest.raises(ValueError, match=r"all in the bounds \[0, 0.5\], got \[0, 1\]"):
        interval(binary(10), method, bounds=(0.0, 0.5))
    for bounds in ((1.0, 0.0), (0.0, 0.0), (0.0, math.inf), (math.nan, 1.0)):
        with pytest.raises(ValueError, match="low < high, both finite"):
            interval(binary(10), method, bounds=bounds)


def test_bounds_forgive_rounding() -> None:
    assert interval([0.0, 10.000000000000002], "hoeffding", bounds=(0.0, 10.0)).high == 10.0


def test_clopper_pearson_refuses_weighted_rewards() -> None:
    with pytest.raises(ValueError, match=r"0 or 1, not weighted, got 0.5, 2"):
        clopper_pearson([0.0, 1.0, 2.0, 0.5])


def test_unknown_methods_are_told_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"expected one of student_t, bootstrap, .* got 'normal'"):
        interval(binary(10), "normal")


def test_few_resamples_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 100"):
        resample(binary(10), 20)


def test_weights_that_cannot_have_mean_one_are_refused() -> None:
    values = skewed(3)
    for weights, says in (
        ([1.5, 2.0, 3.0], "some below 1 and some above"),
        ([1.0, 1.0, 1.0], "all are 1"),
        ([1.0, 2.0], "one for each value"),
    ):
        with pytest.raises(ValueError, match=says):
            constrained_empirical_likelihood(values, weights)


@pytest.mark.parametrize("largest", [0.5, math.inf, math.nan])
def test_largest_weights_that_are_none_are_refused(largest) -> None:
    with pytest.raises(ValueError, match="largest_weight: expected a number >= 1"):
        weighted_bounds((0.0, 1.0), largest)


def test_an_interval_reads_well() -> None:
    found = Interval(0.1, 0.25, 0.95, "student_t")
    assert str(found) == "[0.1000, 0.2500] (0.95, student_t)"
    assert found.width == pytest.approx(0.15)
    assert 0.1 in found
    assert 0.3 not in found
