"""Reward models r̂(x, s) in sentence space, of the class that held-out rounds ask for.

A ridge regression on z = [x, q] and φ = φ(s), with or without their products z⊗φ, has a closed form, wants no tuning
but its penalty, and stands 500 rounds; a network fitted to what it leaves over is there for rewards that are neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from prompt_bandits.datasets import BanditDataset, StoredDataset
from prompt_bandits.rounds import Rounds, named_generator
from prompt_bandits.types import FloatArray, Observation

from .protocols import LoggedData
from .reward_models import OutputRewardModel, RewardTraining, fit_output_reward_model
from .segments import hold_out, in_memory, require_rounds

CLASSES = ("linear", "bilinear", "bilinear+mlp")
_PENALTIES = np.logspace(-1, 4.5, 23)
_FOLDS = 5
_ROWS = 1 << 16


@dataclass(frozen=True, eq=False)
class RidgeReward:
    """r̂(x, s) = [z, 1]ᵀ·W·[φ, 1] with z and φ standardised: affine in the output, so that its mean over outputs is
    its value at the mean output.
    """

    weight: FloatArray  # (d_z + 1, d_o + 1) W; of the linear class, 0 where both factors are features
    covariance: FloatArray  # (P, P) of the posterior over W, flattened
    free: FloatArray  # (P,) of what enters W, True
    z_scale: FloatArray  # (2, d_z) mean and standard deviation of context and query
    output_scale: FloatArray  # (2, d_o) of outputs
    saved_as: ClassVar[str] = "ridge_reward"

    def predict(self, obs: Observation, output: FloatArray) -> FloatArray:
        """r̂(x_i, o_i), (n,), for embeddings (n, d_o)."""
        intercept, slope = self.affine(obs)
        return np.asarray(intercept + (slope * output).sum(axis=1))

    def affine(self, obs: Observation) -> tuple[FloatArray, FloatArray]:
        """Intercept (n,) and slope (n, d_o) of r̂(x_i, ·)."""
        z = _with_one((obs.features() - self.z_scale[0]) / self.z_scale[1])
        by_output = z @ self.weight
        slope = by_output[:, :-1] / self.output_scale[1]
        return by_output[:, -1] - slope @ self.output_scale[0], slope

    def draws(self, n: int, seed: int) -> list[RidgeReward]:
        """`n` draws from the posterior over W."""
        root = np.linalg.cholesky(self.covariance + 1e-12 * np.eye(len(self.covariance)))
        normal = named_generator(seed, "posterior").standard_normal((n, len(root)))
        members = []
        for step in normal @ root.T:
            weight = self.weight.copy()
            weight[self.free] += step
            members.append(replace(self, weight=weight))
        return members


@dataclass(frozen=True, eq=False)
class CorrectedReward:
    """A ridge regression, and a network for what it leaves over."""

    ridge: RidgeReward
    rest: OutputRewardModel
    saved_as: ClassVar[str] = "corrected_reward"

    def predict(self, obs: Observation, output: FloatArray) -> FloatArray:
        """r̂(x_i, o_i), (n,), for embeddings (n, d_o)."""
        return self.ridge.predict(obs, output) + self.rest.predict(obs, output.astype(np.float32))


def fit_sentence_reward(
    data: LoggedData,
    *,
    classes: Sequence[str] = CLASSES,
    training: RewardTraining | None = None,
    seed: int,
) -> RidgeReward | CorrectedReward:
    """r̂(x, s) of the class, among `classes`, that predicts best where it was not fitted.

    "linear" and "bilinear" and their penalties are compared by five-fold cross-validation over all rounds; a network is
    taken only if it betters a held-out fifth by more than a standard error of the paired difference.

    Args:
        data: logged rounds with output embeddings, in memory or a folder; a folder is read a part at a time, and the
            network sees so many rounds as fit into `training.memory_mb`.
        classes: some of "linear", "bilinear", "bilinear+mlp".
        training: of the network.
        seed: of folds and weights.

    Raises:
        ValueError: fewer than two rounds, no output embeddings, or an unknown class.
    """
    if not classes or not set(classes) <= set(CLASSES):
        raise ValueError(f"classes: expected some of {', '.join(CLASSES)}, got {list(classes)}")
    require_rounds(data)
    data.require_columns("output")
    training = training or RewardTraining()
    linear = [name == "bilinear" for name in classes if name != "bilinear+mlp"] or [True]
    ridge = _fit_ridge(data, linear, seed)
    if "bilinear+mlp" not in classes:
        return ridge
    rows = in_memory(data, training.memory_mb, seed)
    if len(rows) >= 2 * _FOLDS and len(classes) > 1:
        train, judged = hold_out(rows, 1 / _FOLDS, seed)
        assert judged is not None
        before = _fit_ridge(train, linear, seed)
        if not _betters(_corrected(before, train, training, seed), before, judged):
            return ridge
    return _corrected(ridge, rows, training, seed)


def _corrected(ridge: RidgeReward, rows: BanditDataset, training: RewardTraining, seed: int) -> CorrectedReward:
    left = rows.reward - ridge.predict(rows.obs, rows.require_output())
    return CorrectedReward(ridge, fit_output_reward_model(replace(rows, reward=left), training, seed=seed))


def _betters(model: CorrectedReward, ridge: RidgeReward, judged: BanditDataset) -> bool:
    """Whether the network takes off more squared error than a standard error of the difference."""
    output = judged.require_output()
    before = np.square(judged.reward - ridge.predict(judged.obs, output))
    gain = before - np.square(judged.reward - model.predict(judged.obs, output))
    return bool(gain.mean() > gain.std() / np.sqrt(len(gain)))


def _fit_ridge(data: LoggedData, bilinear: Sequence[bool], seed: int) -> RidgeReward:
    """Ridge regression from sufficient statistics, so that rounds are read once and none is kept."""
    first = next(_parts(data))
    z_scale, output_scale = _scale(first.obs.features()), _scale(first.require_output())
    folds = [_Sums.empty((z_scale.shape[1] + 1) * (output_scale.shape[1] + 1)) for _ in range(_FOLDS)]
    for part in _parts(data):
        z = _with_one((part.obs.features() - z_scale[0]) / z_scale[1])
        output = _with_one((part.require_output() - output_scale[0]) / output_scale[1])
        design = (z[:, :, None] * output[:, None, :]).reshape(len(part), -1)
        fold = Rounds(seed, part.round_id, scope="fit/folds").integers("fold", _FOLDS)
        for k, sums in enumerate(folds):
            sums.add(design[fold == k], part.reward[fold == k])
    shape = (z_scale.shape[1] + 1, output_scale.shape[1] + 1)
    fits = []
    for kind in bilinear:
        free = np.ones(shape, dtype=bool)
        if not kind:
            free[:-1, :-1] = False
        fits.append((*_best_penalty([sums.some(free.ravel()) for sums in folds]), free))
    _, penalty, free = min(fits, key=lambda fit: fit[0])
    whole = _Sums.total([sums.some(free.ravel()) for sums in folds])
    weight = np.zeros(shape)
    solved, covariance = whole.solve(penalty)
    weight[free] = solved
    return RidgeReward(weight, covariance, free, z_scale, output_scale)


def _best_penalty(folds: list[_Sums]) -> tuple[float, float]:
    """The smallest cross-validated squared error, and the penalty that has it."""
    whole = _Sums.total(folds)
    errors = [
        sum(fold.error((whole - fold).solve(penalty)[0]) for fold in folds if 0 < fold.n < whole.n)
        for penalty in _PENALTIES
    ]
    best = int(np.argmin(errors))
    return float(errors[best]), float(_PENALTIES[best])


@dataclass(eq=False)
class _Sums:
    """XᵀX, Xᵀy and yᵀy of rounds; the last column of X is the intercept, which no penalty shrinks."""

    gram: FloatArray  # (P, P)
    cross: FloatArray  # (P,)
    square: float
    n: int

    @classmethod
    def empty(cls, size: int) -> _Sums:
        return cls(np.zeros((size, size)), np.zeros(size), 0.0, 0)

    @classmethod
    def total(cls, parts: list[_Sums]) -> _Sums:
        out = cls.empty(len(parts[0].cross))
        for part in parts:
            out = cls(out.gram + part.gram, out.cross + part.cross, out.square + part.square, out.n + part.n)
        return out

    def __sub__(self, other: _Sums) -> _Sums:
        return _Sums(self.gram - other.gram, self.cross - other.cross, self.square - other.square, self.n - other.n)

    def add(self, design: FloatArray, reward: FloatArray) -> None:
        self.gram += design.T @ design
        self.cross += design.T @ reward
        self.square += float(reward @ reward)
        self.n += len(reward)

    def some(self, columns: FloatArray) -> _Sums:
        return _Sums(self.gram[np.ix_(columns, columns)], self.cross[columns], self.square, self.n)

    def error(self, weight: FloatArray) -> float:
        """Σ (y − X·w)²."""
        return float(self.square - 2 * weight @ self.cross + weight @ self.gram @ weight)

    def solve(self, penalty: float) -> tuple[FloatArray, FloatArray]:
        """Coefficients, and their covariance σ²(XᵀX + λI)⁻¹."""
        shrink = np.full(len(self.cross), penalty)
        shrink[-1] = 1e-9
        inverse = np.linalg.inv(self.gram + np.diag(shrink))
        weight = inverse @ self.cross
        freedom = max(1.0, self.n - float((inverse * self.gram).sum()))
        return weight, inverse * (max(self.error(weight), 0.0) / freedom)


def _parts(data: LoggedData) -> Iterator[BanditDataset]:
    if isinstance(data, StoredDataset):
        yield from data.batches(_ROWS, columns=data.learnable_columns())
    else:
        data.check()
        for begin in range(0, len(data), _ROWS):
            yield data.take(slice(begin, begin + _ROWS))


def _scale(values: FloatArray) -> FloatArray:
    """Mean and standard deviation of each column, (2, d); 1 for constant ones."""
    deviation = values.std(axis=0, dtype=np.float64)
    return np.stack([values.mean(axis=0, dtype=np.float64), np.where(deviation > 0, deviation, 1.0)])


def _with_one(values: FloatArray) -> FloatArray:
    return np.concatenate([values, np.ones((len(values), 1))], axis=1)
