"""An asset folder: everything that makes a movie environment, as files that say what they hold.

manifest.json          format, recipe, template, sampling, SHA-256 of every other file
users.parquet          user_id, embedding, about (optional: what the user likes, in words)
items.parquet          query_id, title, year, genres, embedding
prompts.parquet        prompt_id, text, embedding
interactions.parquet   user_id, query_id, reward (optional)
bank.parquet           query_id, prompt_id (−1: none), slot, sentence (optional)
bank_embedding.safetensors, bank_reward_features.safetensors
                       `values` (N, d_o) and (N, d_f) of the bank's sentences, in half precision
reward/ llm/ encoder/  the reward simulator, a transformers model, a sentence-transformers model (optional)
card.md, card/         how good all of it is
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from prompt_bandits.llms.bank import SentenceBank
from prompt_bandits.movie.tables import Keys, MovieTables
from prompt_bandits.types import FloatArray, IntArray, Prompts, TextArray, text_array

FORMAT = 1
SHIPPED = Path(__file__).parent / "assets"
_MANIFEST = "manifest.json"
_BANK_ARRAYS = {name: f"bank_{name}.safetensors" for name in ("embedding", "reward_features")}
_UNCHECKED = (_MANIFEST, "card.md")  # the card may be read with a note in it


@dataclass(frozen=True, eq=False)
class WrittenSentences:
    """Sentences of a bank as columns, with their features."""

    query_id: IntArray  # (N,)
    prompt_id: IntArray  # (N,) −1: without a prompt
    slot: IntArray  # (N,)
    text: TextArray  # (N,)
    embedding: FloatArray  # (N, d_o)
    reward_features: FloatArray  # (N, d_f)

    def bank(self, shape: tuple[int, int]) -> SentenceBank:
        """As a bank of (n_queries, n_prompts)."""
        return SentenceBank.from_columns(self.query_id, self.prompt_id, self.slot, self.text, self.embedding, shape)


@dataclass(frozen=True)
class MovieFolder:
    """An asset folder on disk; its parts are read when they are asked for. Open one with `open_folder`.

    Raises:
        FileNotFoundError: a part is asked for that the folder lacks.
    """

    path: Path
    manifest: Mapping[str, Any] = field(repr=False)

    @property
    def language_model(self) -> Path:
        """The folder of its language model."""
        return self._part("llm")

    @property
    def encoder(self) -> Path:
        """The folder of its sentence encoder."""
        return self._part("encoder")

    @property
    def reward(self) -> Path:
        """The folder of its reward simulator."""
        return self._part("reward")

    def has(self, part: str) -> bool:
        """Whether it has `"bank"`, `"llm"`, `"encoder"` or `"reward"`."""
        return (self.path / ("bank.parquet" if part == "bank" else part)).exists()

    @cached_property
    def tables(self) -> MovieTables:
        """Users, films, prompts and interactions."""
        users, items, prompts = (self._read(f"{name}.parquet") for name in ("users", "items", "prompts"))
        asked = self._read("interactions.parquet") if (self.path / "interactions.parquet").is_file() else None
        return MovieTables(
            user_embedding=_matrix(users, "embedding"),
            title=text_array(items["title"].to_pylist()),
            item_embedding=_matrix(items, "embedding"),
            prompts=Prompts(
                _ids(prompts, "prompt_id"),
                _matrix(prompts, "embedding"),
                text_array(prompts["text"].to_pylist()),
            ),
            interactions=None if asked is None else np.stack([_ids(asked, "user_id"), _ids(asked, "query_id")], axis=1),
            interaction_reward=np.asarray(asked["reward"]).astype(np.float64)
            if asked is not None and "reward" in asked.column_names
            else None,
            year=_ids(items, "year") if "year" in items.column_names else None,
            genres=text_array(items["genres"].to_pylist()) if "genres" in items.column_names else None,
            user_key=_keys(users, "user_key"),
            item_key=_keys(items, "item_key"),
        )

    @cached_property
    def user_about(self) -> TextArray | None:
        """(n_users,) what each user likes, in words."""
        users = self._read("users.parquet")
        return text_array(users["about"].to_pylist()) if "about" in users.column_names else None

    @cached_property
    def sentences(self) -> WrittenSentences:
        """The bank's columns."""
        from safetensors.numpy import load_file

        written = self._read("bank.parquet")
        arrays = {name: load_file(self._part(file))["values"] for name, file in _BANK_ARRAYS.items()}
        return WrittenSentences(
            query_id=_ids(written, "query_id"),
            prompt_id=_ids(written, "prompt_id"),
            slot=_ids(written, "slot"),
            text=text_array(written["sentence"].to_numpy()),
            embedding=arrays["embedding"].astype(np.float32),
            reward_features=arrays["reward_features"].astype(np.float32),
        )

    @cached_property
    def bank(self) -> SentenceBank:
        """The bank, of all films and prompts."""
        return self.sentences.bank((self.tables.n_items, self.tables.n_prompts))

    def _part(self, name: str) -> Path:
        part = self.path / name
        if not part.exists():
            raise FileNotFoundError(f"{self.path}: expected an asset folder with {name}, found none")
        return part

    def _read(self, name: str) -> Any:
        import pyarrow.parquet as pq

        return pq.read_table(self._part(name))


