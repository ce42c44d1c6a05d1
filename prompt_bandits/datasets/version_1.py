"""Folders of schema version 1: one shard, no numbers of policies, no checksum of the description itself."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from prompt_bandits.datasets.columns import ORACLE, kinds_of, to_columns
from prompt_bandits.datasets.files import INFO, check_digest
from prompt_bandits.datasets.kinds import Kind
from prompt_bandits.datasets.manifest import LoggingPolicy, Manifest, Shard
from prompt_bandits.datasets.shards import readable


def manifest_of(folder: Path, values: dict[str, Any]) -> Manifest:
    """What such a description says, in today's terms.

    Raises:
        ValueError: a damaged shard, or a file outside the folder.
        KeyError, TypeError: the description lacks something.
    """
    import pyarrow.parquet as pq

    files = dict(values["sha256"])
    in_shard = {name: files.pop(name) for name in list(files) if name.startswith(("data/", "oracle/"))}
    columns: dict[str, Kind] = {}
    groups: tuple[int, ...] = ()
    for name, sha in in_shard.items():
        if ".." in PurePosixPath(name).parts:
            raise ValueError(f"{folder / INFO}: names a file outside its folder: {name}")
        check_digest(folder, name, sha)
        with readable(folder / name):
            file = pq.ParquetFile(folder / name)
            groups = tuple(file.metadata.row_group(i).num_rows for i in range(file.num_row_groups))
            found = kinds_of(to_columns(file.schema_arrow.empty_table()))
        prefix = ORACLE if name.startswith("oracle/") else ""
        columns |= {prefix + column: kind for column, kind in found.items()}
    return Manifest(
        n_actions=int(values["n_actions"]),
        columns=columns,
        keys=None,
        env_spec=values["env_spec"],
        versions=dict(values["versions"]),
        policies=tuple(LoggingPolicy("", True) for _ in range(int(values["policies"]))),
        files=files,
        shards=(Shard(groups, in_shard),),
        next_number=1,
        seeds=tuple(int(seed) for seed in values["seeds"]),
        schema_version=1,
    )
