"""Fewer dimensions for features of texts."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from prompt_bandits.types import FloatArray


@dataclass(frozen=True, eq=False)
class Reduction:
    """(x − mean)·components, the same for the texts that it was fitted to and all others.

    Raises:
        ValueError: arrays that do not fit, or are not finite.
    """

    mean: FloatArray  # (D,) f32
    components: FloatArray  # (D, d)

    def __post_init__(self) -> None:
        for name in ("mean", "components"):
            array = np.ascontiguousarray(getattr(self, name), dtype=np.float32)
            if not np.isfinite(array).all():
                raise ValueError(f"{name}: expected finite numbers, got NaN or infinity")
            object.__setattr__(self, name, array)
        if self.components.ndim != 2 or self.mean.shape != self.components.shape[:1]:
            shapes = f"{self.mean.shape} and {self.components.shape}"
            raise ValueError(f"mean, components: expected shapes (D,) and (D, d), got {shapes}")

    @property
    def dim(self) -> int:
        return int(self.components.shape[1])

    def __call__(self, states: FloatArray) -> FloatArray:
        """(n, d) f32 of features (n, D).

        Raises:
            ValueError: another D.
        """
        if states.shape[1] != len(self.mean):
            raise ValueError(f"pca: expected features of {len(self.mean)} dimensions, got {states.shape[1]}")
        return np.asarray((states - self.mean) @ self.components, dtype=np.float32)

    @classmethod
    def fit(cls, states: FloatArray, dim: int) -> Reduction:
        """The `dim` directions in which features (n, D) vary most, with n and D at least `dim`.

        Raises:
            ValueError: too few texts or dimensions.
        """
        from sklearn.decomposition import PCA

        if not 1 <= dim <= min(states.shape):
            raise ValueError(f"dim: expected 1 … {min(states.shape)} for features {states.shape}, got {dim}")
        pca = PCA(n_components=dim, random_state=0).fit(states.astype(np.float64))
        return cls(pca.mean_, pca.components_.T)

    @classmethod
    def first(cls, n_dimensions: int, dim: int) -> Reduction:
        """The first `dim` of D dimensions.

        Raises:
            ValueError: more than there are.
        """
        if not 1 <= dim <= n_dimensions:
            raise ValueError(f"dim: expected 1 … {n_dimensions}, got {dim}")
        return cls(np.zeros(n_dimensions), np.eye(n_dimensions, dim))

    @classmethod
    def from_matrix(cls, matrix: FloatArray | str | Path) -> Reduction:
        """A bare matrix (D, d) that projects without centring, or a PyTorch file of one, as OfflinePrompts has them.

        Raises:
            FileNotFoundError: no such file.
            ValueError: no matrix.
        """
        if isinstance(matrix, (str, Path)):
            matrix = _matrix_file(Path(matrix))
        return cls(np.zeros(len(matrix)), matrix)

    @property
    def fingerprint(self) -> str:
        """A short id of the numbers."""
        return sha256(self.mean.tobytes() + self.components.tobytes()).hexdigest()[:16]


def _matrix_file(file: Path) -> FloatArray:
    import torch

    if not file.is_file():
        raise FileNotFoundError(f"{file}: expected a matrix that torch.save wrote, found none")
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # of many kinds
        raise ValueError(f"{file}: expected a matrix that torch.save wrote, and no other objects") from error
    if not isinstance(found, torch.Tensor) or found.ndim != 2:
        got = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        raise ValueError(f"{file}: expected a matrix (D, d), got {got}")
    return np.asarray(found.detach().float().numpy())
