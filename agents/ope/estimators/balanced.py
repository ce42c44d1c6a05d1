"""Weights that need no propensities: a classifier tells what the policy would have done from what was done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from prompt_bandits.datasets import BanditDataset
from prompt_bandits.rounds import Rounds
from prompt_bandits.types import FloatArray, IntArray, Observation

from ..chunk import Chunk
from ..columns import Column, Reward, columns_of
from ..models import Fitter, ModelSpec
from .base import Named

_EXTRA = "drawn_action"


@dataclass(frozen=True)
class Drawn(Column):
    """An action a' ~ π(·|x_i), as a float."""

    seed: int

    def of(self, chunk: Chunk) -> FloatArray:
        uniform = Rounds(self.seed, chunk.first, len(chunk), "balanced").uniform("action")
        cumulative = np.cumsum(chunk.action_dist, axis=1, dtype=np.float64)
        return np.asarray((cumulative > uniform[:, None] * cumulative[:, -1:]).argmax(axis=1), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class BalancingModel:
    """ŵ(x, a) by classifiers, each fitted without its fold."""

    classifiers: Sequence[Any]
    seed: int  # of the folds

    def weight(self, rows: BanditDataset) -> FloatArray:
        """(k,) of the logged actions, each by the classifier that has not seen the row."""
        from threadpoolctl import threadpool_limits

        from ...cross_fitting import by_fold

        out = np.empty(len(rows))
        with threadpool_limits(1, "openmp"):  # on a busy machine threads that meet after every tree mostly wait
            for index, classifier in by_fold(self.classifiers, rows, self.seed):
                logit = classifier.decision_function(_features(rows.obs.take(index), rows.action[index]))
                out[index] = np.exp(np.minimum(logit, 50))
        return out


@dataclass(frozen=True)
class Balancing:
    """Gradient-boosted trees that tell (x_i, a'), a' ~ π, from (x_i, a_i); the odds are the weight."""

    name: ClassVar[str] = "balancing"
    of_policy: ClassVar[bool] = True

    def fit(self, fitter: Fitter) -> BalancingModel:
        """Raises:
        ValueError: fewer than two folds, or one without rounds.
        """
        from ...cross_fitting import fit_folds

        rounds, drawn = fitter.rounds(), Drawn(fitter.seed)
        found = columns_of(rounds, fitter.policy, [drawn], fitter.models, memory_mb=fitter.memory_mb)
        with_drawn = replace(rounds, extras={_EXTRA: found[drawn].astype(np.int64)})
        return BalancingModel(fit_folds(_classifier, with_drawn, fitter.folds, fitter.seed), fitter.seed)


def _classifier(data: BanditDataset, *, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    drawn = np.asarray(data.extras[_EXTRA])
    features = np.concatenate([_features(data.obs, data.action), _features(data.obs, drawn)])
    label = np.repeat([0, 1], len(data))
    # the mean of exp(logit + noise) is too large: trees that stop early and do not follow single rounds
    trees = HistGradientBoostingClassifier(
        learning_rate=0.05,
        max_iter=500,
        max_leaf_nodes=16,
        min_samples_leaf=50,
        l2_regularization=10.0,
        early_stopping=True,
        n_iter_no_change=10,
        random_state=seed % 2**32,
    )
    return trees.fit(features, label)


def _features(obs: Observation, action: IntArray) -> FloatArray:
    """(n, d_x + d_q + d_a)."""
    return np.concatenate([obs.features(), obs.prompts.embedding[action]], axis=1)


@dataclass(frozen=True)
class BalancingWeight(Column):
    """ŵ(x_i, a_i)."""

    needs: ClassVar[tuple[ModelSpec, ...]] = (Balancing(),)  # type: ignore[misc]

    def of(self, chunk: Chunk) -> FloatArray:
        weight: FloatArray = chunk.models.get(Balancing()).weight(chunk.rows)
        return weight


@dataclass(frozen=True)
class BalancedIPW(Named):
    """mean(ŵ·r) with ŵ = P(policy | x, a) / P(log | x, a) of a classifier (Sondhi et al., 2020).

    Needs no propensities, and is right as far as the classifier is.
    """

    short: ClassVar[str] = "balanced-ipw"

    def columns(self) -> Mapping[str, Column]:
        return {"weight": BalancingWeight(), "reward": Reward()}

    def weights(self, c: Mapping[str, FloatArray]) -> FloatArray:
        return c["weight"]

    def round_values(self, c: Mapping[str, FloatArray]) -> FloatArray:
        return c["weight"] * c["reward"]