def open_folder(path: str | Path | None = None) -> MovieFolder:
    """The asset folder at `path`, whole and unchanged; None: the one that comes with the package.

    Raises:
        FileNotFoundError: there is none.
        ValueError: a manifest of another format, or a file that is missing or changed.
    """
    folder = SHIPPED if path is None else Path(path)
    if not (folder / _MANIFEST).is_file():
        raise FileNotFoundError(f"{folder}: expected an asset folder with a {_MANIFEST}, found none")
    try:
        manifest = json.loads((folder / _MANIFEST).read_text())
    except ValueError as error:
        raise ValueError(f"{folder / _MANIFEST}: expected JSON, got {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else manifest
        raise ValueError(f"{folder / _MANIFEST}: expected format {FORMAT}, got {found!r}")
    for name, expected in manifest["files"].items():
        file = folder / name
        found = file_hash(file) if file.is_file() else "no such file"
        if found != expected:
            raise ValueError(f"{file}: expected SHA-256 {expected}, got {found}; the folder is damaged or was edited")
    return MovieFolder(folder, manifest)


def write_tables(folder: Path, tables: MovieTables, about: TextArray | None = None) -> None:
    """Users (with what they like, in words, where known), films, prompts and interactions as Parquet files."""
    import pyarrow as pa

    users: dict[str, Any] = {"user_id": np.arange(tables.n_users), "embedding": _lists(tables.user_embedding)}
    items: dict[str, Any] = {"query_id": np.arange(tables.n_items), "title": pa.array(tables.title, pa.string())}
    if about is not None:
        users["about"] = pa.array(about, pa.string())
    for columns, name in ((users, "user_key"), (items, "item_key")):
        if (keys := getattr(tables, name)) is not None:
            columns[name] = keys if np.issubdtype(keys.dtype, np.integer) else pa.array(keys, pa.string())
    if tables.year is not None:
        items["year"] = tables.year
    if tables.genres is not None:
        items["genres"] = pa.array(tables.genres, pa.string())
    prompts = tables.prompts
    assert prompts.text is not None
    _write(folder / "users.parquet", users)
    _write(folder / "items.parquet", items | {"embedding": _lists(tables.item_embedding)})
    _write(
        folder / "prompts.parquet",
        {
            "prompt_id": prompts.prompt_id,
            "text": pa.array(prompts.text, pa.string()),
            "embedding": _lists(prompts.embedding),
        },
    )
    if tables.interactions is not None:
        asked: dict[str, Any] = dict(zip(("user_id", "query_id"), tables.interactions.T.astype(np.int32), strict=True))
        if tables.interaction_reward is not None:
            asked["reward"] = tables.interaction_reward.astype(np.float32)
        _write(folder / "interactions.parquet", asked)


def write_sentences(folder: Path, sentences: WrittenSentences) -> None:
    """The bank, in the order of (query, prompt, slot)."""
    import pyarrow as pa
    from safetensors.numpy import save_file

    order = np.lexsort((sentences.slot, sentences.prompt_id, sentences.query_id))
    columns = {
        "query_id": sentences.query_id[order].astype(np.int32),
        "prompt_id": sentences.prompt_id[order].astype(np.int32),
        "slot": sentences.slot[order].astype(np.int16),
        "sentence": pa.array(sentences.text[order], pa.string()),
    }
    _write(folder / "bank.parquet", columns)
    for name, file in _BANK_ARRAYS.items():
        save_file({"values": getattr(sentences, name)[order].astype(np.float16)}, folder / file)


def seal(folder: Path, about: Mapping[str, Any]) -> MovieFolder:
    """Writes the manifest: what `about` says, and the hash of every file. The folder is whole from then on."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    for file in files:
        file.chmod(0o644)
    names = {str(file.relative_to(folder).as_posix()): file for file in files}
    hashes = {name: file_hash(file) for name, file in names.items() if name not in _UNCHECKED}
    manifest = {"format": FORMAT, **about, "files": hashes}
    (folder / _MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    return MovieFolder(folder, manifest)


def file_hash(file: Path) -> str:
    """SHA-256 of a file's content."""
    digest = sha256()
    with file.open("rb") as content:
        while chunk := content.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _ids(table: Any, name: str) -> IntArray:
    return np.asarray(table[name]).astype(np.int64)


def _keys(table: Any, name: str) -> Keys | None:
    """Integers or texts, as they were written."""
    if name not in table.column_names:
        return None
    found = table[name].to_pylist()
    return np.array(found, np.int64) if isinstance(found[0], int) else text_array(found)


def _matrix(table: Any, name: str) -> FloatArray:
    column = table[name].combine_chunks()
    width = column.type.list_size
    return np.asarray(column.flatten()).reshape(-1, width).astype(np.float32)


def _lists(matrix: FloatArray) -> Any:
    import pyarrow as pa

    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.astype(np.float32).ravel()), matrix.shape[1])


def _write(file: Path, columns: Mapping[str, Any]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(dict(columns)), file, compression="zstd", compression_level=19)
