"""What MovieLens knows: ratings, films and tags."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prompt_bandits.types import FloatArray, IntArray, TextArray, text_array

Int32Array = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Ratings:
    """Who gave which film how many stars, in the file's order. Narrow types: the largest edition has 32 million.

    Raises:
        ValueError: no ratings, or one outside (0, 5].
    """

    user_id: Int32Array  # (m,), as MovieLens numbers them
    item_id: Int32Array  # (m,)
    rating: FloatArray  # (m,) f32, 0.5 … 5

    def __post_init__(self) -> None:
        if not len(self):
            raise ValueError("ratings: expected at least one, got none")
        if not 0 < self.rating.min() <= self.rating.max() <= 5:
            raise ValueError(f"ratings: expected in (0, 5], got {self.rating.min()} … {self.rating.max()}")

    def __len__(self) -> int:
        return len(self.rating)


@dataclass(frozen=True, eq=False)
class Films:
    """The films of an edition, each once.

    Raises:
        ValueError: a film is there twice.
    """

    item_id: IntArray  # (k,), as MovieLens numbers them
    title: TextArray  # (k,) "The Matrix"; with the year where another film has the same title
    year: IntArray  # (k,), 0 where unknown
    genres: TextArray  # (k,) "Action|Sci-Fi", empty where there are none

    def __post_init__(self) -> None:
        ids, count = np.unique(self.item_id, return_counts=True)
        if len(ids) < len(self.item_id):
            raise ValueError(f"films: expected each once, got {ids[count > 1][0]} again")


@dataclass(frozen=True, eq=False)
class Tags:
    """Which words users put on which film; a pair may come again."""

    item_id: IntArray  # (t,)
    tag: TextArray  # (t,)

    @classmethod
    def of(cls, item_id: Sequence[int] | IntArray, tag: Iterable[str]) -> Tags:
        return cls(np.asarray(item_id, dtype=np.int64), text_array(tag))


@dataclass(frozen=True, eq=False)
class MovieLens:
    """What a MovieLens folder holds."""

    edition: str  # a name of `movielens.EDITIONS`
    ratings: Ratings
    films: Films
    tags: Tags  # without rows where the edition has none
