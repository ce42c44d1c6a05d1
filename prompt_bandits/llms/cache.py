"""Answers of text models on disk: asked once, read ever after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from typing_extensions import Self

from prompt_bandits.llms.cached_answers import COLUMNS, CachedAnswer, check_identity, read_parquet, write_parquet
from prompt_bandits.llms.failures import RequestsFailed
from prompt_bandits.llms.requests import (
    Completion,
    Sampling,
    TextModel,
    TextRequest,
    request_fingerprint,
)
from prompt_bandits.llms.sqlite_file import SQLiteFile

_KIND = (0x50425343, 1)
_AT_ONCE = 500
_NAMES = ", ".join(COLUMNS)
_TYPES = {"fingerprint": "TEXT PRIMARY KEY", "prompt_tokens": "INTEGER", "new_tokens": "INTEGER", "checksum": "INTEGER"}
_SCHEMA = "CREATE TABLE IF NOT EXISTS answers ({})".format(
    ", ".join(f"{name} {_TYPES.get(name, 'TEXT')} NOT NULL" for name in COLUMNS)
)
_INSERT = f"INSERT INTO answers VALUES ({', '.join('?' * len(COLUMNS))}) ON CONFLICT DO NOTHING"


class SentenceCache:
    """An SQLite file of answers, each with what was asked and of which model. Several processes may share it.

    An answer is on disk when `put` returns, and outlives a killed process.

    Args:
        path: the file; made if there is none.
        timeout: seconds to wait for another process that is writing.

    Raises:
        ValueError: a file that is no cache, of another format version, or damaged.
        OSError: the file cannot be opened or written, or is locked for longer than `timeout`.
    """

    def __init__(self, path: str | Path, timeout: float = 60.0) -> None:
        self.path = Path(path)
        self._file = SQLiteFile(self.path, _SCHEMA, _KIND, timeout)
        with self._file.opened():
            pass

    def get(self, fingerprints: Sequence[str]) -> dict[str, Completion]:
        """The answers that there are, by `request_fingerprint`."""
        rows: list[tuple[Any, ...]] = []
        with self._file.opened() as connection:
            for begin in range(0, len(fingerprints), _AT_ONCE):
                part = list(fingerprints[begin : begin + _AT_ONCE])
                places = ", ".join("?" * len(part))
                rows += connection.execute(f"SELECT {_NAMES} FROM answers WHERE fingerprint IN ({places})", part)
        return {row[0]: self._checked(row).completion for row in rows}

    def put(
        self, identity: dict[str, str], request: TextRequest, sampling: Sampling, completion: Completion
    ) -> Completion:
        """Keeps an answer and returns it; where one is kept already, that one stays and is returned.

        Raises:
            ValueError: an `identity` with a password or key in it, or an unknown outcome.
        """
        answer = CachedAnswer.of(identity, request, sampling, completion)
        if self._insert([answer]):
            return completion
        return self.get([answer.fingerprint])[answer.fingerprint]

    def __len__(self) -> int:
        with self._file.opened() as connection:
            return int(connection.execute("SELECT count(*) FROM answers").fetchone()[0])

    def __iter__(self) -> Iterator[CachedAnswer]:
        """All answers, in the order in which they came."""
        page = f"SELECT rowid, {_NAMES} FROM answers WHERE rowid > ? ORDER BY rowid LIMIT {_AT_ONCE}"
        last = 0
        while True:
            with self._file.opened() as connection:
                rows = connection.execute(page, (last,)).fetchall()
            if not rows:
                return
            yield from (self._checked(row[1:]) for row in rows)
            last = rows[-1][0]

    def export_parquet(self, path: str | Path) -> int:
        """Writes all answers to a Parquet file, and says how many."""
        return write_parquet(Path(path), self)

    def import_parquet(self, path: str | Path) -> int:
        """Adds the answers of a file of `export_parquet`, and says how many were new.

        Raises:
            FileNotFoundError: no such file.
            ValueError: a file of something else, or an answer that does not belong to its request.
        """
        return sum(self._insert(answers) for answers in read_parquet(Path(path)))

    def close(self) -> None:
        """Closes the file; the next use opens it again."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _insert(self, answers: Sequence[CachedAnswer]) -> int:
        """Adds those that are not there yet, and says how many."""
        with self._file.writing() as connection:
            before = connection.total_changes
            connection.executemany(_INSERT, [answer.row() for answer in answers])
            return connection.total_changes - before

    def _checked(self, row: Sequence[Any]) -> CachedAnswer:
        try:
            return CachedAnswer.from_row(row)
        except ValueError as error:
            raise ValueError(f"{self.path}: damaged: {error}") from None


class CachedLM:
    """A text model that remembers: what was answered before is read, the rest is asked and kept before it is used.

    Args:
        model: what is asked.
        cache: where answers are kept.
        replay: never ask the model.
    """

    def __init__(self, model: TextModel, cache: SentenceCache, replay: bool = False) -> None:
        self.model, self._cache, self.replay = model, cache, replay

    @property
    def identity(self) -> dict[str, str]:
        """That of the model."""
        return self.model.identity

    def complete(self, requests: Sequence[TextRequest], sampling: Sampling) -> Iterator[tuple[int, Completion]]:
        """(position, answer), those in the cache first; equal requests are asked once.

        Raises:
            GenerationError: as the model's, with positions in `requests`; with `replay` an answer that is not in the
                cache.
        """
        identity = self.identity
        check_identity(identity)
        positions: dict[str, list[int]] = {}
        for i, request in enumerate(requests):
            positions.setdefault(request_fingerprint(identity, request, sampling), []).append(i)
        for fingerprint, completion in self._cache.get(list(positions)).items():
            yield from ((i, completion) for i in positions.pop(fingerprint))
        if not positions:
            return
        waiting = list(positions.values())
        asked = [requests[where[0]] for where in waiting]
        if self.replay:
            raise self._missing(asked).among(len(requests), waiting)
        try:
            for j, completion in self.model.complete(asked, sampling):
                kept = self._cache.put(identity, asked[j], sampling, completion)
                yield from ((i, kept) for i in waiting[j])
        except RequestsFailed as error:
            raise error.among(len(requests), waiting) from None

    def _missing(self, asked: Sequence[TextRequest]) -> RequestsFailed:
        return RequestsFailed(
            f"replay: {len(asked)} answers of the model {self.identity} are not in {self._cache.path}; the first is "
            f"to the prompt {asked[0].text!r} with the key {asked[0].key!r}",
            n=len(asked),
            missing=range(len(asked)),
        )
