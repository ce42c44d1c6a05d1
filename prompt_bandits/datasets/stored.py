"""A dataset's folder, read a part at a time."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cached_property
from pathlib import Path
from typing import Any

from prompt_bandits import saving
from prompt_bandits.datasets import columns as cols
from prompt_bandits.datasets.carrying import CarriesPolicies
from prompt_bandits.datasets.columns import REQUIRED, Columns
from prompt_bandits.datasets.content import content_hash
from prompt_bandits.datasets.dataset import BanditDataset
from prompt_bandits.datasets.files import check_digest
from prompt_bandits.datasets.keys import KeySet
from prompt_bandits.datasets.manifest import Manifest, policy_folder
from prompt_bandits.datasets.prompt_table import VERSION, PromptTable
from prompt_bandits.datasets.recovery import check_files
from prompt_bandits.datasets.shards import ShardReader, open_stream
from prompt_bandits.datasets.summary import Summary
from prompt_bandits.datasets.write_ahead import read_stream
from prompt_bandits.protocols import Policy
from prompt_bandits.rounds import named_generator
from prompt_bandits.specs import env_from
from prompt_bandits.types import Observation, Prompts

_LEARNED = (*Observation.row_fields, "propensity", "output")
_ATTEMPTS = 100  # to read a folder that changes
_WINDOW = 8  # row groups in memory at a time


class StoredDataset(CarriesPolicies):
    """The rounds of a folder, as they were when it was opened; a writer may go on adding others.

    Files are checked against their checksums when they are first read. `load()` brings everything into memory;
    `batches()` a part at a time. Learners take this wherever they take a `BanditDataset`.
    """

    def __init__(self, path: Path, manifest: Manifest, table: PromptTable, open_rows: Any) -> None:
        self.path, self.manifest, self.table = path, manifest, table
        self._readers = [ShardReader(path, shard) for shard in manifest.shards]
        self.open_rows: Columns | None = None if open_rows is None else cols.to_columns(open_rows)  # not yet sealed

    @classmethod
    def open(cls, path: str | Path) -> StoredDataset:
        """The dataset at `path`.

        Raises:
            FileNotFoundError: no dataset there.
            ValueError: a newer schema version, or a missing, damaged or foreign file.
        """
        folder = Path(path)
        for _ in range(_ATTEMPTS - 1):
            manifest = Manifest.load(folder)
            try:
                stored = cls._as_described(folder, manifest)
            except ValueError:
                pass  # perhaps a writer sealed a shard meanwhile
            else:
                if stored.open_rows is not None or Manifest.load(folder) == manifest:
                    return stored
            if Manifest.load(folder) == manifest:
                break
        return cls._as_described(folder, Manifest.load(folder))

    @classmethod
    def _as_described(cls, folder: Path, manifest: Manifest) -> StoredDataset:
        stream = open_stream(folder, manifest.next_number)
        try:
            open_rows = read_stream(stream, manifest.id) if stream.is_file() else None
            check_files(folder, manifest)
        except FileNotFoundError as error:
            raise ValueError(f"{error.filename}: missing") from error
        check_digest(folder, manifest.actions, manifest.checksums().get(manifest.actions, ""))
        return cls(folder, manifest, PromptTable.read(folder / manifest.actions), open_rows)

    def __len__(self) -> int:
        return self.manifest.n_rounds + (0 if self.open_rows is None else cols.n_rows(self.open_rows))

    def __repr__(self) -> str:
        return f"StoredDataset({str(self.path)!r}: {len(self):,} rounds, {self.n_actions} actions)"

    @property
    def prompts(self) -> Prompts:
        """All prompts; some of them may be retired."""
        return self.table.prompts

    @property
    def n_actions(self) -> int:
        return len(self.prompts)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns: `context`, `reward`, `extras.group`, `oracle.expected_reward`, …"""
        return tuple(self.manifest.columns)

    def learnable_columns(self) -> tuple[str, ...]:
        """What learners, policies and simulators look at: all but oracle columns, extras and sentences."""
        return tuple(name for name in _LEARNED if name in self.columns)

    @property
    def spec(self) -> Mapping[str, Any] | None:
        """The environment's spec as JSON values."""
        return self.manifest.env_spec

    @cached_property
    def policies(self) -> tuple[Policy, ...]:
        """The logging policies; none where one of them was not saved, or is of a class that is not installed here."""
        if not all(policy.saved for policy in self.manifest.policies):
            return ()
        for name, expected in self.manifest.files.items():
            check_digest(self.path, name, expected)
        try:
            return tuple(saving.load(self.path / policy_folder(k)) for k in range(len(self.manifest.policies)))
        except ValueError as error:
            warnings.warn(f"{self.path}: read without its logging policies: {error}", stacklevel=3)
            return ()

    def keys(self) -> KeySet:
        """The keys (seed, round_id) of all rows."""
        keys = self.sealed_keys()
        if self.open_rows is not None:
            keys.update(KeySet.of(self.open_rows["seed"], self.open_rows["round_id"]))
        return keys

    def sealed_keys(self) -> KeySet:
        """Those of the rows in sealed shards."""
        if self.manifest.keys is not None:
            return deepcopy(self.manifest.keys)
        keys = KeySet()
        for shard, group, _ in self._chunks():
            if shard >= 0:
                columns = self._readers[shard].read(group, ("seed", "round_id"))
                keys.update(KeySet.of(columns["seed"], columns["round_id"]))
        return keys

    def no_columns(self) -> Columns:
        """All columns, without rows."""
        return self._empty(list(self.columns))

    def require_columns(self, *names: str) -> None:
        """Raises a ValueError, as `BanditDataset` does, if it lacks the propensities or the outputs."""
        self._rows(self._empty([*REQUIRED, *(name for name in names if name in self.columns)])).require_columns(*names)

    def load(self, columns: Sequence[str] | None = None) -> BanditDataset:
        """Everything in memory, rows in the order in which they were written.

        Args:
            columns: which of `self.columns` (and what every row has); None: all.
        """
        names = self._names(columns)
        parts = list(self.columns_in_batches(names))
        return self._rows(cols.concat(parts) if parts else self._empty(names))

    def row_bytes(self, columns: Sequence[str]) -> int:
        """What a row of these columns (and what every row has) takes in memory, texts left aside."""
        mask = self.n_actions if self.table.version else 0
        return mask + sum(self.manifest.columns[name].row_bytes for name in self._names(columns))

    def batches(
        self,
        size: int = 8192,
        *,
        columns: Sequence[str] | None = None,
        seed: int | None = None,
        epoch: int = 0,
        skip: int = 0,
        part: tuple[int, int] = (0, 1),
    ) -> Iterator[BanditDataset]:
        """All rounds, `size` at a time; the last batch may be smaller.

        Args:
            size: rounds a batch.
            columns: as in `load`.
            seed: shuffle: row groups of all shards in random order, and the rows of several row groups among each
                other. None: in the order in which they were written.
            epoch: another order for each.
            skip: go on behind so many batches.
            part: (k, n), the k-th of n parts of the row groups, which together are the whole.

        Raises:
            ValueError: a number out of range, or a column that is not there.
        """
        if size < 1 or not 0 <= part[0] < part[1] or skip < 0:
            raise ValueError(f"batches: expected size >= 1, skip >= 0, 0 <= k < n, got {size}, {skip}, {part}")
        return self._batches(size, self._windows(self._names(columns), seed, epoch, skip * size, part))

    def _batches(self, size: int, windows: Iterator[Columns]) -> Iterator[BanditDataset]:
        held: list[Columns] = []
        for window in windows:
            held.append(window)
            n = sum(map(cols.n_rows, held))
            if n < size:
                continue
            joined = cols.concat(held)
            held.clear()
            for begin in range(0, n - n % size, size):
                yield self._rows(cols.take(joined, slice(begin, begin + size)))
            if n % size:
                held.append({name: column[n - n % size :].copy() for name, column in joined.items()})
        if held:
            yield self._rows(cols.concat(held))

    def columns_in_batches(self, columns: Sequence[str]) -> Iterator[Columns]:
        """These columns bare, a row group at a time."""
        for chunk in self._chunks():
            yield self._read(chunk, list(columns))

    def content_hash(self) -> str:
        """What tells contents apart: equal for equal rows, whatever their order, shards, compression or the numbers of
        their logging policies.
        """
        return content_hash(self)

    def summary(self) -> Summary:
        """What is in the dataset, in a few numbers; prints as a table."""
        names = [name for name in ("propensity", "action_mask") if name in self.columns]
        return Summary.of(self.batches(1 << 16, columns=names), self.n_actions)

    def verify(self) -> None:
        """Checks every file against its checksum now.

        Raises:
            ValueError: naming the first that is damaged or missing.
        """
        for name, expected in self.manifest.checksums().items():
            check_digest(self.path, name, expected)

    def make_env(self) -> Any:
        """The environment that the rounds come from, made anew.

        Raises:
            ValueError: it has no id.
        """
        return env_from(self.spec or {})

    def _names(self, columns: Sequence[str] | None) -> list[str]:
        unknown = set(columns or ()) - set(self.columns)
        if unknown:
            raise ValueError(f"columns: expected some of {', '.join(self.columns)}, got {', '.join(sorted(unknown))}")
        version = [VERSION] if self.table.version else []  # by which masks are known
        asked = self.columns if columns is None else [*REQUIRED, *version, *columns]
        return [name for name in self.columns if name in asked]

    def _chunks(self) -> list[tuple[int, int, int]]:
        """(shard, row group, rows) of each part that is read at once; the open shard is shard −1."""
        chunks = [
            (number, group, rows)
            for number, shard in enumerate(self.manifest.shards)
            for group, rows in enumerate(shard.groups)
        ]
        return chunks if self.open_rows is None else [*chunks, (-1, 0, cols.n_rows(self.open_rows))]

    def _windows(
        self, names: list[str], seed: int | None, epoch: int, skip: int, part: tuple[int, int]
    ) -> Iterator[Columns]:
        """Some row groups at a time, behind the first `skip` rows."""
        chunks = self._chunks()
        generator = None if seed is None else named_generator(seed, "shuffle", str(epoch), str(part))
        if seed is not None:
            chunks = [chunks[i] for i in named_generator(seed, "shuffle", str(epoch)).permutation(len(chunks))]
        chunks = chunks[part[0] :: part[1]]
        for begin in range(0, len(chunks), _WINDOW):
            window = chunks[begin : begin + _WINDOW]
            n = sum(rows for _, _, rows in window)
            order = None if generator is None else generator.permutation(n)
            if skip < n:
                joined = cols.concat([self._read(chunk, names) for chunk in window])
                rows = slice(skip, n) if order is None else order[skip:]
                yield cols.take(joined, rows)
            skip = max(0, skip - n)

    def _read(self, chunk: tuple[int, int, int], names: list[str]) -> Columns:
        shard, group, _ = chunk
        if shard < 0:
            assert self.open_rows is not None
            return {name: self.open_rows[name] for name in names}
        return self._readers[shard].read(group, names)

    def _empty(self, names: list[str]) -> Columns:
        return {name: self.manifest.columns[name].empty() for name in names if name in self.columns}

    def _rows(self, columns: Columns) -> BanditDataset:
        return cols.rows_of(self.table.with_action_mask(columns), self.prompts, self.policies, self.spec)
