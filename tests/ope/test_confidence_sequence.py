"""Intervals that hold at all times, however often one looks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from agents.ope.confidence_sequence import AsymptoticSequence, BernsteinSequence
from agents.ope.intervals import interval


def either() -> list[BernsteinSequence | AsymptoticSequence]:
    return [BernsteinSequence((0.0, 5.0)), AsymptoticSequence(start=2)]


def weighted(n: int, seed: int):
    """w·r of a uniform log over 4 prompts with binary rewards; at most 2.8, mean 0.46."""
    generator = np.random.default_rng(seed)
    policy, chance = np.array([0.7, 0.1, 0.1, 0.1]), np.array([0.5, 0.2, 0.3, 0.6])
    action = generator.integers(0, 4, n)
    return 4 * policy[action] * (generator.random(n) < chance[action])


def always_held(sequence, values, mean: float) -> bool:
    low, high = sequence.update(values)
    return bool(((low <= mean) & (mean <= high)).all())


def test_bernstein_sequence_by_hand() -> None:
    """The definition, a round at a time, on values of [0, 1000]."""
    values, log_term = np.tile([0.2, 0.9, 0.4, 0.0, 1.0, 0.3], 50), math.log(2 / 0.05)
    bets = won = paid = 0.0
    mean, variance, total, squares = 0.5, 0.25, 0.5, 0.25  # before round t
    for t, x in enumerate(values, start=1):
        bet = min(math.sqrt(2 * log_term / (variance * t * math.log(1 + t))), 0.5)
        bets, won = bets + bet, won + bet * x
        paid += 4 * (x - mean) ** 2 * (-math.log(1 - bet) - bet) / 4
        total += x
        mean = total / (t + 1)
        squares += (x - mean) ** 2
        variance = squares / (t + 1)
    centre, half = won / bets, (log_term + paid) / bets
    sequence = BernsteinSequence((0.0, 1000.0))
    sequence.update(1000 * values)
    found = sequence.interval
    assert (found.low, found.high) == pytest.approx((1000 * (centre - half), 1000 * (centre + half)))
    assert 0 < found.low < 1000 * values.mean() < found.high < 1000


def test_asymptotic_sequence_by_hand() -> None:
    values, rho = np.tile([1.0, 3.0], 200), 0.02
    sequence = AsymptoticSequence(tightest_at=10_000)
    u = 10_000 * rho**2  # what `tightest_at` makes of it solves log((u + 1)/α²) = u
    for _ in range(100):
        u = math.log((u + 1) / 0.05**2)
    rho = math.sqrt(u / 10_000)
    sequence.update(values)
    grown = 400 * rho**2 + 1
    half = math.sqrt(2 * grown / (400**2 * rho**2) * math.log(math.sqrt(grown) / 0.05))
    assert (sequence.interval.low, sequence.interval.high) == pytest.approx((2 - half, 2 + half))


def test_asymptotic_sequence_is_narrowest_where_it_is_told_to_be() -> None:
    values = np.tile([1.0, 3.0], 1000)
    width = {at: AsymptoticSequence(tightest_at=at) for at in (200, 1000, 2000, 4000, 20_000)}
    for sequence in width.values():
        sequence.update(values)
    assert min(width, key=lambda at: width[at].interval.width) == 2000


@pytest.mark.parametrize("which", [0, 1])
def test_how_rounds_are_cut_into_calls_does_not_matter(which) -> None:
    values = weighted(500, 0)
    whole, parts = either()[which], either()[which]
    low, high = whole.update(values)
    pieces = [parts.update(piece) for piece in (values[0], [], *np.split(values[1:], [3, 10, 400]))]
    np.testing.assert_allclose(np.concatenate([piece[0] for piece in pieces]), low)
    np.testing.assert_allclose(np.concatenate([piece[1] for piece in pieces]), high)
    assert parts.n == 500
    assert (parts.interval.low, parts.interval.high) == pytest.approx((low[-1], high[-1]))


@pytest.mark.slow
def test_bernstein_sequence_holds_the_mean_at_all_times() -> None:
    assert (
        np.mean([always_held(BernsteinSequence((0.0, 2.8)), weighted(3000, seed), 0.46) for seed in range(500)]) > 0.95
    )
    rare = (np.random.default_rng(seed).random(3000) < 0.02 for seed in range(500))
    assert np.mean([always_held(BernsteinSequence((0.0, 1.0)), row, 0.02) for row in rare]) > 0.95


@pytest.mark.slow
def test_asymptotic_sequence_holds_the_mean_at_all_times_where_an_interval_of_fixed_n_does_not() -> None:
    rows = [weighted(3000, seed) for seed in range(500)]
    assert np.mean([always_held(AsymptoticSequence(tightest_at=1000), row, 0.46) for row in rows]) > 0.94
    n = np.arange(100, 3001)
    watched = []
    for row in rows:
        mean = (row.cumsum() / np.arange(1, 3001))[99:]
        error = np.sqrt(((row**2).cumsum()[99:] / n - mean**2) / n)
        watched.append((np.abs(mean - 0.46) <= 1.96 * error).all())
    assert np.mean(watched) < 0.8


def test_bernstein_sequence_of_values_that_depend_on_the_past_holds_their_constant_mean() -> None:
    """Each round's spread is chosen by the sum so far; its mean is 0.5 whatever came before."""

    def row(seed: int):
        sign, out = np.random.default_rng(seed).choice([-1.0, 1.0], 1000), np.empty(1000)
        total = 0.0
        for t in range(1000):
            out[t] = 0.5 + (0.5 if total > 0 else 0.05) * sign[t]
            total += out[t] - 0.5
        return out

    assert np.mean([always_held(BernsteinSequence((0.0, 1.0)), row(seed), 0.5) for seed in range(200)]) > 0.95


