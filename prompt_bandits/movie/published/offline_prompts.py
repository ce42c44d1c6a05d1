"""The published assets of OfflinePrompts: its ten files, as they are."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from prompt_bandits.logs.sources import open_source
from prompt_bandits.movie.movielens.formats import read_columns
from prompt_bandits.movie.published.reward import PublishedReward, load_published_reward
from prompt_bandits.movie.published.torch_files import load_matrix
from prompt_bandits.movie.tables import MovieTables, subset_prompts
from prompt_bandits.rounds import named_generator
from prompt_bandits.types import FloatArray, IntArray, Prompts, TextArray, text_array

FILES = {
    "path_to_user_embeddings": ("movielens_transformer_user_embeddings.pt", "movielens_naive_cf_user_embeddings.pt"),
    "path_to_queries": ("movielens_query.csv",),
    "path_to_query_embeddings": ("movielens_query_embs.pt",),
    "path_to_candidate_prompts": ("movielens_benchmark_prompts.csv",),
    "path_to_prompt_embeddings": ("movielens_prompt_embs.pt",),
    "path_to_interaction_data": ("movielens_preprocessed_data.csv",),
    "path_to_finetuned_params": ("movielens_distilbert_reward_simulator.pt",),
    "path_to_query_pca_matrix": ("movielens_query_pca_matrix.pt",),
    "path_to_prompt_pca_matrix": ("movielens_prompt_pca_matrix.pt",),
    "path_to_sentence_pca_matrix": ("movielens_sentence_pca_matrix.pt",),
}
"""Argument by argument, what the file is called in a folder; of two the first that is there."""
_NEEDED = list(FILES)[:5]


@dataclass(frozen=True, eq=False)
class PublishedAssets:
    """What the files hold.

    Attributes:
        tables: users, films, prompts and interactions; a film's title is the query as it was written.
        description: the sentence without a prompt of each film.
        reward: the fitted reward simulator.
        pca: "query", "prompt", "sentence": matrices (d_llm, d) that project mean-pooled LLM states (not centred).
        missing: arguments whose file was not there; what it holds is None above.
    """

    tables: MovieTables
    description: TextArray | None  # (n_items,)
    reward: PublishedReward | None
    pca: Mapping[str, FloatArray]
    missing: tuple[str, ...]


def holds_offline_prompts(folder: str | Path) -> bool:
    """Whether a folder has any of the published files."""
    return any((Path(folder) / name).is_file() for names in FILES.values() for name in names)


def load_offline_prompts(
    folder: str | Path | None = None,
    *,
    path_to_user_embeddings: str | Path | None = None,
    path_to_queries: str | Path | None = None,
    path_to_query_embeddings: str | Path | None = None,
    path_to_candidate_prompts: str | Path | None = None,
    path_to_prompt_embeddings: str | Path | None = None,
    path_to_interaction_data: str | Path | None = None,
    path_to_finetuned_params: str | Path | None = None,
    path_to_query_pca_matrix: str | Path | None = None,
    path_to_prompt_pca_matrix: str | Path | None = None,
    path_to_sentence_pca_matrix: str | Path | None = None,
    n_actions: int | None = None,
    seed: int = 0,
) -> PublishedAssets:
    """OfflinePrompts' asset folder, or its files one by one; a file that is named takes the place of the folder's.

    All sizes are those of the files. Actions are the prompts in the file's order. Nothing in a file is run.

    Args:
        folder: with files of the published names (`FILES`).
        n_actions: so many of the prompts, drawn without replacement; all for None.
        seed: of that draw.

    Raises:
        FileNotFoundError: files without which there are no tables (the first five), or a named file, are not there.
        ValueError: a file of another form, or files that do not fit each other.
    """
    named = {
        "path_to_user_embeddings": path_to_user_embeddings,
        "path_to_queries": path_to_queries,
        "path_to_query_embeddings": path_to_query_embeddings,
        "path_to_candidate_prompts": path_to_candidate_prompts,
        "path_to_prompt_embeddings": path_to_prompt_embeddings,
        "path_to_interaction_data": path_to_interaction_data,
        "path_to_finetuned_params": path_to_finetuned_params,
        "path_to_query_pca_matrix": path_to_query_pca_matrix,
        "path_to_prompt_pca_matrix": path_to_prompt_pca_matrix,
        "path_to_sentence_pca_matrix": path_to_sentence_pca_matrix,
    }
    files = _find(None if folder is None else Path(folder), named)
    title = _column(files["path_to_queries"], "query")
    data = files.get("path_to_interaction_data")
    pairs, reward, description = (None, None, None) if data is None else _interactions(data, len(title))
    prompts = _prompts(files["path_to_candidate_prompts"], files["path_to_prompt_embeddings"])
    tables = MovieTables(
        user_embedding=load_matrix(files["path_to_user_embeddings"]),
        title=title,
        item_embedding=load_matrix(files["path_to_query_embeddings"]),
        prompts=subset_prompts(prompts, n_actions, named_generator(seed, "n_actions")),
        interactions=pairs,
        interaction_reward=reward,
    )
    params = files.get("path_to_finetuned_params")
    simulator = None if params is None else load_published_reward(params)
    if simulator is not None and (simulator.head.n_users, simulator.head.n_items) != (tables.n_users, tables.n_items):
        raise ValueError(
            f"{params}: expected a reward simulator of {tables.n_users} users and {tables.n_items} films, got "
            f"{simulator.head.n_users} and {simulator.head.n_items}"
        )
    kinds = ("query", "prompt", "sentence")
    pca = {kind: load_matrix(files[name]) for kind in kinds if (name := f"path_to_{kind}_pca_matrix") in files}
    return PublishedAssets(tables, description, simulator, pca, tuple(name for name in FILES if name not in files))


def _find(folder: Path | None, named: Mapping[str, str | Path | None]) -> dict[str, Path]:
    """The files that are there."""
    if folder is not None and not folder.is_dir():
        raise FileNotFoundError(f"{folder}: expected a folder of OfflinePrompts' assets, found none")
    files, absent = dict[str, Path](), list[str]()
    for name, usual in FILES.items():
        given = named[name]
        candidates = [Path(given)] if given is not None else [] if folder is None else [folder / file for file in usual]
        found = next((file for file in candidates if file.is_file()), None)
        if found is not None:
            files[name] = found
        elif given is not None or name in _NEEDED:
            absent.append(f"{name} ({given or ' or '.join(usual)})")
    if absent:
        raise FileNotFoundError(f"{folder or 'assets'}: expected files for {', '.join(absent)}, found none")
    return files


def _column(file: Path, name: str) -> TextArray:
    """A column of texts: the only one, or the one of that name; "" for a missing text."""
    source = open_source(file)
    column = source.columns[0] if len(source.columns) == 1 else name
    if column not in source.columns:
        raise ValueError(f"{file}: expected a column {name}, got {', '.join(source.columns)}")
    return text_array(str(text or "").strip() for chunk in source.chunks([column]) for text in chunk.values[column])


def _prompts(texts: Path, embeddings: Path) -> Prompts:
    """A row of the file is a prompt and its number; empty and doubled ones are left out."""
    text, embedding = _column(texts, "vocab"), load_matrix(embeddings)
    if len(text) != len(embedding):
        raise ValueError(f"{embeddings}: expected {len(text)} rows, as {texts} has, got {len(embedding)}")
    first = {word: row for row, word in reversed(list(enumerate(text)))}
    rows = np.array([row for row, word in enumerate(text) if word and first[word] == row], dtype=np.int64)
    if len(rows) < len(text):
        warnings.warn(f"{texts}: {len(text) - len(rows)} empty or doubled prompts are left out", stacklevel=3)
    return Prompts(rows, embedding[rows], text[rows])


def _interactions(file: Path, n_items: int) -> tuple[IntArray, FloatArray, TextArray | None]:
    """[user, film] and reward of every row, and the description of each film, where there are any."""
    names = open_source(file).columns
    reward = "rating" if "reward" not in names else "reward"  # the published pages say rating, its files reward
    columns = read_columns(file, {"user_id": "int64", "item_id": "int64", reward: "float32"}, lines=True)
    pairs = np.stack([columns["user_id"], columns["item_id"]], axis=1)
    return pairs, columns[reward], _descriptions(file, n_items) if "description" in names else None


def _descriptions(file: Path, n_items: int) -> TextArray:
    """Of each film, as its first row has it; read a part at a time, for there may be millions of rows."""
    import pyarrow as pa
    from pyarrow import csv

    texts = text_array([""] * n_items)
    types = {"item_id": pa.int64(), "description": pa.string()}
    converting = csv.ConvertOptions(include_columns=list(types), column_types=types, strings_can_be_null=False)
    with csv.open_csv(
        file, parse_options=csv.ParseOptions(newlines_in_values=True), convert_options=converting
    ) as rows:
        for batch in rows:
            films, first = np.unique(batch.column("item_id").to_numpy(), return_index=True)
            for film, row in zip(films.tolist(), first.tolist(), strict=True):
                if 0 <= film < n_items and not texts[film]:
                    texts[film] = batch.column("description")[row].as_py()
    return texts
