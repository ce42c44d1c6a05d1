"""Files that are there whole or not at all, and their checksums."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

INFO = "meta/info.json"


@contextmanager
def whole_file(file: Path) -> Iterator[BinaryIO]:
    """A stream to write to; a crash, even of the machine, leaves the old file or the new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.tmp")
    try:
        with draft.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(file)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # the name lasts too
        fd = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def digest(file: Path) -> str:
    """SHA-256 of a file."""
    sha = sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            sha.update(chunk)
    return sha.hexdigest()


def check_digest(folder: Path, name: str, expected: str) -> None:
    """Raises a ValueError if a file is missing or is not what the folder's description vouches for."""
    if not (folder / name).is_file():
        raise ValueError(f"{folder / name}: missing")
    if digest(folder / name) != expected:
        raise ValueError(f"{folder / name}: damaged or changed (its checksum differs from the one in {INFO})")
