"""Writes a dataset's folder, a flushed batch at a time. docs/datasets.md says what is in it, and what is promised."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from typing_extensions import Self

from prompt_bandits.datasets.card import write_card
from prompt_bandits.datasets.columns import (
    Columns,
    concat,
    conforming,
    kinds_of,
    n_rows,
    row_columns,
    take,
    to_table,
)
from prompt_bandits.datasets.dataset import BanditDataset
from prompt_bandits.datasets.description import Description
from prompt_bandits.datasets.files import INFO
from prompt_bandits.datasets.keys import KeySet
from prompt_bandits.datasets.locking import LOCK, FolderLock
from prompt_bandits.datasets.manifest import Manifest
from prompt_bandits.datasets.places import check_free
from prompt_bandits.datasets.prompt_table import PromptTable
from prompt_bandits.datasets.recovery import seal_open_shard, sealed
from prompt_bandits.datasets.shards import open_stream
from prompt_bandits.datasets.stored import StoredDataset
from prompt_bandits.datasets.write_ahead import WriteAheadStream, discard_stream, read_stream
from prompt_bandits.types import IntArray


class DatasetWriter:
    """Appends rounds to a folder. Whatever ends the process, every flushed row stays.

    Rows are flushed once there are `flush_rows` of them or `flush_seconds` have passed, and the open shard is sealed
    to Parquet at `shard_bytes`. The folder's prompts, columns and environment are those of the first rows.

    Args:
        path: a new or empty folder, or with `resume` a dataset to go on with.
        resume: go on with the dataset at `path`, if there is one; its open shard is sealed first.
        flush_rows: rows in memory at most.
        flush_seconds: as long as rows stay in memory while others come.
        shard_bytes: the size of an open shard.

    Attributes:
        keys: of all rows taken in, flushed or not.
        description: what the folder says of its rows; None until the first come.

    Raises:
        FileExistsError: something is at `path` already.
        FolderLocked: another writer is at work there.
        ValueError: what is there is damaged, or of an older schema version.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        resume: bool = False,
        flush_rows: int = 8192,
        flush_seconds: float = 5.0,
        shard_bytes: int = 64 << 20,
    ) -> None:
        self.path, self.keys = Path(path), KeySet()
        self.flush_rows, self.flush_seconds, self.shard_bytes = flush_rows, flush_seconds, shard_bytes
        self.description: Description | None = None
        self._pending, self._n_pending, self._flushed_at = _Pending([], 0), 0, time.monotonic()
        self._stream: WriteAheadStream | None = None
        if not resume:
            check_free(self.path)
        self._lock: FolderLock | None = FolderLock(self.path)
        try:
            if resume and (self.path / INFO).is_file():
                self._go_on()
            else:
                check_free(self.path)
        except BaseException:
            self._release()
            raise

    @property
    def n_rounds(self) -> int:
        """Rows taken in, flushed or not."""
        return len(self.keys)

    def begin(
        self, table: PromptTable, spec: Mapping[str, Any] | None = None, versions: Mapping[str, str] | None = None
    ) -> Description:
        """Describes a new folder before its first rows.

        Args:
            table: the prompts.
            spec: of the environment, as JSON values.
            versions: of the packages that drew the rows; None: those of this process.
        """
        assert self.description is None
        self.description = Description.begin(self.path, table, spec, versions)
        return self.description

    def append(self, rows: BanditDataset) -> None:
        """Takes in rounds, all of them or none.

        Raises:
            ValueError: rounds that are there already, or of other prompts, columns, environment or NumPy than the
                rounds so far.
            OSError: the folder could not be begun, and they are not taken in; or they are (`n_rounds` counts them) and
                could not be written. Then they stay in memory until `flush` or `close` succeeds; every row flushed
                before stays on disk.
        """
        if self._lock is None:
            raise ValueError(f"{self.path}: this writer is closed; what it would take in now would not be kept")
        description = self.description or self.begin(PromptTable.first(rows.prompts), rows.spec)
        description.check_source(rows.prompts, rows.spec)
        columns = row_columns(rows)
        columns["policy_id"] = self._policy_id(rows, description, columns["policy_id"])
        self.append_columns(columns)

    def append_columns(self, columns: Columns) -> None:
        """As `append`, for rows of this folder's prompts and policies by their numbers."""
        assert self.description is not None
        if not self.n_rounds:
            self.description.settle(kinds_of(columns))
        columns = conforming(columns, self.description.manifest.columns)
        self.keys.update(KeySet.of(columns["seed"], columns["round_id"]))
        self.take_in(columns)

    def take_in(self, columns: Columns) -> None:
        """Rows that fit and whose keys are in `keys`."""
        if n_rows(columns):
            self._pending.parts.append(columns)
            self._n_pending += n_rows(columns)
        if self._n_pending >= self.flush_rows or time.monotonic() - self._flushed_at >= self.flush_seconds:
            self.flush()

    def flush(self) -> None:
        """Writes what is in memory; it stays from now on. It may be called again after an error.

        Raises:
            OSError: it could not be written.
        """
        self._flushed_at = time.monotonic()
        self._forget_written()
        if not self._pending.parts:
            return
        assert self.description is not None
        table = to_table(concat(self._pending.parts))
        try:
            for batch in table.combine_chunks().to_batches():  # more than one where texts exceed 2 GB
                self._open_stream(table.schema).append(batch)
        except OSError as error:
            self._forget_written()
            safe, pending = self.n_rounds - self._n_pending, self._n_pending
            raise OSError(
                error.errno,
                f"could not write to {self.path} ({error.strerror}); {safe:,} rows are safe there, {pending:,} are "
                "still in memory; make room and flush again, or resume later",
            ) from error
        self._forget_written()
        if self._stream is not None and self._stream.bytes >= self.shard_bytes:
            self.seal()

    def seal(self) -> None:
        """Turns the open shard into a sealed one; on an error it stays open."""
        if self._stream is None:
            return
        assert self.description is not None
        self._forget_written()
        stream, manifest = self._stream, self.description.manifest
        if stream.stream == open_stream(self.path, manifest.next_number):  # else an interruption came after this
            self.description.store(sealed(self.path, manifest, read_stream(stream.stream, manifest.id)))
        self._pending, self._stream = _Pending(self._pending.parts, 0), None
        stream.close()
        discard_stream(stream.stream)

    def _open_stream(self, schema: Any) -> WriteAheadStream:
        assert self.description is not None
        manifest = self.description.manifest
        file = open_stream(self.path, manifest.next_number)
        if self._stream is not None and self._stream.stream != file:
            self.seal()
        if self._stream is None:
            self._stream = WriteAheadStream(file, schema, manifest.id)
        return self._stream

    def _forget_written(self) -> None:
        """Leaves those rows pending that the stream has not acknowledged. One assignment changes all, so that whatever
        interrupts, rows are neither lost nor doubled.
        """
        rows = 0 if self._stream is None else self._stream.rows
        written = rows - self._pending.begin
        if written:
            columns = concat(self._pending.parts)
            rest = [take(columns, slice(written, None))] if written < n_rows(columns) else []
            self._pending = _Pending(rest, rows)
        self._n_pending = sum(map(n_rows, self._pending.parts))

    def handle(self) -> StoredDataset:
        """The rows taken in so far, flushed."""
        self.flush()
        return StoredDataset.open(self.path)

    def close(self) -> None:
        """Flushes and seals, and gives the folder back, which is gone if no rows came.

        Raises:
            OSError: not all could be written. The writer stays as it is, and `close` can be called again.
        """
        if self._lock is None:
            return
        self.flush()
        self.seal()
        if self.description is not None:
            write_card(self.path, self.description.manifest)
        self._release()

    def abandon(self) -> None:
        """Gives the folder back as it is, with its open shard; what is not flushed is lost."""
        if self._stream is not None:
            self._stream.close()
        self._pending, self._stream = _Pending([], 0), None
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: Any) -> None:
        try:
            self.close()
        except BaseException as error:
            self.abandon()
            if exception[0] is None or not isinstance(error, OSError):
                raise  # else the first error says more

    def _go_on(self) -> None:
        from prompt_bandits.datasets.merging import join_workers

        manifest = Manifest.load(self.path)
        manifest.require_current(self.path)
        manifest = seal_open_shard(self.path, manifest)
        stored = StoredDataset.open(self.path)
        self.description, self.keys = Description(self.path, manifest, stored.table), stored.keys()
        join_workers(self)

    def _policy_id(self, rows: BanditDataset, description: Description, local: IntArray) -> IntArray:
        """Each row's number among all logging policies of the folder."""
        if not rows.policies:
            if description.manifest.policies:
                raise ValueError("policies: expected rows with their logging policy, as the rows so far, got none")
            return local
        if not description.manifest.policies and self.n_rounds:
            raise ValueError(
                f"policies: expected rows without a logging policy, as the rows so far, got {len(rows.policies)}"
            )
        return np.array([description.policy_number(policy) for policy in rows.policies], np.int64)[local]

    def _release(self) -> None:
        if self._lock is None:
            return
        self._lock.release()
        self._lock = None
        if self.description is None and {file.name for file in self.path.iterdir()} <= {LOCK}:
            shutil.rmtree(self.path)


class _Pending(NamedTuple):
    """Rows that are not written, and how many rows of the open shard came before them."""

    parts: list[Columns]
    begin: int
