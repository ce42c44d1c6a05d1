"""One pass over the rounds that computes every column that is asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from prompt_bandits.progress import progress_bar
from prompt_bandits.protocols import Policy
from prompt_bandits.types import FloatArray, IntArray

from ..protocols import LoggedData
from .basic_columns import (
    KnownPropensity,
    Logger,
    MostLikely,
    PolicyProb,
    Propensity,
    QLogged,
    QPolicy,
    Reward,
    UnsupportedMass,
    Weight,
)
from .chunk import Chunk, chunks_of
from .column import Column
from .models import Models

__all__ = [
    "Chunk",
    "Column",
    "Columns",
    "KnownPropensity",
    "Logger",
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
