"""Many values as a few: what the bootstrap resamples where a million rounds would cost a billion draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prompt_bandits.types import FloatArray, IntArray

_TAIL, _CELLS = 32, 32  # on either side of the median
_FEW = 2 * _TAIL + 4 * _CELLS


@dataclass(frozen=True, eq=False)
class Atoms:
    """An empirical distribution: distinct places and how many values lie there."""

    place: FloatArray  # (m,)
    count: FloatArray  # (m,) at least 0; half a value is possible

    @property
    def n(self) -> int:
        return round(float(self.count.sum()))


def as_atoms(values: FloatArray) -> Atoms:
    """The distribution of values (n,), exact where at most 192 differ.

    Of more, the 32 lowest and the 32 highest stay as they are. The rest, in order, falls into cells that grow
    geometrically from either end to the median, 32 a side, and each becomes two atoms at its mean ± its standard
    deviation. That keeps the mean and the variance to rounding, and higher moments, which come from the ends, nearly.
    """
    ordered = np.sort(values)
    place, count = _ties(ordered)
    if len(place) <= _FEW:
        return Atoms(place, count)
    cells = _two_points(ordered[_TAIL:-_TAIL], _edges(len(ordered)))
    ends = np.concatenate([ordered[:_TAIL], ordered[-_TAIL:]])
    return Atoms(np.concatenate([ends, cells.place]), np.concatenate([np.ones(len(ends)), cells.count]))


def _edges(n: int) -> IntArray:
    """Where cells begin and the last ends, of n − 2·32 values."""
    below = np.geomspace(_TAIL, n / 2, _CELLS + 1).astype(np.int64)
    return np.unique(np.concatenate([below, n - below])) - _TAIL


def _ties(ordered: FloatArray) -> tuple[FloatArray, FloatArray]:
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    return ordered[first], np.diff(np.append(first, len(ordered))).astype(np.float64)


def _two_points(ordered: FloatArray, edges: IntArray) -> Atoms:
    """Each cell ordered[edges[j]:edges[j+1]] as two atoms of half its size, with its mean and variance."""
    size = np.diff(edges).astype(np.float64)
    mean = np.add.reduceat(ordered, edges[:-1]) / size
    deviation = ordered - np.repeat(mean, np.diff(edges))
    spread = np.sqrt(np.add.reduceat(deviation**2, edges[:-1]) / size)
    return Atoms(np.concatenate([mean - spread, mean + spread]), np.concatenate([size, size]) / 2)
