"""An SQLite file that several threads and processes share, with errors that name it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from time import monotonic, sleep


class SQLiteFile:
    """A database with one schema, opened when first used; a process that was forked opens it anew.

    What is committed outlives a killed process.

    Args:
        path: the file; made if there is none.
        schema: the statement that makes its table.
        kind: a number that says whose file it is, and of which version its format is.
        timeout: seconds to wait for another process that is writing.
    """

    def __init__(self, path: Path, schema: str, kind: tuple[int, int], timeout: float) -> None:
        self.path, self.schema, self.kind, self.timeout = path, schema, kind, timeout
        self._lock = RLock()
        self._connection: sqlite3.Connection | None = None
        self._process = os.getpid()
        self._inherited: list[sqlite3.Connection] = []  # a parent's: SQLite wants it neither used nor closed here

    @contextmanager
    def opened(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread at a time.

        Raises:
            ValueError: a file of something else, or a damaged one.
            OSError: the file cannot be opened or written, or is locked for longer than `timeout`.
        """
        with self._lock:
            try:
                yield self._own_connection()
            except sqlite3.OperationalError as error:
                raise OSError(f"{self.path}: cannot be used: {error}") from error
            except sqlite3.DatabaseError as error:
                raise ValueError(f"{self.path}: another kind of file, or a damaged one: {error}") from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The same, where all is written or nothing."""
        with self.opened() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                connection.rollback()
                raise

    def close(self) -> None:
        """Closes the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None and self._process == os.getpid():
                self._connection.close()
                self._connection = None

    def _own_connection(self) -> sqlite3.Connection:
        if self._connection is not None and self._process != os.getpid():
            self._inherited.append(self._connection)
            self._connection = None
        if self._connection is None:
            self._connection, self._process = self._connect(), os.getpid()
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        if self.path.is_dir() or not self.path.absolute().parent.is_dir():
            raise OSError(f"{self.path}: expected the path of a file in a folder that exists")
        connection = sqlite3.connect(self.path, timeout=self.timeout, isolation_level=None, check_same_thread=False)
        try:
            self._prepare_patiently(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare_patiently(self, connection: sqlite3.Connection) -> None:
        """`_prepare`, again while other processes prepare the same file: SQLite does not wait for all of its locks."""
        end = monotonic() + self.timeout
        while True:
            try:
                return self._prepare(connection)
            except sqlite3.OperationalError as error:
                connection.rollback()
                if "locked" not in str(error) or monotonic() > end:
                    raise
            sleep(0.01)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Makes the table in a new file; refuses a file of something else."""
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(self.schema)
            connection.execute(f"PRAGMA application_id={self.kind[0]}")
            connection.execute(f"PRAGMA user_version={self.kind[1]}")
            connection.execute("COMMIT")
        owner, version = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
        )
        if owner != self.kind[0]:
            raise ValueError(f"{self.path}: another program's SQLite file")
        if version != self.kind[1]:
            raise ValueError(f"{self.path}: expected format version {self.kind[1]}, got {version}")
        connection.execute("PRAGMA synchronous=NORMAL")
