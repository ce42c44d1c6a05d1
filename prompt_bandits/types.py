"""The values that travel through the library: frozen dataclasses with a shape on every field."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

FloatArray: TypeAlias = NDArray[np.floating[Any]]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]
TextArray: TypeAlias = NDArray[np.object_]  # of str
RowIndex: TypeAlias = "slice | IntArray | BoolArray"


def text_array(texts: Iterable[str]) -> TextArray:
    """Texts as an object array, so that they are indexed like every other column."""
    items = list(texts)
    out = np.empty(len(items), dtype=object)
    out[:] = items
    return out


class Rows:
    """Mixin for dataclasses some of whose fields have one row a round (`None` where absent)."""

    row_fields: ClassVar[tuple[str, ...]]

    def take(self, index: RowIndex) -> Self:
        """The rows at `index` (a slice, positions or a mask), in that order."""
        taken = object.__new__(type(self))  # dataclasses.replace is the slowest part of a single round
        values = taken.__dict__
        values.update(self.__dict__)
        for name in self.row_fields:
            column = values[name]
            if column is not None:
                values[name] = column[index]
        return taken

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """The rows of `parts` one after the other; fields that are not rows come from the first.

        Raises:
            ValueError: no parts, or a field is present in some parts only.
        """
        if not parts:
            raise ValueError(f"{cls.__name__}.concat: expected at least one part, got none")
        joined = {}
        for name in cls.row_fields:
            columns = [getattr(part, name) for part in parts]
            absent = [column is None for column in columns]
            if all(absent):
                continue
            if any(absent):
                raise ValueError(
                    f"{name}: expected in all {len(parts)} parts or in none, absent in part {absent.index(True)}"
                )
            joined[name] = columns[0] if len(columns) == 1 else np.concatenate(columns)
        return replace(parts[0], **joined)  # type: ignore[type-var]


@dataclass(frozen=True, eq=False)
class Prompts:
    """The table of candidate prompts; an action is a row of it.

    Raises:
        ValueError: the columns differ in length, or the embedding is not a finite matrix.
    """

    prompt_id: IntArray  # (|A|,)
    embedding: FloatArray  # (|A|, d_a) f32
    text: TextArray | None = None  # (|A|,)

    def __post_init__(self) -> None:
        n = len(self.prompt_id)
        if n == 0:
            raise ValueError("prompts: expected at least one prompt, got none")
        if self.embedding.ndim != 2 or len(self.embedding) != n:
            raise ValueError(f"prompts.embedding: expected shape ({n}, d_a), got {self.embedding.shape}")
        if not np.isfinite(self.embedding).all():
            raise ValueError("prompts.embedding: expected finite values, got NaN or infinity")
        if self.text is not None and len(self.text) != n:
            raise ValueError(f"prompts.text: expected {n} texts, got {len(self.text)}")

    def __len__(self) -> int:
        return len(self.prompt_id)

    @classmethod
    def from_embedding(cls, embedding: FloatArray, text: Iterable[str] | None = None) -> Prompts:
        """Prompts numbered 0 … |A|−1 with these features (|A|, d_a)."""
        texts = None if text is None else text_array(text)
        return cls(np.arange(len(embedding), dtype=np.int64), np.asarray(embedding, dtype=np.float32), texts)

    @classmethod
    def one_hot(cls, n: int) -> Prompts:
        """`n` prompts of which nothing is known but their id."""
        return cls.from_embedding(np.eye(n, dtype=np.float32))

    def nearest(self, point: FloatArray, mask: BoolArray | None = None) -> IntArray:
        """(n,) the prompt nearest to each point (n, d_a), of those that `mask` (n, |A|) allows; the first of equals."""
        distance = np.stack([((self.embedding - row) ** 2).sum(axis=1) for row in point])
        return np.asarray((distance if mask is None else np.where(mask, distance, np.inf)).argmin(axis=1))

    def same_as(self, other: Prompts) -> bool:
        """Whether both tables hold the same ids, features and texts."""
        return self is other or (
            np.array_equal(self.prompt_id, other.prompt_id)
            and np.array_equal(self.embedding, other.embedding)
            and (self.text is None) == (other.text is None)
            and (self.text is None or other.text is None or np.array_equal(self.text, other.text))
        )


@dataclass(frozen=True, eq=False)
class Observation(Rows):
    """What a policy sees of `n` rounds: users, queries and the candidate prompts."""

    context: FloatArray  # (n, d_x) f32
    prompts: Prompts
    query: FloatArray | None = None  # (n, d_q) f32
    user_id: IntArray | None = None  # (n,)
    query_id: IntArray | None = None  # (n,)
    query_text: TextArray | None = None  # (n,)
    action_mask: BoolArray | None = None  # (n, |A|), True where the prompt may be chosen

    row_fields: ClassVar[tuple[str, ...]] = ("context", "query", "user_id", "query_id", "query_text", "action_mask")

    def __len__(self) -> int:
        return len(self.context)

    @property
    def n_actions(self) -> int:
        return len(self.prompts)

    def features(self) -> FloatArray:
        """Context and query side by side, (n, d_x + d_q)."""
        return self.context if self.query is None else np.concatenate([self.context, self.query], axis=1)


@dataclass(frozen=True, eq=False)
class Output(Rows):
    """What the frozen LLM gave."""

    embedding: FloatArray | None = None  # (n, d_o) f32, φ(s)
    text: TextArray | None = None  # (n,) the sentence s

    row_fields: ClassVar[tuple[str, ...]] = ("embedding", "text")

    @classmethod
    def or_none(cls, embedding: FloatArray | None, text: TextArray | None) -> Output | None:
        """An output, or None where there is neither."""
        return None if embedding is None and text is None else cls(embedding, text)


@dataclass(frozen=True, eq=False)
class Feedback:
    """What came of acting: output, reward, and (for judging only) the reward's mean given the output."""

    output: Output
    expected_reward: FloatArray  # (n,) r(x, s)
    reward: FloatArray  # (n,)
    baseline: FloatArray | None = None  # (n,) of a `BaselineReward`

    @property
    def oracle(self) -> dict[str, FloatArray]:
        """What judges may know of these rounds and learners may not, by the names of `ORACLE_COLUMNS`."""
        columns = {"expected_reward": self.expected_reward}
        return columns if self.baseline is None else columns | {"baseline": self.baseline}


