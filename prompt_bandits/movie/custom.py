"""Your own users, items, prompts and interactions as the tables of an environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from prompt_bandits.logs.values import integer_of
from prompt_bandits.movie.own_tables import EMBEDDING, OwnTable
from prompt_bandits.movie.tables import Keys, MovieTables
from prompt_bandits.protocols import SentenceEncoder
from prompt_bandits.types import FloatArray, IntArray, Prompts, TextArray


def tables_from(
    *,
    users: Any,
    items: Any,
    prompts: Any,
    interactions: Any = None,
    encoder: SentenceEncoder | None = None,
    user_features: Sequence[str] | None = None,
) -> MovieTables:
    """Tables in memory or in files as `MovieTables`: a user, item or prompt becomes the number of its row.

    A table is a pandas or polars DataFrame, a pyarrow Table, a dict of columns, or a `.csv`, `.jsonl` or `.parquet`
    file. An embedding is one column `embedding` of lists of numbers, or columns `embedding_0`, `embedding_1`, …

    Args:
        users: `user_id` (numbers or texts, each once) and an embedding.
        items: `query_id` (likewise), `title`, and if you like `year`, `genres` and an embedding.
        prompts: `text`, each once, and if you like an embedding; in this order they are the actions.
        interactions: `user_id`, `query_id`, and if you like `reward`; None lets anybody ask for anything.
        encoder: of the titles and prompts that have no embedding; anything with `encode`.
        user_features: the columns of numbers that are a user's embedding, in the place of `embedding`.

    Raises:
        ValueError: what is wrong, by table, row and column.
        FileNotFoundError: no such file.
    """
    table = OwnTable("users", users)
    user_key, user_embedding = table.read(table.ids("user_id"), table.embedding(user_features))
    if user_embedding is None:
        raise ValueError(f"users: expected a column {EMBEDDING}, or {EMBEDDING}_0, {EMBEDDING}_1, …, got neither")
    table = OwnTable("items", items)
    item_key, title, item_embedding, year, genres = table.read(
        table.ids("query_id"), table.texts("title"), table.embedding(), table.years("year"), table.words("genres")
    )
    pairs, reward = (None, None) if interactions is None else _interactions(interactions, user_key, item_key)
    return MovieTables(
        user_embedding=user_embedding,
        title=title,
        item_embedding=_encoded("items", title, item_embedding, encoder),
        prompts=_prompts(prompts, encoder),
        interactions=pairs,
        interaction_reward=reward,
        year=year,
        genres=genres,
        user_key=_as_numbers(user_key),
        item_key=_as_numbers(item_key),
    )


def _prompts(prompts: Any, encoder: SentenceEncoder | None) -> Prompts:
    table = OwnTable("prompts", prompts)
    text, embedding = table.read(table.texts("text", once=True), table.embedding())
    return Prompts.from_embedding(_encoded("prompts", text, embedding, encoder), text)


def _interactions(interactions: Any, user_key: TextArray, item_key: TextArray) -> tuple[IntArray, FloatArray | None]:
    """[user, item] of every row, and the rewards."""
    table = OwnTable("interactions", interactions)
    user, item, reward = table.read(
        table.known("user_id", user_key, "users"), table.known("query_id", item_key, "items"), table.numbers("reward")
    )
    return np.stack([user, item], axis=1), reward


def _as_numbers(keys: TextArray) -> Keys:
    """Ids as integers where all of them are."""
    numbers = [number for key in keys if (number := integer_of(key)) is not None and str(number) == key]
    return np.array(numbers, np.int64) if len(numbers) == len(keys) else keys


def _encoded(table: str, texts: TextArray, embedding: FloatArray | None, encoder: SentenceEncoder | None) -> FloatArray:
    if embedding is not None:
        return embedding
    if encoder is None:
        raise ValueError(f"{table}: expected a column {EMBEDDING}, or {EMBEDDING}_0, …, or an encoder; got neither")
    encoded = np.asarray(encoder.encode(texts), dtype=np.float32)
    if encoded.ndim != 2 or len(encoded) != len(texts):
        raise ValueError(f"encoder: expected features ({len(texts)}, d) of the {table}, got shape {encoded.shape}")
    return encoded
