"""An asset folder: everything that makes a movie environment, as files that say what they hold.

manifest.json          format, recipe, template, sampling, SHA-256 of every other file
users.parquet          user_id, embedding, about (optional: what the user likes, in words), user_key (optional)
items.parquet          query_id, title, year, genres, embedding, item_key (optional)
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
from pathlib import Path
from typing import Any

import numpy as np

from prompt_bandits.datasets.files import digest
from prompt_bandits.llms.bank import SentenceBank
from prompt_bandits.movie.table_files import integers, part_of, read_about, read_columns, read_tables, write_columns
from prompt_bandits.movie.tables import MovieTables
from prompt_bandits.types import FloatArray, IntArray, TextArray, text_array

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
        return read_tables(self.path)

    @cached_property
    def user_about(self) -> TextArray | None:
        """(n_users,) what each user likes, in words."""
        return read_about(self.path)

    @cached_property
    def sentences(self) -> WrittenSentences:
        """The bank's columns."""
        from safetensors.numpy import load_file

        written = read_columns(self.path, "bank.parquet")
        arrays = {name: load_file(self._part(file))["values"] for name, file in _BANK_ARRAYS.items()}
        return WrittenSentences(
            query_id=integers(written["query_id"]),
            prompt_id=integers(written["prompt_id"]),
            slot=integers(written["slot"]),
            text=text_array(written["sentence"].to_numpy()),
            embedding=arrays["embedding"].astype(np.float32),
            reward_features=arrays["reward_features"].astype(np.float32),
        )

    @cached_property
    def bank(self) -> SentenceBank:
        """The bank, of all films and prompts."""
        return self.sentences.bank((self.tables.n_items, self.tables.n_prompts))

    def _part(self, name: str) -> Path:
        return part_of(self.path, name)


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
        found = digest(file) if file.is_file() else "no such file"
        if found != expected:
            raise ValueError(f"{file}: expected SHA-256 {expected}, got {found}; the folder is damaged or was edited")
    return MovieFolder(folder, manifest)


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
    write_columns(folder / "bank.parquet", columns)
    for name, file in _BANK_ARRAYS.items():
        save_file({"values": getattr(sentences, name)[order].astype(np.float16)}, folder / file)


def seal(folder: Path, about: Mapping[str, Any]) -> MovieFolder:
    """Writes the manifest: what `about` says, and the hash of every file. The folder is whole from then on."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    for file in files:
        file.chmod(0o644)
    names = {str(file.relative_to(folder).as_posix()): file for file in files}
    hashes = {name: digest(file) for name, file in names.items() if name not in _UNCHECKED}
    manifest = {"format": FORMAT, **about, "files": hashes}
    (folder / _MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    return MovieFolder(folder, manifest)