ORACLE_COLUMNS = ("expected_reward", "baseline")


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error over `n` rounds."""

    value: float
    se: float
    n: int

    @classmethod
    def from_terms(cls, terms: FloatArray) -> Estimate:
        """The mean of per-round terms (n,) and its standard error; one round has none (`inf`)."""
        n = len(terms)
        return cls(float(terms.mean()), float(terms.std(ddof=1) / np.sqrt(n)) if n > 1 else float("inf"), n)

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        return f"{self.value:.4f} ± {self.se:.4f}"


def optimality(value: float, uniform: float, optimal: float) -> float:
    """(V(π) − V(uniform)) / (V(optimal) − V(uniform)).

    Raises:
        ValueError: the two are equal, to rounding.
    """
    span = optimal - uniform
    if not span > 1e-6 * max(abs(optimal), abs(uniform)):
        raise ValueError("optimality: undefined, every policy has the same value in this environment")
    return (value - uniform) / span


@dataclass(frozen=True, eq=False)
class ActionValues:
    """q(x, a): the mean reward of prompts, over the LLM's outputs; `se` is None where it is exact."""

    value: FloatArray  # (n,) of given actions, or (n, |A|)
    se: FloatArray | None = None  # like value


@dataclass(frozen=True, eq=False)
class GaussianOutputs:
    """Outputs that are Gaussian with mean `shift_i + prompt_a` and independent dimensions."""

    shift: FloatArray  # (n, d_o), what the query gives; all of it without a prompt
    prompt: FloatArray  # (|A|, d_o), what the prompt adds
    variance: FloatArray  # (d_o,)


@dataclass(frozen=True, eq=False)
class FiniteOutputs:
    """K equally likely outputs of every prompt, as rows of one table; rounds of one group have the same."""

    group: IntArray  # (n,) the round's group, 0 … G−1
    rows: IntArray  # (G, |A|, K) rows of `table`
    table: Output  # N outputs
