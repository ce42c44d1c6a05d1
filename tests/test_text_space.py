"""Text observations: the space alone, and in single, vector and recorded environments."""

from __future__ import annotations

import pickle
from copy import deepcopy

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector.utils import (
    batch_space,
    concatenate,
    create_empty_array,
    create_shared_memory,
    iterate,
    read_from_shared_memory,
    write_to_shared_memory,
)

from prompt_bandits.text_space import SharedTexts, UnicodeText

TITLES = ("Amélie (2001)", "七人の侍 (1954)", "", "Œdipe 𝄞 \u0000 \ud800", "a" * 40)


@pytest.fixture
def space() -> UnicodeText:
    return UnicodeText(40, corpus=TITLES, seed=0)


@pytest.mark.parametrize("text", TITLES)
def test_any_characters_are_contained_up_to_the_length(space, text) -> None:
    assert text in space
    assert text + "a" * 41 not in space


@pytest.mark.parametrize("other", [None, 3, b"abc", ["a"], np.array("a")])
def test_what_is_no_text_is_not_contained(space, other) -> None:
    assert other not in space
    assert "a" not in UnicodeText(5, min_length=2)


def test_samples_are_of_the_corpus_or_printable(space) -> None:
    assert {space.sample() for _ in range(100)} == set(TITLES)
    bare = UnicodeText(7, min_length=3, seed=1)
    drawn = [bare.sample() for _ in range(50)]
    assert all(3 <= len(text) <= 7 and text.isascii() and text.isprintable() for text in drawn)
    assert UnicodeText(7, min_length=3, seed=1).sample() == drawn[0]
    with pytest.raises(ValueError, match="expected no mask"):
        space.sample(mask=(3, None))
    with pytest.raises(ValueError, match="corpus: expected texts of 0 … 3 characters, got 'long'"):
        UnicodeText(3, corpus=["long"])


def test_spaces_are_equal_by_their_lengths(space) -> None:
    assert space == UnicodeText(40) == pickle.loads(pickle.dumps(space)) == deepcopy(space)
    assert space != UnicodeText(41)
    assert space != spaces.Text(40, min_length=0)
    assert spaces.Text(40, min_length=0) != space
    assert repr(space) == "UnicodeText(0, 40)"


@pytest.mark.parametrize("text", TITLES)
def test_flattening_is_undone(space, text) -> None:
    flat = spaces.flatten(space, text)
    assert flat in spaces.flatten_space(space)
    assert flat.shape == (spaces.flatdim(space),) == (40,)
    assert spaces.unflatten(space, flat) == text
    both = spaces.Dict(text=space, number=spaces.Box(0, 1, (2,)))
    point = {"text": text, "number": np.array([0.25, 0.5], np.float32)}
    assert spaces.flatten(both, point) in spaces.flatten_space(both)
    assert spaces.unflatten(both, spaces.flatten(both, point))["text"] == text


def test_batches_are_tuples(space) -> None:
    batch = batch_space(space, 5)
    assert TITLES in batch
    assert (*TITLES[:4], 3) not in batch
    assert [one.corpus for one in batch] == [TITLES] * 5
    samples = [batch.sample() for _ in range(20)]
    assert all(sample in batch for sample in samples)
    assert len({sample[0] for sample in samples}) > 1
    assert any(sample[0] != sample[1] for sample in samples)
    assert list(iterate(batch, TITLES)) == list(TITLES)
    assert concatenate(space, TITLES, create_empty_array(space, 5)) == TITLES


def test_shared_memory_is_read_anew_each_time(space) -> None:
    memory = create_shared_memory(space, n=5)
    seen = read_from_shared_memory(space, memory, n=5)
    assert isinstance(seen, SharedTexts)
    assert deepcopy(seen) == ("",) * 5
    for i, text in enumerate(TITLES):
        write_to_shared_memory(space, i, text, memory)
    assert deepcopy(seen) == TITLES == seen[:]
    write_to_shared_memory(space, 4, "b", memory)
    assert (seen[4], len(seen)) == ("b", 5)
    assert "b" in seen
