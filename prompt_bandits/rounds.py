"""The one source of randomness: every draw is a function of (seed, scope, name, round)."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prompt_bandits.types import FloatArray, IntArray

BLOCK = 1024
"""Rounds whose draws are generated together. Part of the streams' definition: changing it changes every draw."""


def in_blocks(begin: int, end: int) -> list[tuple[int, int]]:
    """The rounds begin … end−1, cut at multiples of `BLOCK`."""
    bases = range(begin - begin % BLOCK, end, BLOCK)
    return [(max(begin, base), min(end, base + BLOCK)) for base in bases]


@lru_cache(maxsize=4096)
def _philox_key(seed: int, scope: str, kind: str, name: str, width: int | None) -> int:
    label = "\x1f".join((str(seed), scope, kind, name, str(width)))
    return int.from_bytes(blake2b(label.encode(), digest_size=16).digest(), "little")


def named_generator(seed: int, *names: str) -> np.random.Generator:
    """A generator of its own for each (seed, names), for what is drawn once and not by round: worlds, weights."""
    return np.random.Generator(np.random.Philox(key=_philox_key(seed, "/".join(names), "once", "", None)))


class Rounds:
    """The rounds `start … start+n−1` of a seed, which hand out their draws by name.

    The draws of round i are the same whichever rounds are asked for together: the generator is counter-based, keyed
    by (seed, scope, name, width), with one counter for each block of 1024 rounds.

    Args:
        seed: of the draws, not of the world; any non-negative integer.
        start: the first round, or an array of round ids (any order, slower).
        n: how many rounds; only with an integer `start`.
        scope: keeps streams apart that must not share noise, such as `"log/train"` and `"oracle"`.

    Raises:
        ValueError: a negative seed, round or number of rounds.
    """

    __slots__ = ("_cache", "_ids", "_root", "_root_offset", "n", "scope", "seed", "start")

    def __init__(self, seed: int, start: int | IntArray = 0, n: int | None = None, scope: str = "log/train") -> None:
        self.seed, self.scope = int(seed), scope
        self._ids: IntArray | None = None
        self._root: Rounds | None = None
        self._root_offset = 0
        self._cache: dict[tuple[str, str, int | None], NDArray[Any]] = {}
        if isinstance(start, np.ndarray):
            if n is not None:
                raise ValueError("n: expected none beside an array of round ids")
            self._ids = start.astype(np.int64)
            self.start, self.n = (int(start.min()) if len(start) else 0), len(start)
        else:
            self.start, self.n = int(start), 1 if n is None else int(n)
        if self.seed < 0 or self.start < 0 or self.n < 0:
            raise ValueError(f"Rounds: expected seed, start and n >= 0, got {self.seed}, {self.start}, {self.n}")

    def __len__(self) -> int:
        return self.n

    def __repr__(self) -> str:
        return f"Rounds(seed={self.seed}, start={self.start}, n={self.n}, scope={self.scope!r})"

    @property
    def round_id(self) -> IntArray:
        """(n,) the ids of the rounds."""
        return self._ids if self._ids is not None else np.arange(self.start, self.start + self.n, dtype=np.int64)

    def part(self, begin: int, end: int) -> Rounds:
        """The rounds at positions `begin … end−1`; they share what is drawn for the whole."""
        if self._ids is not None:
            return Rounds(self.seed, self._ids[begin:end], scope=self.scope)
        child = object.__new__(Rounds)
        child.seed, child.scope, child.start, child.n = self.seed, self.scope, self.start + begin, end - begin
        child._ids = None
        child._root, child._root_offset, child._cache = self._root or self, self._root_offset + begin, {}
        return child

    @property
    def whole(self) -> tuple[Rounds, int]:
        """The rounds that these were cut from, and the position of the first of these in it."""
        return (self, 0) if self._root is None else (self._root, self._root_offset)

    def normal(self, name: str, width: int | None = None) -> FloatArray:
        """Standard normal draws, (n,) or (n, width), float64. Read-only, as all draws are."""
        return self._draw("normal", name, width)

    def uniform(self, name: str, width: int | None = None) -> FloatArray:
        """Uniform draws in [0, 1), (n,) or (n, width), float64."""
        return self._draw("uniform", name, width)

    def integers(self, name: str, high: int, width: int | None = None) -> IntArray:
        """Uniform integers in [0, high), (n,) or (n, width)."""
        return self._draw(f"integers {high}", name, width)

    def _draw(self, kind: str, name: str, width: int | None) -> NDArray[Any]:
        root = self._root or self
        drawn: NDArray[Any] | None = root._cache.get((kind, name, width))
        if drawn is None:
            drawn = root._generate(kind, name, width)
            drawn.flags.writeable = False
            root._cache[kind, name, width] = drawn
        return drawn if root is self else drawn[self._root_offset : self._root_offset + self.n]

    def _generate(self, kind: str, name: str, width: int | None) -> NDArray[Any]:
        key = _philox_key(self.seed, self.scope, kind, name, width)
        if self._ids is None:
            first, last = self.start // BLOCK, max(self.start, self.start + self.n - 1) // BLOCK
            blocks = [_block(key, kind, width, block) for block in range(first, last + 1)]
            drawn: NDArray[Any] = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
            offset = self.start - first * BLOCK
            return drawn[offset : offset + self.n]
        numbers, inverse = np.unique(self._ids // BLOCK, return_inverse=True)
        blocks = [_block(key, kind, width, int(number)) for number in numbers] or [_block(key, kind, width, 0)]
        rows: NDArray[Any] = np.concatenate(blocks)[inverse * BLOCK + self._ids % BLOCK]
        return rows


def _block(key: int, kind: str, width: int | None, number: int) -> NDArray[Any]:
    """The draws of rounds 1024·number … 1024·number + 1023."""
    generator = np.random.Generator(np.random.Philox(key=key, counter=number << 64))
    size = (BLOCK,) if width is None else (BLOCK, width)
    if kind == "normal":
        return generator.standard_normal(size)
    if kind == "uniform":
        return generator.random(size)
    return generator.integers(int(kind.removeprefix("integers ")), size=size)


class RoundStream:
    """Sequential rounds of one seed and scope; small requests share the draws of one block."""

    def __init__(self, seed: int, scope: str, start: int = 0) -> None:
        self.seed, self.scope, self.position = seed, scope, start
        self._block: Rounds | None = None

    def peek(self, n: int) -> Rounds:
        """The next `n` rounds, without moving on."""
        base = self.position - self.position % BLOCK
        if self.position + n > base + BLOCK:
            return Rounds(self.seed, self.position, n, self.scope)
        if self._block is None or self._block.start != base:
            self._block = Rounds(self.seed, base, BLOCK, self.scope)
        return self._block.part(self.position - base, self.position - base + n)

    def next(self, n: int) -> Rounds:
        """The next `n` rounds."""
        rounds = self.peek(n)
        self.position += n
        return rounds
