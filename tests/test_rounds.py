"""Draws are functions of (seed, scope, name, round) and of nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from prompt_bandits.rounds import BLOCK, Rounds, RoundStream, named_generator

DRAWS = {
    "normal": lambda rounds: rounds.normal("noise", 3),
    "normal scalar": lambda rounds: rounds.normal("noise"),
    "uniform": lambda rounds: rounds.uniform("action"),
    "integers": lambda rounds: rounds.integers("row", 7),
}

GOLDEN_NORMAL = [[-0.019579007833458756, -1.8814249014848952], [-1.670543892232435, 1.003362796820898]]
GOLDEN_UNIFORM = [0.12192082100101043, 0.4887983302417426]
GOLDEN_INTEGERS = [272, 140]
GOLDEN_NAMED = [1.8186305194257615, 1.846075838340801]


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
@pytest.mark.parametrize(
    ("start", "n"), [(0, 1), (5, 17), (BLOCK - 1, 2), (BLOCK, BLOCK), (1000, 3000), (2 * BLOCK, 1)]
)
def test_any_range_equals_the_same_rows_of_the_whole(draw, start, n) -> None:
    whole = draw(Rounds(3, 0, 5000))
    assert np.array_equal(draw(Rounds(3, start, n)), whole[start : start + n])


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_an_index_array_equals_the_same_rows_of_the_whole(draw) -> None:
    whole = draw(Rounds(3, 0, 5000))
    index = np.array([4999, 0, 17, 17, 1024, 1023])
    assert np.array_equal(draw(Rounds(3, index)), whole[index])
    assert np.array_equal(draw(Rounds(3, index).part(1, 4)), whole[index[1:4]])


def test_parts_equal_the_rows_that_they_are() -> None:
    whole = Rounds(3, 100, 50)
    part = whole.part(10, 20)
    assert np.array_equal(part.normal("x", 2), whole.normal("x", 2)[10:20])
    assert np.array_equal(part.part(3, 5).normal("x", 2), whole.normal("x", 2)[13:15])
    assert np.array_equal(part.round_id, np.arange(110, 120))


def test_streams_hand_out_each_round_once_whatever_the_sizes() -> None:
    stream = RoundStream(9, "fit/x")
    sizes = [1, 32, 1000, 5, 2000, 1]
    drawn = np.concatenate([stream.next(size).normal("x") for size in sizes])
    assert np.array_equal(drawn, Rounds(9, 0, sum(sizes), "fit/x").normal("x"))


def test_peeking_does_not_move_a_stream() -> None:
    stream = RoundStream(9, "fit/x", start=4)
    assert stream.peek(3).start == stream.peek(3).start == stream.next(3).start == 4
    assert stream.next(1).start == 7


def test_seeds_scopes_and_names_are_independent() -> None:
    n = 20_000
    base = Rounds(0, 0, n, "log/train").normal("output")
    others = {
        "seed": Rounds(1, 0, n, "log/train").normal("output"),
        "scope": Rounds(0, 0, n, "log/test").normal("output"),
        "name": Rounds(0, 0, n, "log/train").normal("context"),
        "width": Rounds(0, 0, n, "log/train").normal("output", 1)[:, 0],
        "next round": Rounds(0, 1, n, "log/train").normal("output"),
        "next block": Rounds(0, BLOCK, n, "log/train").normal("output"),
    }
    for label, other in others.items():
        correlation = np.corrcoef(base, other)[0, 1]
        assert abs(correlation) < 4 / np.sqrt(n), label
        assert abs(np.corrcoef(base**2, other**2)[0, 1]) < 4 / np.sqrt(n), label


def test_draws_have_their_distributions() -> None:
    rounds = Rounds(5, 0, 50_000)
    assert stats.kstest(rounds.normal("a", 2).ravel(), "norm").pvalue > 1e-3
    assert stats.kstest(rounds.uniform("b"), "uniform").pvalue > 1e-3
    counts = np.bincount(rounds.integers("c", 10), minlength=10)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_golden_values() -> None:
    """The streams themselves: a change here changes every dataset ever recorded."""
    rounds = Rounds(2024, 1023, 2, "log/train")
    np.testing.assert_allclose(rounds.normal("output", 2), GOLDEN_NORMAL, rtol=0, atol=1e-12)
    np.testing.assert_allclose(rounds.uniform("action"), GOLDEN_UNIFORM, rtol=0, atol=1e-12)
    assert rounds.integers("row", 1000).tolist() == GOLDEN_INTEGERS
    np.testing.assert_allclose(named_generator(7, "world", "prompts").standard_normal(2), GOLDEN_NAMED, atol=1e-12)


def test_draws_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        Rounds(0, 0, 3).normal("x")[0] = 1


@pytest.mark.parametrize("arguments", [(-1, 0, 1), (0, -1, 1), (0, 0, -1)])
def test_negative_numbers_are_refused(arguments) -> None:
    with pytest.raises(ValueError, match="expected seed, start and n >= 0"):
        Rounds(*arguments)


def test_no_global_generator_is_touched() -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    Rounds(0, 0, 100).normal("x", 3)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002
