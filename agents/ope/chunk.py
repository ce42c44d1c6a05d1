"""Some logged rounds, and what is expensive to know of them, computed once for all who ask."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from prompt_bandits.acting import check_action_dist, prob
from prompt_bandits.datasets import BanditDataset
from prompt_bandits.protocols import Policy
from prompt_bandits.types import BoolArray, FloatArray, IntArray

from ..protocols import LoggedData
from .models import Q_HAT, Models, ModelSpec
from .policies import ActionDist

_CELLS_PER_MB = 1 << 13  # rounds × prompts: sixteen arrays of them live at a time
_ROWS = 1 << 16


@dataclass(eq=False)
class Chunk:
    """k logged rounds, one policy and the models. Arrays are not to be written to."""

    rows: BanditDataset
    policy: Policy
    models: Models
    first: int = 0  # the number of its first round in the data
    _kept: dict[Hashable, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def action_dist(self) -> FloatArray:
        """π(·|x_i), (k, |A|).

        Raises:
            ValueError: it is no distribution.
        """
        policy = self.policy
        known = isinstance(policy, ActionDist)
        dist = policy.at(self.first, len(self)) if isinstance(policy, ActionDist) else policy.action_dist(self.rows.obs)
        try:
            check_action_dist(dist, (len(self), self.rows.n_actions))
        except ValueError as error:
            where = f"rounds {self.first} … {self.first + len(self) - 1} of the array" if known else repr(policy)
            raise ValueError(f"{error} ({where})") from error
        return dist

    @cached_property
    def logging_dist(self) -> FloatArray:
        """π0(·|x_i), (k, |A|): the estimate, where propensities are estimated.

        Raises:
            ValueError: the data carry no logging policy.
        """
        model = self.models.propensity
        if model is None:
            return self.rows.logging_dist()
        out = np.empty((len(self), self.rows.n_actions))
        for index, policy in model.unseen(self.rows):
            out[index] = policy.action_dist(self.rows.obs.take(index))
        return out

    @cached_property
    def propensity(self) -> FloatArray:
        """π0(a_i|x_i), (k,), logged or estimated.

        Raises:
            ValueError: unknown, or not in (0, 1].
        """
        model = self.models.propensity
        p = self.rows.require_propensity() if model is None else model.out_of_fold(self.rows)
        if not (p > 0).all() or p.max() > 1:
            row = int(np.argmin((p > 0) & (p <= 1)))
            raise ValueError(f"propensity: expected values in (0, 1], got {p[row]} in round {self.first + row}")
        return p

    def logger_probs(self) -> FloatArray:
        """π_l(a_i|x_i) of every logging policy that the data carry, (k, L)."""
        policies = self.rows.require_logging_policies()
        return np.stack([prob(policy, self.rows.obs, self.rows.action) for policy in policies], axis=1)

    def any_logger(self) -> BoolArray:
        """(k, |A|), whether any of the logging policies that the data carry might take the action."""
        policies, obs = self.rows.require_logging_policies(), self.rows.obs
        return np.asarray(np.logical_or.reduce([policy.action_dist(obs) > 0 for policy in policies]))

    def q_scores(self, spec: ModelSpec = Q_HAT) -> FloatArray:
        """q̂(x_i, a), (k, |A|), of a model by action; of a cross-fitted one by those that have not seen the round."""
        scores: FloatArray = self.kept((spec, "scores"), lambda: self._q_scores(spec))
        return scores

    def _q_scores(self, spec: ModelSpec) -> FloatArray:
        parts = list(unseen_models(self.models.get(spec), self.rows))
        if len(parts) == 1:
            return np.asarray(parts[0][1].scores(self.rows.obs))
        out = np.empty((len(self), self.rows.n_actions))
        for index, model in parts:
            out[index] = model.scores(self.rows.obs.take(index))
        return out

    def kept(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """What `compute` gave when it was first asked for under this key in this chunk."""
        if key not in self._kept:
            self._kept[key] = compute()
        return self._kept[key]

    def at_logged(self, table: FloatArray) -> FloatArray:
        """The entries (k,) of the logged actions in a table (k, |A|)."""
        return np.asarray(table[np.arange(len(self)), self.rows.action], dtype=np.float64)


def unseen_models(model: Any, rows: BanditDataset) -> Iterator[tuple[IntArray, Any]]:
    """Row numbers, and the model to ask about them: of a cross-fitted one those that have not seen the rows."""
    if hasattr(model, "unseen"):
        yield from model.unseen(rows)
    else:
        yield np.arange(len(rows)), model


def chunks_of(data: LoggedData, policy: Policy, models: Models, memory_mb: float = 256) -> Iterator[Chunk]:
    """All rounds in their order, a few at a time.

    Raises:
        ValueError: no rounds, or an array of probabilities for another number of rounds.
    """
    n = len(data)
    if not n:
        raise ValueError("data: expected at least one round, got none")
    if isinstance(policy, ActionDist) and len(policy) != n:
        raise ValueError(f"action_dist: known for {len(policy)} rounds, asked about {n}")
    k = max(1, min(_ROWS, int(memory_mb * _CELLS_PER_MB / data.n_actions)))
    first = 0
    for rows in _parts(data, k):
        yield Chunk(rows, policy, models, first)
        first += len(rows)


def _parts(data: LoggedData, k: int) -> Iterator[BanditDataset]:
    if isinstance(data, BanditDataset):
        return (data.take(slice(begin, begin + k)) for begin in range(0, len(data), k))
    return data.batches(k, columns=data.learnable_columns())
