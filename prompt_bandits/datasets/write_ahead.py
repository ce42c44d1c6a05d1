"""The open shard: an Arrow stream that keeps every flushed batch when its writer is killed.

Two files: `<name>.arrows`, an Arrow IPC stream, and `<name>.journal`, a record of fixed size for each segment of the
stream (its schema, then one batch a flush) that says where the segment ends, how many rows it holds, and its CRC-32. A
batch counts once its record is written. What the stream holds behind the last record was never acknowledged; what it
lacks before it, or what differs from its CRC, is damage.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

_DATASET = b"prompt_bandits"  # the name under which a stream's schema names its dataset
_RECORD = struct.Struct("<QQII")  # end of the segment, its rows, its CRC-32, the CRC-32 of these three


class WriteAheadStream:
    """Appends batches to a new stream.

    A batch that could be written is kept when the process dies, whatever kills it. A power cut may take the batches
    since the last sealed shard with it.
    """

    def __init__(self, stream: Path, schema: Any, dataset: str) -> None:
        self.stream, self.schema = stream, schema.with_metadata({_DATASET: dataset})
        self._whole = True
        stream.parent.mkdir(parents=True, exist_ok=True)
        if not stream.exists():
            journal_of(stream).unlink(missing_ok=True)  # a journal alone is no stream
        self._journal_fd = _create(journal_of(stream))
        self._stream_fd = _create(stream)
        self._state = _State(0, 0, 0)

    @property
    def bytes(self) -> int:
        return self._state.bytes

    @property
    def rows(self) -> int:
        """Rows that are acknowledged."""
        return self._state.rows

    def append(self, batch: Any) -> None:
        """Writes a pyarrow.RecordBatch. Whatever is raised meanwhile, Ctrl-C too, it is acknowledged whole or not at
        all; `rows` says which.

        Raises:
            OSError: it could not be written.
        """
        self._rewind()
        if not self._state.records:
            self._segment(self.schema.serialize(), 0)
        self._segment(batch.serialize(), batch.num_rows)

    def sync(self) -> None:
        """Makes what is written last through a power cut."""
        os.fsync(self._stream_fd)
        os.fsync(self._journal_fd)

    def close(self) -> None:
        with suppress(OSError):
            self._rewind()
        os.close(self._stream_fd)
        os.close(self._journal_fd)

    def _segment(self, content: Any, rows: int) -> None:
        content, before = memoryview(content), self._state
        self._whole = False
        _write_all(self._stream_fd, content)
        head = (before.bytes + len(content), rows, crc32(content))
        _write_all(self._journal_fd, memoryview(_RECORD.pack(*head, _own_crc(*head))))
        self._state = _State(head[0], before.rows + rows, before.records + 1)  # at once: the acknowledgement
        self._whole = True

    def _rewind(self) -> None:
        """Takes back what was written of a batch that came to nothing."""
        if not self._whole:
            os.ftruncate(self._journal_fd, self._state.records * _RECORD.size)
            os.ftruncate(self._stream_fd, self._state.bytes)
            self._whole = True


class _State(NamedTuple):
    """What is acknowledged."""

    bytes: int
    rows: int
    records: int


def journal_of(stream: Path) -> Path:
    """The journal that belongs to a stream."""
    return stream.with_suffix(".journal")


def discard_stream(stream: Path) -> None:
    """Deletes a stream and then its journal: a journal alone is no stream."""
    stream.unlink(missing_ok=True)
    journal_of(stream).unlink(missing_ok=True)
    with suppress(OSError):
        stream.parent.rmdir()  # if it is empty now


def read_stream(stream: Path, dataset: str, *, salvage: bool = False) -> Any:
    """The acknowledged rows as a pyarrow.Table, None where there are none.

    Args:
        stream: the `.arrows` file.
        dataset: the id of the dataset that it belongs to.
        salvage: keep what stands before the damage, if there is some, in place of an error.

    Raises:
        ValueError: damaged, or of another dataset.
    """
    import pyarrow as pa

    journal = journal_of(stream)
    records = journal.read_bytes() if journal.is_file() else None  # before the stream: a live writer may add to both
    content = memoryview(stream.read_bytes())
    end, rows, damage = _acknowledged(stream, content, records)
    if damage is not None and not salvage:
        raise ValueError(damage)
    if not rows:
        return None
    try:
        table = pa.ipc.open_stream(pa.py_buffer(content[:end])).read_all()
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{stream}: damaged: {error}") from error
    if (table.schema.metadata or {}).get(_DATASET) != dataset.encode():
        raise ValueError(f"{stream}: no part of this dataset")
    if table.num_rows != rows:
        raise ValueError(f"{stream}: damaged: {table.num_rows} rows, of {rows} that were acknowledged")
    return table.replace_schema_metadata(None)


def _acknowledged(stream: Path, content: memoryview, records: bytes | None) -> tuple[int, int, str | None]:
    """The end and the rows of the part that is whole, and what is wrong behind it."""
    journal = journal_of(stream)
    if records is None:
        return 0, 0, f"{journal}: missing; without it nothing tells which rows of {stream.name} are whole"
    begin = n = 0
    whole = len(records) - len(records) % _RECORD.size
    for position, (end, rows, crc, own) in enumerate(_RECORD.iter_unpack(records[:whole])):
        if own != _own_crc(end, rows, crc):
            return begin, n, f"{journal}: damaged: record {position} differs from its checksum"
        if end > len(content):
            return begin, n, f"{stream}: truncated: {len(content):,} bytes, of {end:,} that were acknowledged"
        if crc32(content[begin:end]) != crc:
            return begin, n, f"{stream}: damaged: batch {position} differs from its checksum"
        begin, n = end, n + rows
    extra = _messages(content[begin:])
    if extra > 1 and journal.stat().st_size == len(records):  # no writer went on meanwhile
        return begin, n, f"{journal}: truncated: {stream.name} holds {extra} batches more than it lists"
    return begin, n, None


def _messages(tail: memoryview) -> int:
    """How many whole batches there are. A writer that is killed leaves at most one that its journal does not list."""
    import pyarrow as pa

    reader, whole = pa.BufferReader(pa.py_buffer(tail)), 0
    with suppress(pa.ArrowException, OSError, EOFError):
        while reader.tell() < len(tail):
            pa.ipc.read_message(reader)
            whole += 1
    return whole


def _own_crc(end: int, rows: int, crc: int) -> int:
    return crc32(struct.pack("<QQI", end, rows, crc))


def _create(file: Path) -> int:
    return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o644)


def _write_all(fd: int, content: memoryview) -> None:
    while len(content):
        content = content[os.write(fd, content) :]