@pytest.mark.parametrize("which", [0, 1])
def test_a_hundredfold_of_rounds_makes_a_sequence_about_a_tenth_as_wide(which) -> None:
    sequence = either()[which]
    low, high = sequence.update(weighted(1_000_000, 0))
    width = high - low
    assert 7 < width[9_999] / width[-1] < 13


def test_watching_costs_two_and_a_half_times_the_width_at_most() -> None:
    values = weighted(10_000, 0)
    fixed = interval(values, "student_t").width
    for sequence in (AsymptoticSequence(), BernsteinSequence((0.0, 2.8))):
        sequence.update(values)
        assert fixed < sequence.interval.width < 2.5 * fixed


def test_before_the_first_round_nothing_is_known_but_the_bounds() -> None:
    found = BernsteinSequence((-1.0, 3.0)).interval
    assert (found.low, found.high, found.level, found.method) == (-1.0, 3.0, 0.95, "bernstein_sequence")
    sequence = AsymptoticSequence(start=100)
    for values in ([], weighted(99, 0)):
        sequence.update(values)
        assert (sequence.interval.low, sequence.interval.high) == (-math.inf, math.inf)
    sequence.update(0.0)
    assert sequence.interval.width < 2


def test_intervals_stay_in_the_bounds() -> None:
    low, high = BernsteinSequence((0.0, 5.0)).update(np.zeros(100))
    assert (low == 0).all()
    assert high.max() <= 5


def test_a_large_offset_costs_no_digits() -> None:
    values = weighted(1000, 0)
    near, far = AsymptoticSequence(), AsymptoticSequence()
    near.update(values)
    far.update(values + 1e8)
    assert far.interval.width == pytest.approx(near.interval.width, rel=1e-6)


@pytest.mark.parametrize("value", [5.1, -0.1])
def test_a_value_out_of_bounds_is_refused_and_changes_nothing(value) -> None:
    sequence = BernsteinSequence((0.0, 5.0))
    sequence.update(weighted(10, 0))
    before = sequence.interval
    with pytest.raises(ValueError, match=r"all in the bounds \[0, 5\]"):
        sequence.update([1.0, value])
    assert (sequence.interval, sequence.n) == (before, 10)


@pytest.mark.parametrize("which", [0, 1])
def test_nan_and_tables_are_refused_and_change_nothing(which) -> None:
    sequence = either()[which]
    for values, says in (([1.0, np.nan], "1 NaN or infinite of 2"), (np.zeros((2, 2)), r"shape \(k,\)")):
        with pytest.raises(ValueError, match=says):
            sequence.update(values)
    assert sequence.n == 0


def test_settings_that_mean_nothing_are_refused() -> None:
    for make, says in (
        (lambda: BernsteinSequence((1.0, 0.0)), "low < high"),
        (lambda: BernsteinSequence((0.0, 1.0), level=1.0), "level"),
        (lambda: AsymptoticSequence(level=95), "level"),
        (lambda: AsymptoticSequence(start=1), "start: expected at least 2"),
        (lambda: AsymptoticSequence(tightest_at=0), "tightest_at: expected at least 1"),
    ):
        with pytest.raises(ValueError, match=says):
            make()
