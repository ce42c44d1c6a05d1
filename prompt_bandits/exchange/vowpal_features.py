"""Features by name, as Vowpal Wabbit's files have them, to the columns of a matrix."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from prompt_bandits.types import FloatArray, IntArray, Prompts

Features = list[tuple[str, float]]
_WIDEST = 10_000


class FeatureTable:
    """Rows of features (name, value), of which a column is made for each name. Names in files of ours are numbers
    already; those of others are numbered in the order in which they come.

    Args:
        name: of the column, for errors.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._columns: dict[str, int] = {}
        self._rows, self._at, self._values = array("q"), array("q"), array("d")
        self._n = 0

    def add(self, features: Iterable[tuple[str, float]]) -> None:
        """One more row.

        Raises:
            ValueError: more features than fit into a matrix.
        """
        for feature, value in features:
            column = self._columns.setdefault(feature, len(self._columns))
            self._rows.append(self._n)
            self._at.append(column)
            self._values.append(value)
        if len(self._columns) > _WIDEST:
            raise ValueError(f"{self._name}: expected at most {_WIDEST:,} different features, got more")
        self._n += 1

    def matrix(self) -> FloatArray | None:
        """(n, d) f32; None where no row has a feature."""
        if not self._columns:
            return None
        out = np.zeros((self._n, len(self._columns)), np.float32)
        np.add.at(out, (np.array(self._rows), self._at_places()), np.array(self._values))
        return out

    def _at_places(self) -> IntArray:
        at = np.array(self._at, np.int64)
        if all(name.isdecimal() for name in self._columns):  # in their own order
            order = sorted(self._columns, key=int)
            rank = {self._columns[name]: i for i, name in enumerate(order)}
            return np.array([rank[i] for i in range(len(rank))], np.int64)[at]
        return at


class Candidates:
    """The prompts that rounds mention, and which of them each round could choose from.

    A prompt is known by its number in namespace `a`, or else by its features.
    """

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}
        self._embeddings = FeatureTable("prompts")
        self._numbers: list[int | None] = []
        self._offers: list[Sequence[int]] = []

    def __len__(self) -> int:
        return len(self._seen)

    def add(self, offer: Iterable[Mapping[str, Features]]) -> list[int]:
        """The prompts of one more round; their places in the order of first mention."""
        places = [self._place(prompt) for prompt in offer]
        self._offers.append(places)
        return places

    def _place(self, prompt: Mapping[str, Features]) -> int:
        number = _number(prompt.get("a", []))
        key = repr(sorted(prompt.items())) if number is None else str(number)
        if key not in self._seen:
            self._seen[key] = len(self._seen)
            self._numbers.append(number)
            self._embeddings.add(own_features(prompt, "e", skip=() if number is None else ("a",)))
        return self._seen[key]

    def numbers(self) -> IntArray:
        """The action that each place means: the prompts' own numbers if all have one, else the places."""
        numbers = [number for number in self._numbers if number is not None]
        own = len(numbers) == len(self._numbers)
        return np.array(numbers if own else range(len(self._numbers)), np.int64)

    def prompts(self) -> Prompts:
        """A table of them; prompts that no round mentions have no features."""
        numbers, embedding = self.numbers(), self._embeddings.matrix()
        if embedding is None:
            return Prompts.one_hot(int(numbers.max()) + 1)
        table = np.zeros((int(numbers.max()) + 1, embedding.shape[1]), np.float32)
        table[numbers] = embedding
        return Prompts.from_embedding(table)

    def mask(self, n_actions: int) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]] | None:
        """(n, |A|); None where every round could choose from all."""
        numbers = self.numbers()
        out = np.zeros((len(self._offers), n_actions), dtype=bool)
        for row, offer in enumerate(self._offers):
            out[row, numbers[offer]] = True
        return None if out.all() else out


def own_features(namespaces: Mapping[str, Features], own: str, skip: Sequence[str] = ()) -> Features:
    """The features of namespace `own` by their names, and those of the others but `skip` as `namespace^name`."""
    found = list(namespaces.get(own, []))
    for name, features in namespaces.items():
        if name != own and name not in skip:
            found += [(f"{name}^{feature}", value) for feature, value in features]
    return found


def _number(features: Features) -> int | None:
    return int(features[0][0]) if len(features) == 1 and features[0][0].isdecimal() else None
