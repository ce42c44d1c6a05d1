"""Ridge regressions that are brought up to date with every reward."""

from __future__ import annotations

import numpy as np

from prompt_bandits.types import FloatArray, IntArray


class Ridge:
    """k independent ridge regressions of d features.

    A = λI + Σ φφᵀ, b = Σ r·φ, θ̂ = A⁻¹b; for each of them θ | data ~ N(θ̂, A⁻¹) under a prior N(0, I/λ) and noise of
    variance 1 (Li et al., 2010, algorithm 1; Agrawal and Goyal, 2013, algorithm 1; both have λ = 1).

    Attributes:
        precision: A, (k, d, d).
        moment: b, (k, d).
        theta: θ̂, (k, d).
        root: a square root R of A⁻¹ = R·Rᵀ, (k, d, d).
        inverse: A⁻¹, (k, d, d).
    """

    def __init__(self, k: int, d: int, ridge: float) -> None:
        self.precision: FloatArray = np.tile(ridge * np.eye(d), (k, 1, 1))
        self.moment: FloatArray = np.zeros((k, d))
        self.theta: FloatArray = np.zeros((k, d))
        self.root: FloatArray = np.tile(np.eye(d) / np.sqrt(ridge), (k, 1, 1))
        self.inverse: FloatArray = np.tile(np.eye(d) / ridge, (k, 1, 1))

    def add(self, index: IntArray, features: FloatArray, reward: FloatArray) -> None:
        """Takes in rounds: features (n, d) and rewards (n,), each for the regression `index` (n,)."""
        for touched in np.unique(index):
            rows = features[index == touched]
            self.precision[touched] += rows.T @ rows
            self.moment[touched] += reward[index == touched] @ rows
        self._solve(np.unique(index))

    def _solve(self, touched: IntArray) -> None:
        """θ̂ and A⁻¹ anew where A has changed, by A = L·Lᵀ and R = L⁻ᵀ: O(d³) each."""
        lower = np.linalg.cholesky(self.precision[touched])
        root = np.swapaxes(np.linalg.inv(lower), 1, 2)
        self.root[touched], self.inverse[touched] = root, root @ np.swapaxes(root, 1, 2)
        self.theta[touched] = np.einsum("kde,ke->kd", self.inverse[touched], self.moment[touched])


def outer_products(rows: FloatArray) -> FloatArray:
    """vec(x·xᵀ) of each row, (n, d²): xᵀAx is then its product with vec(A)."""
    products: FloatArray = (rows[:, :, None] * rows[:, None, :]).reshape(len(rows), -1)
    return products


def with_constant(features: FloatArray) -> FloatArray:
    """(1, x) of each row, (n, 1 + d), float64."""
    return np.concatenate([np.ones((len(features), 1)), features], axis=1, dtype=np.float64)
