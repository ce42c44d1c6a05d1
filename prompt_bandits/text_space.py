"""A space of Unicode texts that survives Gymnasium's vector environments, shared memory included."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.spaces.utils import flatdim, flatten, flatten_space, is_space_dtype_shape_equiv, unflatten
from gymnasium.vector.utils import batch_space, create_shared_memory, read_from_shared_memory, write_to_shared_memory
from numpy.typing import NDArray

_PRINTABLE = "".join(map(chr, range(32, 127)))
_LARGEST = 0x10FFFF
_PAD = -1
_CODE = np.dtype("<i4")
Codes = NDArray[np.int32]


class UnicodeText(spaces.Text):
    """Any text of `min_length` … `max_length` characters.

    A batch of texts is a tuple of str. Flattened, a text is its code points, padded with −1.

    Args:
        max_length: in characters.
        min_length: in characters.
        corpus: what `sample` draws from; unless given it draws printable ASCII characters.
        seed: of `sample`.

    Raises:
        ValueError: a text of the corpus that is no such text.
    """

    def __init__(
        self,
        max_length: int,
        *,
        min_length: int = 0,
        corpus: Iterable[str] = (),
        seed: int | np.random.Generator | None = None,
    ) -> None:
        super().__init__(max_length, min_length=min_length, charset=_PRINTABLE, seed=seed)
        self.corpus = tuple(corpus)
        for text in self.corpus:
            if not self.contains(text):
                raise ValueError(f"corpus: expected texts of {min_length} … {max_length} characters, got {text!r}")

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """A text of the corpus, or printable characters.

        Raises:
            ValueError: a mask or a probability, which say nothing about texts of any characters.
        """
        if mask is not None or probability is not None:
            raise ValueError(f"sample: expected no mask and no probability, got {mask!r} and {probability!r}")
        if self.corpus:
            return self.corpus[int(self.np_random.integers(len(self.corpus)))]
        length = int(self.np_random.integers(self.min_length, self.max_length + 1))
        return "".join(self.np_random.choice(list(_PRINTABLE), size=length))

    def contains(self, x: Any) -> bool:
        return isinstance(x, str) and self.min_length <= len(x) <= self.max_length

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, UnicodeText)
            and self.min_length == other.min_length
            and self.max_length == other.max_length
        )

    def __repr__(self) -> str:
        return f"UnicodeText({self.min_length}, {self.max_length})"


class SharedTexts(Sequence[str]):
    """Texts in memory that other processes write to, read each time they are looked at; a copy is a tuple.

    Args:
        codes: (n, 1 + max_length), a text's length and its code points.
    """

    def __init__(self, codes: Codes) -> None:
        self._codes = codes

    def __len__(self) -> int:
        return len(self._codes)

    def __getitem__(self, index: Any) -> Any:
        return tuple(self)[index] if isinstance(index, slice) else self._text(self._codes[index])

    def __iter__(self) -> Iterator[str]:
        return map(self._text, self._codes)

    def __deepcopy__(self, memo: dict[int, Any]) -> tuple[str, ...]:
        return tuple(self)

    @staticmethod
    def _text(row: Codes) -> str:
        return _decoded(row[1 : 1 + row[0]])


def _encoded(text: str) -> Codes:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=_CODE)


def _decoded(codes: Codes) -> str:
    return codes.astype(_CODE).tobytes().decode("utf-32-le", "surrogatepass")


@batch_space.register(UnicodeText)
def _batch(space: UnicodeText, n: int = 1) -> spaces.Tuple[Any]:
    seeds = deepcopy(space.np_random).integers(0, 10**8, n)
    return spaces.Tuple(
        [
            UnicodeText(space.max_length, min_length=space.min_length, corpus=space.corpus, seed=int(seed))
            for seed in seeds
        ]
    )


@flatdim.register(UnicodeText)
def _flatdim(space: UnicodeText) -> int:
    return space.max_length


@flatten_space.register(UnicodeText)
def _flat_space(space: UnicodeText) -> spaces.Box:
    return spaces.Box(_PAD, _LARGEST, (space.max_length,), np.int32)


@flatten.register(UnicodeText)
def _flatten(space: UnicodeText, x: str) -> Codes:  # type: ignore[misc]  # the fallback is generic
    codes = np.full(space.max_length, _PAD, dtype=np.int32)
    codes[: len(x)] = _encoded(x)
    return codes


@unflatten.register(UnicodeText)
def _unflatten(space: UnicodeText, x: Codes) -> str:  # type: ignore[misc]
    return _decoded(x[x >= 0])


@is_space_dtype_shape_equiv.register(UnicodeText)
def _equivalent(space_1: UnicodeText, space_2: Any) -> bool:
    return isinstance(space_2, UnicodeText) and space_1.max_length == space_2.max_length


@create_shared_memory.register(UnicodeText)
def _create_shared(space: UnicodeText, n: int = 1, ctx: Any = multiprocessing) -> Any:
    return ctx.Array(_CODE.char, n * (1 + space.max_length))


@read_from_shared_memory.register(UnicodeText)
def _read_shared(space: UnicodeText, shared_memory: Any, n: int = 1) -> SharedTexts:
    return SharedTexts(_shared_codes(space, shared_memory))


@write_to_shared_memory.register(UnicodeText)
def _write_shared(space: UnicodeText, index: int, value: str, shared_memory: Any) -> None:
    row = _shared_codes(space, shared_memory)[index]
    row[0] = len(value)
    row[1 : 1 + len(value)] = _encoded(value)


def _shared_codes(space: UnicodeText, shared_memory: Any) -> Codes:
    codes: Codes = np.frombuffer(shared_memory.get_obj(), dtype=np.int32)
    return codes.reshape(-1, 1 + space.max_length)
