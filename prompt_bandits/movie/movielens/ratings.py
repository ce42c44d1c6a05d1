"""From star ratings to who likes what: the published rules, with their thresholds as arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from prompt_bandits.movie.movielens.data import Ratings
from prompt_bandits.rounds import named_generator
from prompt_bandits.types import BoolArray, FloatArray, IntArray

Ids: TypeAlias = NDArray[np.signedinteger[Any]]  # of 32 or 64 bits


@dataclass(frozen=True)
class RatingRules:
    """Which ratings count, and as what.

    The defaults are the published ones: 5 stars are positive, 4 are left out, everything else is negative. That makes
    4.5 stars negative where an edition has halves; `positive_from=4.5` makes them positive.

    Args:
        positive_from: ratings from here on have reward 1, those below 0.
        left_out: ratings that say neither.
        min_positive, min_negative: what every user and every film has of them, at least.
        balanced: as many positive as negative ratings of each user; the others are drawn out.

    Raises:
        ValueError: a number out of range.
    """

    positive_from: float = 5.0
    left_out: tuple[float, ...] = (4.0,)
    min_positive: int = 10
    min_negative: int = 10
    balanced: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "left_out", tuple(self.left_out))
        if not 0 < self.positive_from <= 5:
            raise ValueError(f"positive_from: expected in (0, 5], got {self.positive_from}")
        for name in ("min_positive", "min_negative"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: expected >= 0, got {getattr(self, name)}")


@dataclass(frozen=True, eq=False)
class Interactions:
    """Who liked what; users and films are numbered in order of appearance."""

    user_id: IntArray  # (m,)
    item_id: IntArray  # (m,)
    reward: FloatArray  # (m,) f32, 0 or 1
    user_key: IntArray  # (n_users,) their ids among the ratings
    item_key: IntArray  # (n_items,)

    def __len__(self) -> int:
        return len(self.reward)

    @property
    def pairs(self) -> IntArray:
        """(m, 2) [user, film]."""
        return np.stack([self.user_id, self.item_id], axis=1)


def filter_ratings(ratings: Ratings, rules: RatingRules | None = None, *, seed: int = 0) -> Interactions:
    """The interactions that `rules` leave of the ratings, in random order.

    Users and films without enough ratings of both kinds go, and those that have too few then, until none does. Only
    after that each user's ratings are balanced, so that films may end up with fewer than the rules ask for (as
    published).

    Args:
        seed: of the balancing and of the order.

    Raises:
        ValueError: nothing is left.
    """
    rules = rules or RatingRules()
    rows = np.flatnonzero(~np.isin(ratings.rating, np.array(rules.left_out, dtype=np.float32)))
    positive = ratings.rating[rows] >= rules.positive_from
    users, user = _numbered(ratings.user_id[rows])
    items, item = _numbered(ratings.item_id[rows])
    kept = _enough(user, item, positive, rules)
    if not len(kept):
        raise ValueError(
            f"ratings: expected some users and films with {rules.min_positive} positive and {rules.min_negative} "
            f"negative ratings each, none of {len(users):,} users and {len(items):,} films is left"
        )
    if rules.balanced:
        kept = kept[_balanced(user[kept], positive[kept], named_generator(seed, "ratings", "balance"))]
        if not len(kept):
            raise ValueError("ratings: expected positive and negative ones of some user, got none; see balanced=False")
    user_rows, user_id = _by_appearance(user[kept])
    item_rows, item_id = _by_appearance(item[kept])
    order = named_generator(seed, "ratings", "order").permutation(len(kept))
    return Interactions(
        user_id[order],
        item_id[order],
        positive[kept][order].astype(np.float32),
        users[user_rows].astype(np.int64),
        items[item_rows].astype(np.int64),
    )


def _numbered(ids: Ids) -> tuple[Ids, Ids]:
    """The distinct ids, and the number of each row's among them; without sorting the rows, which may be 32 million."""
    table = np.zeros(int(ids.max(initial=-1)) + 1, dtype=np.int32)
    table[ids] = 1
    distinct = np.flatnonzero(table)
    table[distinct] = np.arange(len(distinct), dtype=np.int32)
    return distinct, table[ids]


def _enough(user: Ids, item: Ids, positive: BoolArray, rules: RatingRules) -> IntArray:
    """Rows of users and films that keep enough of both kinds."""
    rows = np.arange(len(user), dtype=np.int32)
    while True:
        fits = np.ones(len(rows), dtype=bool)
        for ids in (user[rows], item[rows]):
            fits &= _frequent(ids, positive[rows], rules.min_positive)
            fits &= _frequent(ids, ~positive[rows], rules.min_negative)
        if fits.all():
            return rows.astype(np.int64)
        rows = rows[fits]


def _frequent(ids: Ids, counted: BoolArray, least: int) -> BoolArray:
    count = np.bincount(ids[counted], minlength=int(ids.max(initial=-1)) + 1)
    frequent: BoolArray = (count >= least)[ids]
    return frequent


def _balanced(user: Ids, positive: BoolArray, generator: np.random.Generator) -> IntArray:
    """Rows, in order: of each user as many positive as negative ones, drawn at random."""
    order = generator.permutation(len(user))
    kind = 2 * user[order].astype(np.int64) + positive[order]
    order = order[np.argsort(kind, kind="stable")]  # by user and kind, at random within
    size = np.bincount(kind, minlength=2 * (int(user.max()) + 1))
    rank = np.arange(len(order)) - np.repeat(np.cumsum(size) - size, size)
    share = np.repeat(size.reshape(-1, 2).min(axis=1), 2)
    return np.sort(order[rank < np.repeat(share, size)])


def _by_appearance(ids: Ids) -> tuple[IntArray, IntArray]:
    """The distinct ids in order of appearance, and the number of each row's among them."""
    distinct, first = np.unique(ids, return_index=True)
    order = np.argsort(first)
    number = np.empty(int(ids.max()) + 1, dtype=np.int64)
    number[distinct[order]] = np.arange(len(order))
    return distinct[order], number[ids]
