"""Users, films, keyword prompts, and who asks for what: the tables of a movie environment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prompt_bandits.datasets.kinds import is_unicode
from prompt_bandits.types import FloatArray, IntArray, Prompts, TextArray, text_array

Keys = NDArray[Any]
"""Ids as they were in somebody's own tables: integers, or texts."""


@dataclass(frozen=True, eq=False)
class MovieTables:
    """Users, films and prompts; a user, film or prompt is known by its row number.

    Args:
        prompts: the candidates, with texts, all different.
        interactions: [user, film] in each row, who asks for what; None where anybody may ask for anything.
        interaction_reward: what the users said of these films; no environment needs it.
        year: of the films, 0 where it is unknown.
        genres: of the films, "Action|Comedy".
        user_key, item_key: the ids that users and films had where they came from.

    Raises:
        ValueError: columns of a table that differ in length, numbers that are not finite, ids that are no rows,
            empty texts or doubled prompts.
    """

    user_embedding: FloatArray  # (n_users, d_x) f32
    title: TextArray  # (n_items,)
    item_embedding: FloatArray  # (n_items, d_q) f32
    prompts: Prompts
    interactions: IntArray | None = None  # (m, 2)
    interaction_reward: FloatArray | None = None  # (m,)
    year: IntArray | None = None  # (n_items,)
    genres: TextArray | None = None  # (n_items,)
    user_key: Keys | None = None  # (n_users,)
    item_key: Keys | None = None  # (n_items,)

    @classmethod
    def from_arrays(
        cls,
        user_embedding: Any,
        title: Iterable[str],
        item_embedding: Any,
        prompts: Prompts | Iterable[str],
        prompt_embedding: Any = None,
        interactions: Any = None,
        **optional: Any,
    ) -> MovieTables:
        """From arrays or lists of any number type; prompts as a table, or as texts beside their features (|A|, d_a).

        Raises:
            ValueError: as the class, or texts of prompts without features.
        """
        if not isinstance(prompts, Prompts):
            if prompt_embedding is None:
                raise ValueError("prompt_embedding: expected features (|A|, d_a) beside texts of prompts, got none")
            prompts = Prompts.from_embedding(matrix("prompt_embedding", prompt_embedding), prompts)
        return cls(
            matrix("user_embedding", user_embedding),
            text_array(title),
            matrix("item_embedding", item_embedding),
            prompts,
            None if interactions is None else _pairs(interactions),
            **optional,
        )

    def __post_init__(self) -> None:
        for name in ("user_embedding", "item_embedding"):
            _check_matrix(name, getattr(self, name))
        _check_texts("title", self.title)
        self._check_lengths()
        if self.prompts.text is None:
            raise ValueError("prompts.text: expected the words of every prompt, got none")
        _check_texts("prompts.text", self.prompts.text)
        _check_distinct("prompts.text", self.prompts.text)
        if self.interactions is not None:
            _check_pairs(self.interactions, self.n_users, self.n_items)

    @property
    def n_users(self) -> int:
        return len(self.user_embedding)

    @property
    def n_items(self) -> int:
        return len(self.title)

    @property
    def n_prompts(self) -> int:
        return len(self.prompts)

    def with_prompts(self, prompts: Prompts) -> MovieTables:
        """The same users and films with other candidates."""
        return replace(self, prompts=prompts)

    def __repr__(self) -> str:
        rows = "anybody asks for anything" if self.interactions is None else f"{len(self.interactions):,} interactions"
        return f"MovieTables({self.n_users:,} users, {self.n_items:,} films, {self.n_prompts:,} prompts, {rows})"

    def _check_lengths(self) -> None:
        lengths = {
            "item_embedding": self.n_items,
            "year": self.n_items,
            "genres": self.n_items,
            "item_key": self.n_items,
            "user_key": self.n_users,
            "interaction_reward": None if self.interactions is None else len(self.interactions),
        }
        for name, expected in lengths.items():
            column = getattr(self, name)
            if column is not None and len(column) != expected:
                rows = "none, for there are no interactions" if expected is None else f"{expected} rows"
                raise ValueError(f"{name}: expected {rows}, got {len(column)}")


def matrix(name: str, values: Any) -> FloatArray:
    """Numbers as a float32 matrix.

    Raises:
        ValueError: they are none.
    """
    try:
        return np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: expected numbers of shape (n, d), got {error}") from error


def subset_prompts(prompts: Prompts, n_actions: int | None, generator: np.random.Generator) -> Prompts:
    """`n_actions` of the prompts, drawn without replacement, in the table's order with the ids that they had there.

    Raises:
        ValueError: fewer than one, or more than there are.
    """
    if n_actions is None or n_actions == len(prompts):
        return prompts
    if not 1 <= n_actions <= len(prompts):
        raise ValueError(f"n_actions: expected 1 … {len(prompts)} (the prompts that there are), got {n_actions}")
    rows = np.sort(generator.permutation(len(prompts))[:n_actions])
    text = None if prompts.text is None else prompts.text[rows]
    return Prompts(prompts.prompt_id[rows], prompts.embedding[rows], text)


def _check_matrix(name: str, values: FloatArray) -> None:
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(f"{name}: expected shape (n, d) with n, d >= 1, got {values.shape}")
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        raise ValueError(f"{name}: expected finite numbers, got NaN or infinity in row {int(finite.argmin())}")


def _check_texts(name: str, texts: TextArray) -> None:
    for row, text in enumerate(texts):
        if not isinstance(text, str) or not text.strip() or not is_unicode(text):
            raise ValueError(f"{name}: expected a text that is not empty, got {text!r} in row {row}")


def _check_distinct(name: str, texts: TextArray) -> None:
    seen: dict[str, int] = {}
    for row, text in enumerate(texts):
        if seen.setdefault(text, row) != row:
            raise ValueError(f"{name}: expected every text once, got {text!r} in rows {seen[text]} and {row}")


def _pairs(values: Any) -> IntArray:
    pairs = np.asarray(values)
    if pairs.dtype.kind not in "iu":
        raise ValueError(f"interactions: expected integers [user, film] (m, 2), got {pairs.dtype}")
    return pairs.astype(np.int64)


def _check_pairs(pairs: IntArray, n_users: int, n_items: int) -> None:
    if pairs.dtype != np.int64 or pairs.ndim != 2 or pairs.shape[1] != 2 or not len(pairs):
        raise ValueError(
            f"interactions: expected integers [user, film] of shape (m, 2) with m >= 1, got {pairs.dtype} {pairs.shape}"
        )
    for column, (what, n) in enumerate((("user", n_users), ("film", n_items))):
        outside = (pairs[:, column] < 0) | (pairs[:, column] >= n)
        if outside.any():
            row = int(outside.argmax())
            raise ValueError(f"interactions: expected a {what} in 0 … {n - 1}, got {pairs[row, column]} in row {row}")
