"""Sealed shards: Parquet files, the oracle's columns apart from the others."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prompt_bandits.datasets.columns import ORACLE, Columns, to_columns
from prompt_bandits.datasets.files import check_digest, digest, whole_file
from prompt_bandits.datasets.manifest import Shard

_GROUP_BYTES, _GROUP_ROWS = 4 << 20, 16_384  # a row group is what readers read at once


def shard_name(number: int) -> str:
    """`part-00003`."""
    return f"part-{number:05d}"


def open_stream(folder: Path, number: int) -> Path:
    """The write-ahead stream of the shard of that number."""
    return folder / "open" / f"{shard_name(number)}.arrows"


def write_shard(folder: Path, number: int, table: Any) -> Shard:
    """Writes rows (and `oracle.` columns to their own file), each file whole or not at all."""
    names = table.column_names
    oracle = [name for name in names if name.startswith(ORACLE)]
    parts = {f"data/{shard_name(number)}.parquet": table.select([name for name in names if name not in oracle])}
    if oracle:
        bare = [name.removeprefix(ORACLE) for name in oracle]
        parts[f"oracle/{shard_name(number)}.parquet"] = table.select(oracle).rename_columns(bare)
    n = table.num_rows
    size = max(256, min(_GROUP_ROWS, _GROUP_BYTES * n // max(1, table.nbytes)))
    for name, part in parts.items():
        write_parquet(part, folder / name, size)
    groups = tuple(min(size, n - begin) for begin in range(0, n, size))
    return Shard(groups, {name: digest(folder / name) for name in parts})


def write_parquet(table: Any, file: Path, group: int | None = None) -> None:
    """Writes a file of Parquet whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    repeating = [f.name for f in table.schema if pa.types.is_string(f.type) or pa.types.is_integer(f.type)]
    with whole_file(file) as stream:
        pq.write_table(table, stream, compression="zstd", row_group_size=group, use_dictionary=repeating)


def link_shard(source: Path, shard: Shard, folder: Path, number: int) -> Shard:
    """Another folder's shard as this one's; the files are the same ones, where the file system can do that."""
    files = {}
    for name, sha in shard.files.items():
        target = f"{name.split('/')[0]}/{shard_name(number)}.parquet"
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        (folder / target).unlink(missing_ok=True)
        try:
            os.link(source / name, folder / target)
        except OSError:
            shutil.copyfile(source / name, folder / target)
        files[target] = sha
    return Shard(shard.groups, files)


class ShardReader:
    """A sealed shard, checked against its checksums at the first read."""

    def __init__(self, folder: Path, shard: Shard) -> None:
        self.folder, self.shard = folder, shard
        self._checked: set[str] = set()

    def read(self, group: int, columns: Sequence[str]) -> Columns:
        """These columns of a row group.

        Raises:
            ValueError: a damaged or missing file.
        """
        found: Columns = {}
        for name in self.shard.files:
            prefix = ORACLE if name.startswith("oracle/") else ""
            wanted = [column.removeprefix(prefix) for column in columns if column.startswith(ORACLE) == bool(prefix)]
            if wanted:
                table = self._read(name, group, wanted)
                found |= {prefix + column: values for column, values in to_columns(table).items()}
        return found

    def _read(self, name: str, group: int, columns: list[str]) -> Any:
        import pyarrow.parquet as pq

        if name not in self._checked:
            check_digest(self.folder, name, self.shard.files[name])
            self._checked.add(name)
        with readable(self.folder / name), pq.ParquetFile(self.folder / name) as file:
            found = file.metadata.num_rows
            table = file.read_row_group(group, columns=columns) if found == self.shard.rows else None
        if table is None:
            raise ValueError(f"{self.folder / name}: expected {self.shard.rows} rows, got {found}")
        return table


def read_parquet(file: Path) -> Columns:
    """All columns of a file.

    Raises:
        ValueError: it is no Parquet.
    """
    import pyarrow.parquet as pq

    with readable(file), pq.ParquetFile(file) as parquet:
        table = parquet.read()
    return to_columns(table)


@contextmanager
def readable(file: Path) -> Iterator[None]:
    """Turns what pyarrow says of a bad file into a ValueError that names it."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, KeyError) as error:
        raise ValueError(f"{file}: not readable as Parquet: {error}") from error
