"""Which rounds are there: sets of keys (seed, round_id), small while rounds are mostly consecutive."""

from __future__ import annotations

from array import array
from collections.abc import Mapping

import numpy as np

from prompt_bandits.types import BoolArray, IntArray

_MOST_RUNS = 4096
_LAST = 2**63 - 1


class KeySet:
    """The keys of rows, as runs of consecutive rounds of each seed."""

    def __init__(self) -> None:
        self._runs: dict[int, _Runs] = {}

    def __len__(self) -> int:
        return sum(len(runs) for runs in self._runs.values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeySet) and self.runs() == other.runs()

    def runs(self) -> dict[int, list[tuple[int, int]]]:
        """{seed: [(begin, end), …]}: the rounds begin … end−1 of each run."""
        return {seed: list(zip(runs.starts, runs.ends, strict=True)) for seed, runs in sorted(self._runs.items())}

    @property
    def seeds(self) -> list[int]:
        return sorted(self._runs)

    @classmethod
    def of(cls, seed: IntArray, round_id: IntArray) -> KeySet:
        """The keys (n,), (n,) of rows.

        Raises:
            ValueError: one of them comes twice, or is no key.
        """
        if seed.dtype.kind not in "iu" or round_id.dtype.kind not in "iu":
            raise ValueError(f"seed, round_id: expected integers, got {seed.dtype} and {round_id.dtype}")
        if len(round_id) and not 0 <= int(round_id.min()) <= int(round_id.max()) < _LAST:
            raise ValueError(f"round_id: expected 0 … 2^63 − 2, got {round_id.min()} … {round_id.max()}")
        keys = cls()
        for one in np.unique(seed):
            ids = np.sort(round_id[seed == one])
            twice = ids[1:][ids[1:] == ids[:-1]]
            if len(twice):
                raise ValueError(f"round: seed {one} has a round twice at once: {twice[0]}")
            keys._runs[int(one)] = _Runs(*_joined(ids, ids + 1))
        return keys

    def refuse(self, new: KeySet) -> None:
        """Raises a ValueError if one of the new keys is there already."""
        for seed, runs in new._runs.items():
            common = self._runs[seed].common(runs) if seed in self._runs else None
            if common is not None:
                raise ValueError(
                    f"round: seed {seed}, round {common} is recorded already; reset with another seed or go on"
                )

    def update(self, new: KeySet) -> None:
        """Takes in new keys, or none of them.

        Raises:
            ValueError: one of them is there already.
        """
        self.refuse(new)
        for seed, runs in new._runs.items():
            if seed in self._runs:
                self._runs[seed].add(runs)
            else:
                self._runs[seed] = _Runs(np.array(runs.starts), np.array(runs.ends))

    def contain(self, seed: IntArray, round_id: IntArray) -> BoolArray:
        """(n,) whether each key is there."""
        known = np.zeros(len(seed), dtype=bool)
        for one in np.unique(seed):
            if int(one) in self._runs:
                starts, ends = np.array(self._runs[int(one)].starts), np.array(self._runs[int(one)].ends)
                ids = round_id[seed == one]
                run = np.searchsorted(starts, ids, side="right") - 1
                known[seed == one] = (run >= 0) & (ids < ends[run])
        return known

    def disjoint(self, other: KeySet) -> bool:
        """Whether no key is in both."""
        common = (self._runs[seed].common(runs) for seed, runs in other._runs.items() if seed in self._runs)
        return all(one is None for one in common)

    def highest(self, seed: int) -> int:
        """The last round of a seed, −1 where there is none."""
        return self._runs[seed].ends[-1] - 1 if seed in self._runs else -1

    def missing(self, seed: int, first: int, last: int) -> list[tuple[int, int]]:
        """Runs (begin, end) of the rounds `first … last−1` that are not there."""
        gaps, begin = [], first
        if seed in self._runs:
            for start, end in zip(self._runs[seed].starts, self._runs[seed].ends, strict=True):
                if begin < min(start, last):
                    gaps.append((begin, min(start, last)))
                begin = max(begin, end)
        return [*gaps, (begin, last)] if begin < last else gaps

    def to_json(self) -> dict[str, list[tuple[int, int]]] | None:
        """The runs by seed; None where they are too many to be written down."""
        if sum(len(runs.starts) for runs in self._runs.values()) > _MOST_RUNS:
            return None
        return {str(seed): runs for seed, runs in self.runs().items()}

    @classmethod
    def from_json(cls, values: Mapping[str, list[tuple[int, int]]]) -> KeySet:
        """What `to_json` gave."""
        keys = cls()
        for seed, runs in values.items():
            pairs = np.array(runs, dtype=np.int64).reshape(-1, 2)
            keys._runs[int(seed)] = _Runs(pairs[:, 0].copy(), pairs[:, 1].copy())
        return keys


class _Runs:
    """Disjoint runs start … end−1 in ascending order."""

    def __init__(self, starts: IntArray, ends: IntArray) -> None:
        self.starts, self.ends = array("q", starts.tobytes()), array("q", ends.tobytes())

    def __len__(self) -> int:
        return sum(self.ends) - sum(self.starts)

    def common(self, new: _Runs) -> int | None:
        """A round that both hold."""
        if new.starts[0] >= self.ends[-1]:
            return None
        starts, ends = self._with(new)
        overlap = starts[1:] < ends[:-1]
        return int(starts[1:][overlap][0]) if overlap.any() else None

    def add(self, new: _Runs) -> None:
        """Takes in runs that are not there."""
        if new.starts[0] < self.ends[-1]:
            starts, ends = _joined(*self._with(new))
            self.starts, self.ends = array("q", starts.tobytes()), array("q", ends.tobytes())
            return
        skip = 0
        if new.starts[0] == self.ends[-1]:
            self.ends[-1], skip = new.ends[0], 1
        self.starts.extend(new.starts[skip:])
        self.ends.extend(new.ends[skip:])

    def _with(self, new: _Runs) -> tuple[IntArray, IntArray]:
        starts = np.concatenate([np.array(self.starts), np.array(new.starts)])
        ends = np.concatenate([np.array(self.ends), np.array(new.ends)])
        order = np.lexsort((ends, starts))
        return starts[order], ends[order]


def _joined(starts: IntArray, ends: IntArray) -> tuple[IntArray, IntArray]:
    """Disjoint runs in ascending order, those that touch joined."""
    apart = starts[1:] != ends[:-1]
    return starts[np.concatenate([[True], apart])], ends[np.concatenate([apart, [True]])]
