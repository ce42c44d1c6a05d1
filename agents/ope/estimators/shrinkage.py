"""Estimators whose weights are made smaller smoothly, the large ones more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from prompt_bandits.types import FloatArray

from .doubly_robust import WeightsResiduals
from .transforms import check_not_negative, check_share, shrunk, sub_gaussian, sub_gaussian_lambda
from .weighting import Weighting, smaller_known


@dataclass(frozen=True)
class _SubGaussian(Weighting):
    lambda_: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_share("lambda_", self.lambda_)

    def tamed(self, weight: FloatArray) -> FloatArray:
        return sub_gaussian(weight, sub_gaussian_lambda(weight) if self.lambda_ is None else self.lambda_)

    def largest_tamed(self, largest: float | None) -> float | None:
        if self.lambda_ is None or self.lambda_ == 0:
            return largest
        return smaller_known(largest, 1 / self.lambda_)


@dataclass(frozen=True)
class SubGaussianIPS(_SubGaussian):
    """mean(w_λ·r) with w_λ = w / (1 − λ + λ·w) (Metelli et al., 2021): errors with Gaussian tails whatever the weights.

    λ = 0 is IPS, λ = 1 the mean of the logged rewards. None: their choice, √(2·log(1/δ) / (3·n·E[w²])) with δ = 0.05.

    Raises:
        ValueError: λ outside [0, 1], or other loggers than "naive" and "balanced".
    """

    short: ClassVar[str] = "sub-gaussian-ips"


@dataclass(frozen=True)
class SubGaussianDR(_SubGaussian, WeightsResiduals):
    """DR with the weights of `SubGaussianIPS`. Raises as that."""

    short: ClassVar[str] = "sub-gaussian-dr"


@dataclass(frozen=True)
class _Shrunk(Weighting):
    lambda_: float = 100.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_negative("lambda_", self.lambda_)

    def tamed(self, weight: FloatArray) -> FloatArray:
        return shrunk(weight, self.lambda_)

    def largest_tamed(self, largest: float | None) -> float | None:
        return largest if np.isinf(self.lambda_) else float(np.sqrt(self.lambda_) / 2)


@dataclass(frozen=True)
class ShrunkIPS(_Shrunk):
    """mean(w_λ·r) with w_λ = λ·w / (w² + λ), the weights of `DRos` without its reward model. λ = ∞ is IPS.

    Raises:
        ValueError: a negative λ, or other loggers than "naive" and "balanced".
    """

    short: ClassVar[str] = "shrunk-ips"


@dataclass(frozen=True)
class DRos(_Shrunk, WeightsResiduals):
    """DR with w_λ = λ·w / (w² + λ), optimistic shrinkage (Su et al., 2020): λ = ∞ is DR, λ = 0 the direct method.

    Raises:
        ValueError: a negative λ, or other loggers than "naive" and "balanced".
    """

    short: ClassVar[str] = "dros"
