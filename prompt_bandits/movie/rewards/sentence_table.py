"""Features of sentences that are known already, so that no encoder runs for them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from prompt_bandits.protocols import SentenceEncoder
from prompt_bandits.types import FloatArray, IntArray, TextArray, text_array


def distinct_texts(texts: Iterable[str]) -> tuple[TextArray, IntArray]:
    """Each text once, in order of appearance, and the position in them of every text given."""
    number: dict[str, int] = {}
    position = [number.setdefault(text, len(number)) for text in texts]
    return text_array(number), np.asarray(position, dtype=np.int64)


class TableFeatures:
    """A sentence encoder that looks sentences up, and asks another for those it does not know.

    Args:
        texts: known sentences; of equal ones the first counts.
        features: theirs, (len(texts), d).
        fallback: encodes unknown sentences; None refuses them.
        memo: so many of those are remembered, then all are forgotten.

    Raises:
        ValueError: texts and features that do not fit, or features that are not finite.
    """

    def __init__(
        self,
        texts: Iterable[str],
        features: FloatArray,
        fallback: SentenceEncoder | None = None,
        memo: int = 100_000,
    ) -> None:
        known = list(texts)
        if features.ndim != 2 or len(features) != len(known):
            raise ValueError(f"features: expected shape ({len(known)}, d), got {features.shape}")
        if not np.isfinite(features).all():
            raise ValueError("features: expected finite numbers, got NaN or infinity")
        self.features = np.ascontiguousarray(features, dtype=np.float32)
        self.fallback, self.memo = fallback, memo
        self._row = {text: row for row, text in reversed(list(enumerate(known)))}
        self._learned: dict[str, FloatArray] = {}

    def __len__(self) -> int:
        return len(self._row)

    def encode(self, texts: TextArray) -> FloatArray:
        """(n, d) f32.

        Raises:
            ValueError: an unknown sentence, and no fallback.
        """
        try:
            rows = np.fromiter(map(self._row.__getitem__, texts), np.int64, len(texts))
        except KeyError:
            return self._encode_with_unknown(texts)
        return self.features[rows]

    def _encode_with_unknown(self, texts: TextArray) -> FloatArray:
        unknown = text_array(dict.fromkeys(t for t in texts if t not in self._row and t not in self._learned))
        if len(unknown):
            fresh = self._ask(unknown)
            if len(self._learned) + len(unknown) > self.memo:
                kept = {text: self._learned[text] for text in set(texts) if text in self._learned}
                self._learned = kept
            self._learned.update(zip(unknown, fresh, strict=True))
        row, learned = self._row, self._learned
        return np.stack([self.features[row[text]] if text in row else learned[text] for text in texts])

    def _ask(self, unknown: TextArray) -> FloatArray:
        if self.fallback is None:
            raise ValueError(f"sentence: expected one of the {len(self)} known, got {unknown[0]!r}")
        fresh = np.asarray(self.fallback.encode(unknown), dtype=np.float32)
        if fresh.ndim != 2 or len(fresh) != len(unknown) or (len(self) and fresh.shape[1] != self.features.shape[1]):
            expected = f"({len(unknown)}, {self.features.shape[1]})"
            raise ValueError(f"fallback.encode: expected shape {expected}, got {fresh.shape}")
        return fresh
