"""What estimators look at: one number a round, each computed once, in one pass over the rounds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from prompt_bandits.progress import progress_bar
from prompt_bandits.protocols import Policy
from prompt_bandits.types import FloatArray, IntArray

from ..protocols import LoggedData
from .chunk import Chunk, chunks_of
from .models import Q_HAT, Models, ModelSpec

__all__ = [
    "Chunk",
    "Column",
    "Columns",
    "MostLikely",
    "PolicyProb",
    "Propensity",
    "QLogged",
    "QPolicy",
    "Reward",
    "UnsupportedMass",
    "Weight",
    "columns_of",
]


class Column(ABC):
    """A number for every round. A frozen dataclass: equal columns are computed once."""

    needs: tuple[ModelSpec, ...] = ()  # models

    def refusal(self, data: LoggedData, models: Models) -> str | None:
        """Why it cannot be computed for these rounds; None where it can."""
        return None

    @abstractmethod
    def of(self, chunk: Chunk) -> FloatArray:
        """(k,) of the chunk's rounds."""


@dataclass(frozen=True)
class Reward(Column):
    """r_i."""

    def of(self, chunk: Chunk) -> FloatArray:
        reward = chunk.rows.reward
        if not np.isfinite(reward).all():
            row = int(np.argmin(np.isfinite(reward)))
            raise ValueError(f"reward: expected finite numbers, got {reward[row]} in round {chunk.first + row}")
        return reward


@dataclass(frozen=True)
class Propensity(Column):
    """π0(a_i|x_i), logged or estimated."""

    def refusal(self, data: LoggedData, models: Models) -> str | None:
        return None if models.propensity is not None else _missing(data, "propensity")

    def of(self, chunk: Chunk) -> FloatArray:
        return chunk.propensity


@dataclass(frozen=True)
class PolicyProb(Column):
    """π(a_i|x_i)."""

    def of(self, chunk: Chunk) -> FloatArray:
        return np.minimum(chunk.at_logged(chunk.action_dist), 1)


@dataclass(frozen=True)
class MostLikely(Column):
    """max_a π(a|x_i): 1 in every round of a deterministic policy."""

    def of(self, chunk: Chunk) -> FloatArray:
        return np.asarray(np.minimum(chunk.action_dist.max(axis=1), 1))


@dataclass(frozen=True)
class Weight(Column):
    """w_i = π(a_i|x_i) / π0(a_i|x_i)."""

    def refusal(self, data: LoggedData, models: Models) -> str | None:
        return Propensity().refusal(data, models)

    def of(self, chunk: Chunk) -> FloatArray:
        return PolicyProb().of(chunk) / chunk.propensity


@dataclass(frozen=True)
class QLogged(Column):
    """q̂(x_i, a_i) of a reward model by action."""

    model: ModelSpec = Q_HAT

    @property
    def needs(self) -> tuple[ModelSpec, ...]:  # type: ignore[override]
        return (self.model,)

    def of(self, chunk: Chunk) -> FloatArray:
        return chunk.at_logged(chunk.q_scores(self.model))


@dataclass(frozen=True)
class QPolicy(Column):
    """Σ_a π(a|x_i)·q̂(x_i, a)."""

    model: ModelSpec = Q_HAT

    @property
    def needs(self) -> tuple[ModelSpec, ...]:  # type: ignore[override]
        return (self.model,)

    def of(self, chunk: Chunk) -> FloatArray:
        terms = np.einsum("ka,ka->k", chunk.action_dist, chunk.q_scores(self.model), dtype=np.float64)
        return np.asarray(terms)


@dataclass(frozen=True)
class UnsupportedMass(Column):
    """Σ_a π(a|x_i)·1[π0(a|x_i) = 0]: how often the policy would do what the logging policy never does."""

    def refusal(self, data: LoggedData, models: Models) -> str | None:
        if models.propensity is not None or data.policies:
            return None
        return "logging_policy: the data carry none, which would tell what it never does"

    def of(self, chunk: Chunk) -> FloatArray:
        return np.asarray(np.where(chunk.logging_dist > 0, 0.0, chunk.action_dist).sum(axis=1, dtype=np.float64))


@dataclass(frozen=True, eq=False)
class Columns(Mapping[Column, FloatArray]):
    """Columns (n,) float64 by what they are, and what is known of the prompts beside."""

    values_by_column: Mapping[Column, FloatArray]
    policy_mass: FloatArray  # (|A|,) mean of π(a|x_i)
    logged_count: IntArray  # (|A|,) how often each prompt was logged

    def __getitem__(self, column: Column) -> FloatArray:
        return self.values_by_column[column]

    def __iter__(self) -> Iterator[Column]:
        return iter(self.values_by_column)

    def __len__(self) -> int:
        return len(self.values_by_column)


def columns_of(
    data: LoggedData,
    policy: Policy,
    columns: Collection[Column],
    models: Models | None = None,
    *,
    memory_mb: float = 256,
    progress: bool = False,
) -> Columns:
    """All of these columns, in one pass over the rounds.

    Args:
        data: logged rounds; a folder is read a part at a time.
        policy: the policy that is evaluated.
        columns: which.
        models: those that the columns need, fitted.
        memory_mb: about what the pass may take beside the columns.
        progress: show a bar where it takes long.

    Raises:
        ValueError: no rounds, rewards that are not finite, propensities outside (0, 1], or rows of probabilities that
            do not sum to 1.
    """
    out = {column: np.empty(len(data)) for column in dict.fromkeys(columns)}
    mass, count = np.zeros(data.n_actions), np.zeros(data.n_actions, np.int64)
    with progress_bar(len(data), "evaluate", progress) as bar:
        for chunk in chunks_of(data, policy, models or Models(), memory_mb):
            for column, values in out.items():
                values[chunk.first : chunk.first + len(chunk)] = _checked(column, chunk)
            mass += chunk.action_dist.sum(axis=0, dtype=np.float64)
            count += np.bincount(chunk.rows.action, minlength=data.n_actions)
            bar.update(len(chunk))
    return Columns(out, mass / len(data), count)


def _checked(column: Column, chunk: Chunk) -> FloatArray:
    values = column.of(chunk)
    assert values.shape == (len(chunk),), f"{column}: expected shape ({len(chunk)},), got {values.shape}"
    if not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values)))
        raise ValueError(f"{column}: expected finite numbers, got {values[row]} in round {chunk.first + row}")
    return values


def _missing(data: LoggedData, column: str) -> str | None:
    """Why a column of the data cannot be had; None where it can."""
    try:
        data.require_columns(column)
    except ValueError as error:
        return str(error)
    return None
