"""One writer a folder."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

LOCK = ".lock"


class FolderLocked(RuntimeError):
    """Another writer holds the folder."""


class FolderLock:
    """The right to write to a folder, until `release` or the end of the process, whichever way that comes.

    It is the operating system's own lock on a file, so one that a dead process left behind holds nobody up.

    Args:
        folder: is made if it is missing.
        patience: seconds to wait for another writer that may be ending.

    Raises:
        FolderLocked: another writer has it.
    """

    def __init__(self, folder: Path, patience: float = 0.0) -> None:
        from filelock import FileLock, Timeout

        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / LOCK
        self._lock = FileLock(self._file, timeout=patience)
        owner = self._owner()  # read first: before filelock 4, asking for the lock empties the file
        try:
            self._lock.acquire()
        except Timeout:
            raise FolderLocked(f"{folder}: another writer is at work here ({owner or 'unknown'})") from None
        self._file.write_text(f"process {os.getpid()} on {socket.gethostname()}")

    def release(self) -> None:
        """Gives the folder back. The file stays, empty: deleting it could give the lock to two at once."""
        with suppress(OSError):
            self._file.write_text("")
        self._lock.release()

    def _owner(self) -> str:
        with suppress(OSError):
            return self._file.read_text()
        return ""
