"""What a writer that died left behind, put in order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prompt_bandits.datasets.files import check_digest
from prompt_bandits.datasets.keys import KeySet
from prompt_bandits.datasets.locking import FolderLock
from prompt_bandits.datasets.manifest import Manifest
from prompt_bandits.datasets.places import WORKERS
from prompt_bandits.datasets.shards import open_stream, shard_name, write_shard
from prompt_bandits.datasets.write_ahead import discard_stream, journal_of, read_stream

DAMAGED = "damaged"


@dataclass(frozen=True)
class Recovered:
    """What `recover` found."""

    n_rounds: int  # in the folder now
    from_open_shard: int  # of these, sealed just now, or joined from workers
    set_aside: tuple[str, ...] = ()  # damaged files, now in `damaged/`

    def __str__(self) -> str:
        aside = f"; set aside in {DAMAGED}/: {', '.join(self.set_aside)}" if self.set_aside else ""
        return f"{self.n_rounds:,} rounds, {self.from_open_shard:,} of them from the open shard{aside}"


def recover(path: str | Path, *, salvage: bool = False) -> Recovered:
    """Seals what a writer that died left open, its workers' folders too. Every row that was flushed is kept.

    Reading such a folder needs no recovery, and a writer with `resume=True` does this by itself.

    Args:
        path: the dataset's folder.
        salvage: where files are damaged or missing, keep the rows that are whole and set the damaged files aside, in
            place of an error.

    Raises:
        FileNotFoundError: no dataset there.
        FolderLocked: a writer is at work there.
        ValueError: a damaged file.
    """
    from prompt_bandits.datasets.writer import DatasetWriter

    folder = Path(path)
    before = Manifest.load(folder).n_rounds
    aside: list[Path] = []
    if salvage:
        lock = FolderLock(folder)
        try:
            manifest = _without_damaged(folder, Manifest.load(folder), aside)
            before = manifest.n_rounds
            seal_open_shard(folder, manifest, aside)
        finally:
            lock.release()
    with DatasetWriter(folder, resume=True):
        pass
    n = Manifest.load(folder).n_rounds
    return Recovered(n, n - before, tuple(file.relative_to(folder).as_posix() for file in aside))


def seal_open_shard(folder: Path, manifest: Manifest, aside: list[Path] | None = None) -> Manifest:
    """Turns the open shard, if there is one, into a sealed one; to be called by the folder's only writer.

    With a list for what has to be set aside, a damaged open shard gives the batches before the damage.
    """
    check_files(folder, manifest)
    stream = open_stream(folder, manifest.next_number)
    if stream.is_file():
        try:
            table = read_stream(stream, manifest.id)
        except ValueError:
            if aside is None:
                raise
            table = read_stream(stream, manifest.id, salvage=True)
            _set_aside(folder, [stream, journal_of(stream)], aside)
        if table is not None:
            manifest = sealed(folder, manifest, table)
            manifest.store(folder)
    for old in (folder / "open").glob("*.arrows"):  # sealed by now, or before their writer died
        discard_stream(old)
    return manifest


def sealed(folder: Path, manifest: Manifest, table: Any) -> Manifest:
    """The manifest with these rows as its next shard, whose files are written."""
    shard = write_shard(folder, manifest.next_number, table)
    return manifest.with_shards([shard], KeySet.of(table["seed"].to_numpy(), table["round_id"].to_numpy()))


def check_files(folder: Path, manifest: Manifest) -> None:
    """Refuses a folder that lacks a file, or has one among its rows that the manifest knows nothing of.

    Raises:
        ValueError: naming the file.
    """
    known = set(manifest.checksums()) | {manifest.actions}
    for name in known:
        if not (folder / name).is_file():
            raise ValueError(f"{folder / name}: missing")
    stream = open_stream(folder, manifest.next_number)
    if stream.is_file():  # its writer may have died between writing a shard and saying so
        known |= {f"{kind}/{shard_name(manifest.next_number)}.parquet" for kind in ("data", "oracle")}
    if (folder / WORKERS).is_dir():  # the writer may have died between linking a worker's shard and saying so
        known |= {name for name in _rows_files(folder) if Path(name).stem >= shard_name(manifest.next_number)}
    streams = {open_stream(folder, number) for number in range(manifest.next_number + 1)}
    known |= {file.relative_to(folder).as_posix() for one in streams for file in (one, journal_of(one))}
    for name in _rows_files(folder):
        if name not in known:
            raise ValueError(f"{folder / name}: no part of this dataset")


def _rows_files(folder: Path) -> list[str]:
    """All files where rows are, but for hidden ones."""
    files = (file for kind in ("data", "oracle", "open") for file in (folder / kind).rglob("*"))
    return [file.relative_to(folder).as_posix() for file in files if file.is_file() and file.name[0] != "."]


def _without_damaged(folder: Path, manifest: Manifest, aside: list[Path]) -> Manifest:
    """The manifest without the shards that are not whole, whose files are set aside."""
    whole = []
    for shard in manifest.shards:
        try:
            for name, expected in shard.files.items():
                check_digest(folder, name, expected)
            whole.append(shard)
        except ValueError:
            _set_aside(folder, [folder / name for name in shard.files], aside)
    manifest = replace(manifest, shards=tuple(whole), keys=None)
    if aside:
        manifest.store(folder)
    return manifest


def _set_aside(folder: Path, files: list[Path], aside: list[Path]) -> None:
    for file in files:
        if file.is_file():
            target = folder / DAMAGED / file.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            aside.append(file.replace(target))
