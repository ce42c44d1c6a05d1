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
from prompt_bandits.rounds import named_generator
from prompt_bandits.types import FloatArray, Observation

from .folds import fold_of
from .protocols import LoggedData
from .reward_models import OutputRewardModel, RewardTraining, fit_output_reward_model
from .segments import hold_out, in_memory, require_rounds

CLASSES = ("linear", "bilinear", "bilinear+mlp")
_PENALTIES = np.logspace(-1, 4.5, 23)
_FOLDS = 5
_MOST_FEATURES = 32  # of context and query, and of outputs; beyond that, their first principal components
_CELLS = 1 << 23  # rounds × features worked on at a time


@dataclass(frozen=True, eq=False)
class RidgeReward:
    """r̂(x, s) = [z, 1]ᵀ·W·[φ, 1] with z and φ standardised: affine in the output, so that its mean over outputs is
    its value at the mean output.
    """

    weight: FloatArray  # (k_z + 1, k_o + 1) W; of the linear class, 0 where both factors are features
    covariance: FloatArray  # (P, P) of the posterior over W, flattened
    free: FloatArray  # (k_z + 1, k_o + 1) True where W is fitted, P times
    z_mean: FloatArray  # (d_z,) of context and query
    z_map: FloatArray  # (d_z, k_z) that standardises them, and projects them where they are many
    output_mean: FloatArray  # (d_o,)
    output_map: FloatArray  # (d_o, k_o)
    saved_as: ClassVar[str] = "ridge_reward"

    def predict(self, obs: Observation, output: FloatArray) -> FloatArray:
        """r̂(x_i, o_i), (n,), for embeddings (n, d_o)."""
        intercept, slope = self.affine(obs)
        return np.asarray(intercept + (slope * output).sum(axis=1))

    def affine(self, obs: Observation) -> tuple[FloatArray, FloatArray]:
        """Intercept (n,) and slope (n, d_o) of r̂(x_i, ·)."""
        by_output = _with_one((obs.features() - self.z_mean) @ self.z_map) @ self.weight
        slope = by_output[:, :-1] @ self.output_map.T
        return by_output[:, -1] - slope @ self.output_mean, slope

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

    "linear" and "bilinear" and their penalties are compared by five-fold cross-validation over all rounds; a network,
    on what the bilinear one leaves over, is taken only if it betters a held-out fifth by more than a standard error of
    the paired difference. More than 32 features of context and query, or of outputs, are reduced to so many principal
    components.

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
    ridges = [name for name in classes if name != _NETWORK]
    if _NETWORK not in classes:
        return _fit_ridge(data, ridges, seed)
    rows = in_memory(data, training.memory_mb, seed)
    if ridges and not _network_betters(rows, ridges, training, seed):
        return _fit_ridge(data, ridges, seed)
    return _corrected(_fit_ridge(data, ["bilinear"], seed), rows, training, seed)


_NETWORK = "bilinear+mlp"


def _corrected(ridge: RidgeReward, rows: BanditDataset, training: RewardTraining, seed: int) -> CorrectedReward:
    left = rows.reward - ridge.predict(rows.obs, rows.require_output())
    return CorrectedReward(ridge, fit_output_reward_model(replace(rows, reward=left), training, seed=seed))


def _network_betters(rows: BanditDataset, ridges: Sequence[str], training: RewardTraining, seed: int) -> bool:
    """Whether the network takes off more held-out squared error than a standard error of the difference; on too few
    rounds to tell, it does not.
    """
    if len(rows) < 2 * _FOLDS:
        return False
    train, judged = hold_out(rows, 1 / _FOLDS, seed)
    assert judged is not None
    models = (_fit_ridge(train, ridges, seed), _corrected(_fit_ridge(train, ["bilinear"], seed), train, training, seed))
    before, after = (np.square(judged.reward - model.predict(judged.obs, judged.require_output())) for model in models)
    gain = before - after
    return bool(gain.mean() > gain.std() / np.sqrt(len(gain)))


