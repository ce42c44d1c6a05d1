"""p(u, i, s): how likely a user likes a film as a sentence describes it, from fitted arrays. NumPy only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from prompt_bandits.types import FloatArray, IntArray

_CELLS = 1 << 17  # hidden units worked on at a time: they stay in the processor's cache


@dataclass(frozen=True, eq=False)
class RewardHead:
    """p = σ(l2(ReLU(l1[E_u; f])) + b_u + b_i), f being the features of a sentence, or of the film itself.

    A row's probability is bit-equal whichever rows it is asked for with (`einsum`, not BLAS).

    Raises:
        ValueError: arrays that do not fit each other, or that are not finite.
    """

    user_embedding: FloatArray  # (n_users, d_u) f32
    user_bias: FloatArray  # (n_users,)
    item_bias: FloatArray  # (n_items,)
    hidden_weight: FloatArray  # (h, d_u + d_f)
    hidden_bias: FloatArray  # (h,)
    out_weight: FloatArray  # (h,)
    out_bias: float

    def __post_init__(self) -> None:
        for field in fields(self)[:-1]:
            array = np.ascontiguousarray(getattr(self, field.name), dtype=np.float32)
            if not np.isfinite(array).all():
                raise ValueError(f"{field.name}: expected finite numbers, got NaN or infinity")
            object.__setattr__(self, field.name, array)
        object.__setattr__(self, "out_bias", float(self.out_bias))
        for name, dims in (("user_embedding", 2), ("item_bias", 1), ("hidden_weight", 2)):
            if getattr(self, name).ndim != dims:
                raise ValueError(f"{name}: expected {dims} dimensions, got shape {getattr(self, name).shape}")
        (n_users, dim_user), (n_hidden, dim_both) = self.user_embedding.shape, self.hidden_weight.shape
        if dim_both <= dim_user:
            raise ValueError(f"hidden_weight: expected (h, more than d_u={dim_user}), got {self.hidden_weight.shape}")
        for name, shape in (("user_bias", (n_users,)), ("hidden_bias", (n_hidden,)), ("out_weight", (n_hidden,))):
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name}: expected shape {shape}, got {getattr(self, name).shape}")

    @property
    def n_users(self) -> int:
        return len(self.user_bias)

    @property
    def n_items(self) -> int:
        return len(self.item_bias)

    @property
    def dim_features(self) -> int:
        """d_f."""
        return int(self.hidden_weight.shape[1] - self.user_embedding.shape[1])

    def probability(self, user_id: IntArray, query_id: IntArray, features: FloatArray) -> FloatArray:
        """(n,) float64 of users (n,), films (n,) and sentences' features (n, d_f).

        Raises:
            ValueError: an id out of range, or features of another shape.
        """
        self.check_ids(user_id, query_id)
        features = self._checked(features, len(user_id))
        out = np.empty(len(user_id))
        for rows in _slices(len(out), len(self.out_weight)):
            hidden = self.sentence_hidden(features[rows])[:, None]
            out[rows] = self._read_out(hidden, user_id[rows], query_id[rows])[:, 0]
        return out

    def probability_and_mean(
        self, user_id: IntArray, query_id: IntArray, features: FloatArray, hidden: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """`probability` (n,) and `mean_probability` (n,), faster than one after the other.

        Raises:
            ValueError: an id out of range, or features of another shape.
        """
        self.check_ids(user_id, query_id)
        features = self._checked(features, len(user_id))
        own, total = np.empty(len(user_id)), np.empty(len(user_id))
        for rows in _slices(len(own), (1 + hidden.shape[1]) * hidden.shape[2]):
            both = np.concatenate([self.sentence_hidden(features[rows])[:, None], hidden[query_id[rows]]], axis=1)
            probability = self._read_out(both, user_id[rows], query_id[rows])
            own[rows], total[rows] = probability[:, 0], np.add.reduce(probability[:, 1:], axis=1)
        return own, total / hidden.shape[1]

    def mean_probability(self, user_id: IntArray, query_id: IntArray, hidden: FloatArray) -> FloatArray:
        """(n,) the mean over the K sentences of each film, given as `sentence_hidden` (n_items, K, h).

        Raises:
            ValueError: an id out of range.
        """
        self.check_ids(user_id, query_id)
        out = np.empty(len(user_id))
        for rows in _slices(len(out), hidden.shape[1] * hidden.shape[2]):
            out[rows] = np.add.reduce(self._read_out(hidden[query_id[rows]], user_id[rows], query_id[rows]), axis=1)
        return np.asarray(out / hidden.shape[1])

    def probability_table(self, user_id: IntArray, query_id: int, features: FloatArray) -> FloatArray:
        """(m, k) float64: what each user (m,) thinks of one film as each of k sentences (k, d_f) describes it.

        Raises:
            ValueError: an id out of range, or features of another shape.
        """
        item = np.array([query_id])
        self.check_ids(user_id, item)
        features = self._checked(features, len(features))
        sentence, logit = self.sentence_hidden(features), np.empty((len(user_id), len(features)), dtype=np.float32)
        for some in _slices(len(sentence), len(self.out_weight)):
            buffer, zero = np.empty_like(sentence[some]), np.zeros_like(sentence[some])
            for row, user in enumerate(self._user_hidden[user_id]):
                np.add(sentence[some], user, out=buffer)
                np.maximum(buffer, zero, out=buffer)  # four times as fast as with a scalar
                logit[row, some] = np.einsum("kh,h->k", buffer, self.out_weight)
        return _sigmoid(logit + self._bias(user_id, item)[:, None])

    def sentence_hidden(self, features: FloatArray) -> FloatArray:
        """What sentences (…, d_f) give to the hidden units, (…, h) f32, before a user's part is added."""
        flat = np.ascontiguousarray(features, dtype=np.float32).reshape(-1, self.dim_features)
        hidden: FloatArray = np.einsum("nf,fh->nh", flat, self._sentence_weight)
        return np.asarray(hidden.reshape(*np.shape(features)[:-1], -1))

    def check_ids(self, user_id: IntArray, query_id: IntArray) -> None:
        """Raises a ValueError where an id is no row of the tables."""
        for name, ids, n in (("user_id", user_id, self.n_users), ("query_id", query_id, self.n_items)):
            if len(ids) and np.asarray(ids, dtype=np.int64).view(np.uint64).max() >= n:  # negative ones are huge there
                raise ValueError(f"{name}: expected 0 … {n - 1}, got {ids.min()} … {ids.max()}")

    def arrays(self) -> dict[str, FloatArray]:
        """The fields by name, to be saved."""
        return {field.name: np.asarray(getattr(self, field.name), dtype=np.float32) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, FloatArray]) -> RewardHead:
        """What `arrays` gave.

        Raises:
            ValueError: an array is missing or too many, or as the class.
        """
        expected = {field.name for field in fields(cls)}
        if set(arrays) != expected:
            raise ValueError(f"reward head: expected arrays {sorted(expected)}, got {sorted(arrays)}")
        values: dict[str, Any] = dict(arrays)
        return cls(**{**values, "out_bias": float(arrays["out_bias"])})

    def _checked(self, features: FloatArray, n: int) -> FloatArray:
        if features.shape != (n, self.dim_features):
            raise ValueError(f"features: expected shape ({n}, {self.dim_features}), got {features.shape}")
        return features

    def _read_out(self, hidden: FloatArray, user_id: IntArray, query_id: IntArray) -> FloatArray:
        """(n, K) of the sentences' hidden units (n, K, h), which are overwritten."""
        hidden += self._user_hidden[user_id][:, None]
        np.maximum(hidden, 0, out=hidden)
        return _sigmoid(np.einsum("nkh,h->nk", hidden, self.out_weight) + self._bias(user_id, query_id)[:, None])

    def _bias(self, user_id: IntArray, query_id: IntArray) -> FloatArray:
        return np.asarray(self.user_bias[user_id] + self.item_bias[query_id] + np.float64(self.out_bias))

    @cached_property
    def _user_hidden(self) -> FloatArray:  # (n_users, h)
        weight = np.ascontiguousarray(self.hidden_weight[:, : self.user_embedding.shape[1]].T)
        hidden: FloatArray = np.einsum("ud,dh->uh", self.user_embedding, weight) + self.hidden_bias
        return hidden

    @cached_property
    def _sentence_weight(self) -> FloatArray:  # (d_f, h)
        return np.ascontiguousarray(self.hidden_weight[:, self.user_embedding.shape[1] :].T)


def _slices(n: int, width: int) -> Iterator[slice]:
    """Rows 0 … n−1, so many at a time that (rows, width) fits the processor's cache."""
    step = max(1, _CELLS // width)
    return (slice(begin, begin + step) for begin in range(0, n, step))


def _sigmoid(logit: FloatArray) -> FloatArray:
    return np.asarray((1 + np.tanh(logit.astype(np.float64) / 2)) / 2)
