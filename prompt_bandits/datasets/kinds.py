"""What a column holds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Kind:
    """Numbers, vectors of numbers of one width, or texts. Written as "float64", "float32[5]", "text"."""

    dtype: str  # NumPy's name; "text"
    width: int | None = None

    @classmethod
    def of(cls, name: str, column: NDArray[Any]) -> Kind:
        """Of a column (n,) or (n, d).

        Raises:
            ValueError: it holds something else.
        """
        if column.dtype == object and column.ndim == 1:
            for row, value in enumerate(column):
                if not isinstance(value, str) or not is_unicode(value):
                    raise ValueError(f"{name}: expected numbers or texts, got {value!r} in row {row}")
            return TEXT
        if column.dtype.name not in _NUMBERS or not column.dtype.isnative or column.ndim not in (1, 2):
            raise ValueError(
                f"{name}: expected numbers or texts of shape (n,) or (n, d), numbers of at most 64 bits, got "
                f"{column.dtype} {column.shape}"
            )
        return cls(_name(column.dtype), None if column.ndim == 1 else column.shape[1])

    @classmethod
    def parse(cls, written: str) -> Kind:
        """What `str` gave; ValueError for anything else."""
        match = re.fullmatch(r"(\w+?)(?:\[(\d+)\])?", written)
        if match is None:
            raise ValueError(f"kind: expected such as float64, float32[5] or text, got {written!r}")
        kind = cls(match[1], None if match[2] is None else int(match[2]))
        np.dtype(kind._numpy)
        return kind

    def __str__(self) -> str:
        return self.dtype if self.width is None else f"{self.dtype}[{self.width}]"

    @property
    def _numpy(self) -> str:
        return "object" if self.dtype == "text" else self.dtype

    @property
    def row_bytes(self) -> int:
        """What a row takes in memory; of a text, the reference to it."""
        return np.dtype(self._numpy).itemsize * (1 if self.width is None else self.width)

    def empty(self) -> NDArray[Any]:
        """A column without rows."""
        return np.empty(0 if self.width is None else (0, self.width), self._numpy)

    def cast(self, name: str, column: NDArray[Any]) -> NDArray[Any]:
        """A column as one of this kind.

        Raises:
            ValueError: it cannot be, without loss.
        """
        found = Kind.of(name, column)
        if found == self:
            return column
        fits = TEXT not in (found, self) and found.width == self.width and np.can_cast(column.dtype, self._numpy)
        cast = column.astype(self._numpy) if fits else column
        if not fits or not np.array_equal(cast.astype(column.dtype), column):  # float64 holds no large integer
            raise ValueError(f"{name}: expected {self} as in the rows so far, got {found}")
        return cast


TEXT = Kind("text")
_NUMBERS = {"bool", "float32", "float64", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))}


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8; half of a surrogate pair cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@cache
def _name(dtype: np.dtype[Any]) -> str:
    return dtype.name
