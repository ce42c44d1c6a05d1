"""Several folders as one."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from prompt_bandits.datasets.columns import Columns, conforming, take
from prompt_bandits.datasets.files import INFO
from prompt_bandits.datasets.locking import FolderLock
from prompt_bandits.datasets.places import WORKERS, whole_folder
from prompt_bandits.datasets.recovery import recover
from prompt_bandits.datasets.shards import link_shard
from prompt_bandits.datasets.stored import StoredDataset
from prompt_bandits.datasets.writer import DatasetWriter

ENDING = 10.0  # seconds that a worker may need to end, once it or the process that started it was killed


def merge(paths: Sequence[str | Path], into: str | Path, *, overwrite: bool = False) -> StoredDataset:
    """Joins datasets with the same prompts, columns and environment. The folders stay as they are.

    Each row keeps its logging policy. Shards are linked, where the file system can, not written anew.

    Args:
        paths: of the folders.
        into: a new folder.
        overwrite: replace a dataset at `into`.

    Raises:
        ValueError: no paths; a round (seed, round_id) that two of them hold; or folders that do not belong together.
        FileExistsError: `into` is taken.
    """
    if not paths:
        raise ValueError("merge: expected at least one dataset, got none")
    parts = [StoredDataset.open(path) for path in paths]
    for part in parts:
        if (part.path / WORKERS).is_dir():
            raise ValueError(f"{part.path}: holds rows of workers that are not joined yet; recover(path) joins them")
    with whole_folder(Path(into), overwrite=overwrite) as draft, DatasetWriter(draft) as writer:
        for part in parts:
            try:
                adopt(writer, part)
            except ValueError as error:
                raise ValueError(f"{part.path}: {error}") from error
    return StoredDataset.open(into)


def adopt(writer: DatasetWriter, other: StoredDataset) -> None:
    """Takes in the rounds of another folder. Its shards are linked, not written anew, where they fit as they are.

    Raises:
        ValueError: rounds that are there already, or of another origin.
    """
    other.manifest.require_current(other.path)
    description = writer.description or writer.begin(other.table, other.spec, other.manifest.versions)
    description.check_folder(other)
    numbers = description.policy_numbers(other)
    if not writer.n_rounds:
        description.settle(other.manifest.columns)
    same_columns = other.manifest.columns == description.manifest.columns
    if not same_columns:
        conforming(other.no_columns(), description.manifest.columns)
    writer.flush()
    writer.seal()
    writer.keys.update(other.keys())
    rest: Iterable[Columns] = other.columns_in_batches(other.columns)
    if same_columns and np.array_equal(numbers, np.arange(len(numbers))):
        number = description.manifest.next_number
        shards = [
            link_shard(other.path, shard, writer.path, number + k) for k, shard in enumerate(other.manifest.shards)
        ]
        description.store(description.manifest.with_shards(shards, other.sealed_keys()))
        rest = [] if other.open_rows is None else [other.open_rows]
    for columns in rest:
        local = columns["policy_id"]
        renumbered = columns | {"policy_id": numbers[local] if len(numbers) else local}
        writer.take_in(conforming(renumbered, description.manifest.columns))
    writer.flush()


def join_workers(writer: DatasetWriter) -> None:
    """Takes in what workers wrote to folders of their own inside the writer's, and deletes those.

    Rows that are there already, of an interrupted join or of workers that overlap, are the same ones.

    Raises:
        FolderLocked: a worker is at work still.
        ValueError: a folder without a description, but with rows.
    """
    for folder in sorted((writer.path / WORKERS).glob("*")):
        FolderLock(folder, patience=ENDING).release()  # and refuses to delete what a worker has just begun
        if (folder / INFO).is_file():
            recover(folder)
            other = StoredDataset.open(folder)
            if other.keys().disjoint(writer.keys):
                adopt(writer, other)
            else:
                _adopt_missing(writer, other)
        elif any((folder / kind).exists() for kind in ("data", "open")):
            raise ValueError(f"{folder}: expected {INFO} beside the rows, found none")
        shutil.rmtree(folder)
    shutil.rmtree(writer.path / WORKERS, ignore_errors=True)


def _adopt_missing(writer: DatasetWriter, other: StoredDataset) -> None:
    assert writer.description is not None
    writer.description.check_folder(other)
    for columns in other.columns_in_batches(other.columns):
        missing = ~writer.keys.contain(columns["seed"], columns["round_id"])
        writer.append_columns(take(columns, missing))
    writer.flush()
