"""Who arrives and which film they ask about."""

from __future__ import annotations

import numpy as np

from prompt_bandits.movie.tables import MovieTables
from prompt_bandits.rounds import Rounds, named_generator
from prompt_bandits.types import IntArray, Observation, Prompts

SPLITS = ("train", "test")
HOW = ("interactions", "independent")


def split_users(n_users: int, test_ratio: float, world_seed: int) -> dict[str, IntArray]:
    """The users of "train" and "test", in order; no user is in both. A smaller `test_ratio` takes some of the same.

    Raises:
        ValueError: `test_ratio` is outside [0, 1].
    """
    if not 0 <= test_ratio <= 1:
        raise ValueError(f"test_ratio: expected in [0, 1], got {test_ratio}")
    shuffled = named_generator(world_seed, "split").permutation(n_users)
    n_test = round(test_ratio * n_users)
    return {"train": np.sort(shuffled[n_test:]), "test": np.sort(shuffled[:n_test])}


class MovieContexts:
    """Users of one split, each asking about a film.

    Args:
        split: "train" or "test".
        test_ratio: the share of the users that are test users.
        world_seed: of the split.
        how: "interactions" draws a row among those of the split's users; "independent" draws a user and a film.

    Attributes:
        users: the split's users.

    Raises:
        ValueError: an unknown word, no interactions where they are asked for, or a split with nobody in it.
    """

    def __init__(
        self,
        tables: MovieTables,
        split: str = "train",
        test_ratio: float = 0.5,
        world_seed: int = 0,
        how: str = "interactions",
    ) -> None:
        for name, value, known in (("split", split, SPLITS), ("contexts", how, HOW)):
            if value not in known:
                raise ValueError(f"{name}: expected one of {', '.join(known)}, got {value!r}")
        self.tables, self.split, self.how = tables, split, how
        self.users = split_users(tables.n_users, test_ratio, world_seed)[split]
        if not len(self.users):
            few = f"{tables.n_users} users with test_ratio={test_ratio}"
            raise ValueError(f"split {split!r}: expected at least one user, got none of {few}")
        self._pairs = self._rows_of_split() if how == "interactions" else None

    def observe(self, rounds: Rounds, prompts: Prompts) -> Observation:
        if self._pairs is None:
            user = self.users[rounds.integers("user", len(self.users))]
            film = rounds.integers("film", self.tables.n_items)
        else:
            user, film = self._pairs[rounds.integers("interaction", len(self._pairs))].T
        tables = self.tables
        return Observation(
            tables.user_embedding[user],
            prompts,
            tables.item_embedding[film],
            user_id=user,
            query_id=film,
            query_text=tables.title[film],
        )

    def _rows_of_split(self) -> IntArray:
        pairs = self.tables.interactions
        if pairs is None:
            raise ValueError("interactions: expected rows [user, film], got none; contexts='independent' needs none")
        member = np.zeros(self.tables.n_users, dtype=bool)
        member[self.users] = True
        rows: IntArray = pairs[member[pairs[:, 0]]]
        if not len(rows):
            raise ValueError(
                f"split {self.split!r}: expected interactions of its {len(self.users)} users, got none; "
                "contexts='independent' needs none"
            )
        return rows
