"""Rounds that wait for their reward, on disk from the moment that they are acted in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from prompt_bandits.datasets.columns import EXTRAS, Columns, conforming, kinds_of, n_rows, to_columns, to_table
from prompt_bandits.datasets.keys import KeySet
from prompt_bandits.datasets.kinds import Kind
from prompt_bandits.datasets.write_ahead import WriteAheadStream, discard_stream, read_stream

_MOST_BYTES = 64 << 20
_ACTS, _OUTPUTS = "acts", "outputs"
OUTPUTS = ("sentence", "output")
"""The columns of what the LLM wrote."""
REWARDS = ("reward", f"{EXTRAS}reward_time")
"""The columns that come with the reward."""


@dataclass
class WaitingRound:
    """What is known of a round without a reward, each column of one row."""

    act: Columns
    output: Columns = field(default_factory=dict)  # sentence, output

    @property
    def round_id(self) -> int:
        return int(self.act["round_id"][0])


class WaitingRounds:
    """Rounds without a reward, by their ids, and the logs that keep them.

    There are two logs, of what was chosen and of what the LLM then wrote. They are written anew without the rounds
    that have their reward at the start, and whenever they are large.

    Args:
        folder: of the logs; made at the first round.
        dataset: the id of the dataset that the rounds will join.
        done: the keys of rounds that have their reward.
        kinds: of the dataset's columns, once its rows have settled them; else the first act and the first output do.

    Raises:
        ValueError: a damaged log.
    """

    def __init__(self, folder: Path, dataset: str, done: KeySet, kinds: Mapping[str, Kind]) -> None:
        self.folder, self._dataset, self._done = folder, dataset, done
        self.rounds: dict[int, WaitingRound] = {}
        self._kinds: dict[str, Mapping[str, Kind]] = {}
        if kinds:
            self.settle(kinds)
        self._streams: dict[str, WriteAheadStream] = {}
        self._generation, self._most_bytes = 0, _MOST_BYTES
        streams = sorted(folder.glob("*.arrows"))
        for stream in streams:
            self._read(stream)
            self._generation = max(self._generation, _generation_of(stream) + 1)
        if streams:
            self._rewrite()

    def add(self, act: Columns) -> None:
        """A new round; it is kept once this returns."""
        self._append(_ACTS, act)
        waiting = WaitingRound(act)
        self.rounds[waiting.round_id] = waiting

    def settle(self, kinds: Mapping[str, Kind]) -> None:
        """The dataset has a row, and with it these columns."""
        outputs = {name: kind for name, kind in kinds.items() if name in OUTPUTS}
        self._kinds[_OUTPUTS] = {"round_id": kinds["round_id"], **outputs}
        self._kinds[_ACTS] = {name: kind for name, kind in kinds.items() if name not in (*OUTPUTS, *REWARDS)}

    @property
    def with_outputs(self) -> bool:
        """Whether rounds have outputs, as far as that is settled."""
        return len(self._kinds.get(_OUTPUTS, ())) > 1

    def wrote(self, round_id: int, output: Columns) -> None:
        """What the LLM wrote in a waiting round."""
        waiting = self.rounds[round_id]
        self._append(_OUTPUTS, {"round_id": waiting.act["round_id"], **output})
        waiting.output = output

    def remove(self, round_id: int) -> None:
        """The round has its reward, elsewhere on disk."""
        del self.rounds[round_id]
        if self._bytes() > self._most_bytes:
            with suppress(OSError):  # another time, then
                self._rewrite()

    def close(self) -> None:
        for stream in self._streams.values():
            stream.close()
        self._streams = {}

    def _append(self, log: str, columns: Columns) -> None:
        expected = self._kinds.get(log) or kinds_of(columns)
        table = to_table(conforming(columns, expected))
        if log not in self._streams:
            file = self.folder / f"{log}-{self._generation:05d}.arrows"
            self._streams[log] = WriteAheadStream(file, table.schema, self._dataset)
        self._streams[log].append(table.to_batches()[0])
        self._kinds[log] = expected

    def _read(self, stream: Path) -> None:
        table = read_stream(stream, self._dataset)
        for row in _rows(to_columns(table)) if table is not None else ():
            round_id = int(row["round_id"][0])
            if "seed" in row and self._done.contain(row["seed"], row["round_id"]).all():
                continue
            if stream.name.startswith(_ACTS):
                self.rounds[round_id] = WaitingRound(row)
            elif round_id in self.rounds:
                self.rounds[round_id].output = {name: row[name] for name in row if name != "round_id"}

    def _rewrite(self) -> None:
        """The waiting rounds to new logs; then the old ones can go."""
        old = list(self.folder.glob("*.arrows"))
        self.close()
        self._generation += 1
        for waiting in list(self.rounds.values()):
            self.add(waiting.act)
            if waiting.output:
                self.wrote(waiting.round_id, waiting.output)
        for log in self._streams.values():
            log.sync()
        for stream in old:
            discard_stream(stream)
        self._most_bytes = max(_MOST_BYTES, 2 * self._bytes())  # so that each byte is rewritten once or twice

    def _bytes(self) -> int:
        return sum(stream.bytes for stream in self._streams.values())


def _generation_of(stream: Path) -> int:
    match = re.fullmatch(r"(?:acts|outputs)-(\d+)", stream.stem)
    if match is None:
        raise ValueError(f"{stream}: no log of waiting rounds")
    return int(match[1])


def _rows(columns: Columns) -> Iterator[Columns]:
    for row in range(n_rows(columns)):
        yield {name: column[row : row + 1] for name, column in columns.items()}
