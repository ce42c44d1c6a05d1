"""The tables of an asset folder as Parquet files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from prompt_bandits.movie.tables import Keys, MovieTables
from prompt_bandits.types import FloatArray, IntArray, Prompts, TextArray, text_array


def part_of(folder: Path, name: str) -> Path:
    """A file or folder in an asset folder.

    Raises:
        FileNotFoundError: the folder lacks it.
    """
    part = folder / name
    if not part.exists():
        raise FileNotFoundError(f"{folder}: expected an asset folder with {name}, found none")
    return part


def read_tables(folder: Path) -> MovieTables:
    """Users, films, prompts and interactions."""
    users, items, prompts = (read_columns(folder, f"{name}.parquet") for name in ("users", "items", "prompts"))
    asked = read_columns(folder, "interactions.parquet") if (folder / "interactions.parquet").is_file() else {}
    return MovieTables(
        user_embedding=_matrix(users["embedding"]),
        title=text_array(items["title"].to_pylist()),
        item_embedding=_matrix(items["embedding"]),
        prompts=Prompts(
            integers(prompts["prompt_id"]), _matrix(prompts["embedding"]), text_array(prompts["text"].to_pylist())
        ),
        interactions=np.stack([integers(asked[name]) for name in ("user_id", "query_id")], axis=1) if asked else None,
        interaction_reward=np.asarray(asked["reward"]).astype(np.float64) if "reward" in asked else None,
        year=integers(items["year"]) if "year" in items else None,
        genres=text_array(items["genres"].to_pylist()) if "genres" in items else None,
        user_key=_keys(users["user_key"]) if "user_key" in users else None,
        item_key=_keys(items["item_key"]) if "item_key" in items else None,
    )


def read_about(folder: Path) -> TextArray | None:
    """(n_users,) what each user likes, in words, where that is written."""
    users = read_columns(folder, "users.parquet")
    return text_array(users["about"].to_pylist()) if "about" in users else None


def write_tables(folder: Path, tables: MovieTables, about: TextArray | None = None) -> None:
    """Users (with what they like, in words, where known), films, prompts and interactions as Parquet files."""
    users = {"user_id": np.arange(tables.n_users), "embedding": _lists(tables.user_embedding)}
    items = {"query_id": np.arange(tables.n_items), "title": _column(tables.title), "year": tables.year}
    write_columns(folder / "users.parquet", users | {"about": _column(about), "user_key": _column(tables.user_key)})
    more = {"genres": _column(tables.genres), "embedding": _lists(tables.item_embedding)}
    write_columns(folder / "items.parquet", items | more | {"item_key": _column(tables.item_key)})
    prompts = tables.prompts
    words = {"text": _column(prompts.text), "embedding": _lists(prompts.embedding)}
    write_columns(folder / "prompts.parquet", {"prompt_id": prompts.prompt_id, **words})
    if tables.interactions is not None:
        user_id, query_id = tables.interactions.T.astype(np.int32)
        reward = None if tables.interaction_reward is None else tables.interaction_reward.astype(np.float32)
        write_columns(folder / "interactions.parquet", {"user_id": user_id, "query_id": query_id, "reward": reward})


def read_columns(folder: Path, name: str) -> dict[str, Any]:
    """The columns of a Parquet file by name."""
    import pyarrow.parquet as pq

    table = pq.read_table(part_of(folder, name))
    return {column: table[column] for column in table.column_names}


def write_columns(file: Path, columns: Mapping[str, Any]) -> None:
    """A Parquet file of the columns that are not None."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    known = {name: column for name, column in columns.items() if column is not None}
    pq.write_table(pa.table(known), file, compression="zstd", compression_level=19)


def integers(column: Any) -> IntArray:
    """As (n,) int64."""
    return np.asarray(column).astype(np.int64)


def _column(values: Keys | None) -> Any:
    """Integers as they are, else texts; None stays None."""
    import pyarrow as pa

    if values is None or np.issubdtype(values.dtype, np.integer):
        return values
    return pa.array(values, pa.string())


def _keys(column: Any) -> Keys:
    """Integers or texts, as they were written."""
    found = column.to_pylist()
    return np.array(found, np.int64) if isinstance(found[0], int) else text_array(found)


def _matrix(column: Any) -> FloatArray:
    whole = column.combine_chunks()
    return np.asarray(whole.flatten()).reshape(-1, whole.type.list_size).astype(np.float32)


def _lists(matrix: FloatArray) -> Any:
    import pyarrow as pa

    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.astype(np.float32).ravel()), matrix.shape[1])
