"""The columns that most estimators look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from prompt_bandits.types import FloatArray

from ..protocols import LoggedData
from .chunk import Chunk
from .column import Column
from .models import LOGGER_SHARES, Q_HAT, Models, ModelSpec

LOGGERS = ("naive", "balanced")
"""Whose probability a weight divides by, where several policies logged: the round's own one, or their average."""


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
class KnownPropensity(Column):
    """π0(a_i|x_i), and 0 where it is unknown."""

    def of(self, chunk: Chunk) -> FloatArray:
        known = chunk.models.propensity is not None or chunk.rows.propensity is not None
        return chunk.propensity if known else np.zeros(len(chunk))


@dataclass(frozen=True)
class Logger(Column):
    """Which of the logging policies logged the round, as a float."""

    def of(self, chunk: Chunk) -> FloatArray:
        ids = chunk.rows.policy_id
        return np.zeros(len(chunk)) if ids is None else ids.astype(np.float64)


@dataclass(frozen=True)
class Weight(Column):
    """w_i = π(a_i|x_i) / π0(a_i|x_i), where π0 is the policy that logged the round, or (`loggers="balanced"`) the
    average of all that logged, Σ_l n_l/n·π_l (Agarwal et al., 2017).

    Estimated propensities are those of the average in either case.
    """

    loggers: str = "naive"

    @property
    def needs(self) -> tuple[ModelSpec, ...]:  # type: ignore[override]
        return (LOGGER_SHARES,) if self.loggers == "balanced" else ()

    def refusal(self, data: LoggedData, models: Models) -> str | None:
        if self.loggers == "naive" or models.propensity is not None:
            return Propensity().refusal(data, models)
        return _no_logging_policies(data)

    def of(self, chunk: Chunk) -> FloatArray:
        naive = self.loggers == "naive" or chunk.models.propensity is not None
        propensity = chunk.propensity if naive else chunk.logger_probs() @ chunk.models.get(LOGGER_SHARES)
        return PolicyProb().of(chunk) / propensity


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
    models_reward: ClassVar[bool] = True

    @property
    def needs(self) -> tuple[ModelSpec, ...]:  # type: ignore[override]
        return (self.model,)

    def of(self, chunk: Chunk) -> FloatArray:
        terms = np.einsum("ka,ka->k", chunk.action_dist, chunk.q_scores(self.model), dtype=np.float64)
        return np.asarray(terms)


@dataclass(frozen=True)
class UnsupportedMass(Column):
    """Σ_a π(a|x_i)·1[π0(a|x_i) = 0]: how often the policy would do what the logging policy never does; of "balanced"
    loggers, what none of them does.
    """

    loggers: str = "naive"

    def refusal(self, data: LoggedData, models: Models) -> str | None:
        return None if models.propensity is not None else _no_logging_policies(data)

    def of(self, chunk: Chunk) -> FloatArray:
        every = self.loggers == "balanced" and chunk.models.propensity is None
        seen = chunk.any_logger() if every else chunk.logging_dist > 0
        return np.asarray(np.where(seen, 0.0, chunk.action_dist).sum(axis=1, dtype=np.float64))


def _no_logging_policies(data: LoggedData) -> str | None:
    return None if data.policies else "logging_policy: needed here, but this dataset carries none"


def _missing(data: LoggedData, column: str) -> str | None:
    """Why a column of the data cannot be had; None where it can."""
    try:
        data.require_columns(column)
    except ValueError as error:
        return str(error)
    return None