def _fit_ridge(data: LoggedData, kinds: Sequence[str], seed: int) -> RidgeReward:
    """Ridge regression from sufficient statistics, so that rounds are read once and none is kept."""
    first = next(_parts(data, _CELLS))
    z_mean, z_map = _standardised(first.obs.features())
    output_mean, output_map = _standardised(first.require_output())
    shape = (z_map.shape[1] + 1, output_map.shape[1] + 1)
    size = shape[0] * shape[1]
    folds = [_Sums.empty(size) for _ in range(_FOLDS)]
    for part in _parts(data, max(256, _CELLS // size)):
        z = _with_one((part.obs.features() - z_mean) @ z_map)
        output = _with_one((part.require_output() - output_mean) @ output_map)
        design = (z[:, :, None] * output[:, None, :]).reshape(len(part), -1)
        fold = fold_of(part, _FOLDS, seed)
        for k, sums in enumerate(folds):
            sums.add(design[fold == k], part.reward[fold == k])
    fits = []
    for kind in kinds:
        free = np.ones(shape, dtype=bool)
        free[:-1, :-1] = kind == "bilinear"
        fits.append((*_best_penalty([sums.some(free.ravel()) for sums in folds]), free))
    _, penalty, free = min(fits, key=lambda fit: fit[0])
    weight = np.zeros(shape)
    weight[free], covariance = _Sums.total([sums.some(free.ravel()) for sums in folds]).solve(penalty)
    return RidgeReward(weight, covariance, free, z_mean, z_map, output_mean, output_map)


def _best_penalty(folds: list[_Sums]) -> tuple[float, float]:
    """The smallest cross-validated squared error, and the penalty that has it."""
    whole = _Sums.total(folds)
    errors = np.zeros(len(_PENALTIES))
    for fold in folds:
        if 0 < fold.n < whole.n:
            errors += [fold.error(weight) for weight in (whole - fold).path(_PENALTIES)]
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

    def path(self, penalties: FloatArray) -> list[FloatArray]:
        """Coefficients for each penalty, by one eigendecomposition of the centred XᵀX."""
        gram, cross, mean = self._centred()
        values, vectors = np.linalg.eigh(gram)
        turned = vectors.T @ cross
        level = self.cross[-1] / self.n
        slopes = [vectors @ (turned / (np.maximum(values, 0) + penalty)) for penalty in penalties]
        return [np.append(slope, level - mean @ slope) for slope in slopes]

    def solve(self, penalty: float) -> tuple[FloatArray, FloatArray]:
        """Coefficients, and their covariance σ²(XᵀX + λI)⁻¹."""
        (weight,) = self.path(np.array([penalty]))
        shrink = np.full(len(self.cross), penalty)
        shrink[-1] = 1e-9
        inverse = np.linalg.inv(self.gram + np.diag(shrink))
        freedom = max(1.0, self.n - float((inverse * self.gram).sum()))
        return weight, inverse * (max(self.error(weight), 0.0) / freedom)

    def _centred(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Without the intercept: XᵀX and Xᵀy about the mean, and the mean of X."""
        mean = self.gram[-1, :-1] / self.n
        gram = self.gram[:-1, :-1] - self.n * np.outer(mean, mean)
        return gram, self.cross[:-1] - mean * self.cross[-1], mean


def _parts(data: LoggedData, rows: int) -> Iterator[BanditDataset]:
    if isinstance(data, StoredDataset):
        yield from data.batches(min(rows, _ROWS), columns=data.learnable_columns())
    else:
        data.check()
        for begin in range(0, len(data), min(rows, _ROWS)):
            yield data.take(slice(begin, begin + min(rows, _ROWS)))


_ROWS = 1 << 16


def _standardised(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean (d,) and a map (d, k) to columns of variance 1, or to principal components of those that are many."""
    mean, deviation = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
    scale = np.diag(1 / np.where(deviation > 0, deviation, 1.0))
    if len(mean) <= _MOST_FEATURES:
        return mean, scale
    _, vectors = np.linalg.eigh(np.cov((values - mean) @ scale, rowvar=False))
    return mean, scale @ vectors[:, : -_MOST_FEATURES - 1 : -1]


def _with_one(values: FloatArray) -> FloatArray:
    return np.concatenate([values, np.ones((len(values), 1))], axis=1)
