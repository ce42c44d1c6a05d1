"""Confidence sequences: intervals for a mean that hold at all times at once, however often one looks and stops."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from prompt_bandits.types import FloatArray

from .interval_type import Bounds, Interval, check_bounds, check_inside, check_level

_LARGEST_BET = 0.5


@dataclass
class BernsteinSequence:
    """For bounded values: the predictable plug-in empirical-Bernstein sequence (Waudby-Smith and Ramdas, 2024,
    Theorem 2), exact at every n.

    With probability `level` the mean is in *every* interval that it ever gives, so one may look after each round, stop
    when one likes, and intersect the intervals. Values may depend on what came before, as long as the mean of the next
    given the past is always the same. It keeps seven numbers, whatever has been fed.

    Args:
        bounds: of what a round can give; see `weighted_bounds`.
        level: the probability that all intervals hold the mean.

    Raises:
        ValueError: bounds that are none, or a level outside (0, 1).
    """

    bounds: Bounds
    level: float = 0.95
    n: int = field(default=0, init=False)
    _total: float = field(default=0.5, init=False, repr=False)  # 1/2 + Σ x, values on [0, 1]
    _squares: float = field(default=0.25, init=False, repr=False)  # 1/4 + Σ (x − μ̂)²
    _bets: float = field(default=0.0, init=False, repr=False)  # Σ λ
    _won: float = field(default=0.0, init=False, repr=False)  # Σ λ·x
    _paid: float = field(default=0.0, init=False, repr=False)  # Σ 4·(x − μ̂)²·ψ(λ)

    def __post_init__(self) -> None:
        check_bounds(self.bounds)
        check_level(self.level)

    @property
    def interval(self) -> Interval:
        """After the rounds so far; all of `bounds` before the first."""
        if self.n == 0:
            return Interval(*self.bounds, self.level, "bernstein_sequence")
        low, high = self._ends(np.array([self._bets]), np.array([self._won]), np.array([self._paid]))
        return Interval(float(low[0]), float(high[0]), self.level, "bernstein_sequence")

    def update(self, values: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Takes the next rounds; (low, high), (k,) each, is the interval after each of them.

        How the rounds are cut into calls does not matter.

        Args:
            values: (k,), or a single number.

        Raises:
            ValueError: NaN or a value out of bounds; nothing is taken then.
        """
        x = _arrived(values)
        check_inside(x, self.bounds)
        if not len(x):
            return np.empty(0), np.empty(0)
        x = np.clip((x - self.bounds[0]) / (self.bounds[1] - self.bounds[0]), 0, 1)
        t = self.n + np.arange(1, len(x) + 1)
        total = _running(self._total, x)
        miss = (x - total / (t + 1)) ** 2
        squares = _running(self._squares, miss)
        before = np.append(self._squares, squares[:-1]) / t  # variance before each round
        bet = np.minimum(np.sqrt(2 * self._confidence / (before * t * np.log1p(t))), _LARGEST_BET)
        surprise = (x - np.append(self._total, total[:-1]) / t) ** 2
        bets, won = _running(self._bets, bet), _running(self._won, bet * x)
        paid = _running(self._paid, surprise * (-np.log1p(-bet) - bet))
        self.n += len(x)
        self._total, self._squares = float(total[-1]), float(squares[-1])
        self._bets, self._won, self._paid = float(bets[-1]), float(won[-1]), float(paid[-1])
        return self._ends(bets, won, paid)

    @property
    def _confidence(self) -> float:
        return math.log(2 / (1 - self.level))

    def _ends(self, bets: FloatArray, won: FloatArray, paid: FloatArray) -> tuple[FloatArray, FloatArray]:
        low, high = self.bounds
        centre, half = won / bets, (self._confidence + paid) / bets
        ends = np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)
        return low + (high - low) * ends[0], low + (high - low) * ends[1]


@dataclass
class AsymptoticSequence:
    """For values without known bounds: the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and
    Ramdas (2024), Theorem 2.2, to an interval by the central limit theorem what `BernsteinSequence` is to Bernstein's.

    μ̂ ± σ̂·√(2(nρ² + 1)/(n²ρ²)·log(√(nρ² + 1)/α)). With probability about `level` the mean is in every interval from
    `start` on, the nearer the later it starts; before, there is none: (−∞, ∞).

    Args:
        level: the probability that all intervals hold the mean.
        start: the first number of rounds at which it speaks; weights with few large ones want a later one.
        tightest_at: the number of rounds at which it is to be narrowest, which ρ follows from.

    Raises:
        ValueError: a level outside (0, 1), start below 2 or tightest_at below 1.
    """

    level: float = 0.95
    start: int = 100
    tightest_at: int = 10_000
    n: int = field(default=0, init=False)
    _origin: float = field(default=0.0, init=False, repr=False)  # the first value, which keeps sums of squares small
    _total: float = field(default=0.0, init=False, repr=False)  # Σ (x − origin)
    _squares: float = field(default=0.0, init=False, repr=False)  # Σ (x − origin)²

    def __post_init__(self) -> None:
        check_level(self.level)
        if self.start < 2:
            raise ValueError(f"start: expected at least 2 rounds, got {self.start}")
        if self.tightest_at < 1:
            raise ValueError(f"tightest_at: expected at least 1 round, got {self.tightest_at}")

    @property
    def interval(self) -> Interval:
        """After the rounds so far; (−∞, ∞) before `start`."""
        n = np.array([max(self.n, 1.0)])
        low, high = self._ends(n, np.array([self._total]), np.array([self._squares]))
        return Interval(float(low[0]), float(high[0]), self.level, "asymptotic_sequence")

    def update(self, values: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Takes the next rounds; (low, high), (k,) each, is the interval after each of them.

        Args:
            values: (k,), or a single number.

        Raises:
            ValueError: NaN or infinity; nothing is taken then.
        """
        x = _arrived(values)
        if not len(x):
            return np.empty(0), np.empty(0)
        if self.n == 0:
            self._origin = float(x[0])
        n = self.n + np.arange(1.0, len(x) + 1)
        total = _running(self._total, x - self._origin)
        squares = _running(self._squares, (x - self._origin) ** 2)
        self.n, self._total, self._squares = int(n[-1]), float(total[-1]), float(squares[-1])
        return self._ends(n, total, squares)

    def _ends(self, n: FloatArray, total: FloatArray, squares: FloatArray) -> tuple[FloatArray, FloatArray]:
        mean = total / n
        spread = np.sqrt((squares / n - mean**2).clip(0))
        half = np.where(n < self.start, np.inf, spread * self._radius(n))
        return self._origin + mean - half, self._origin + mean + half

    def _radius(self, n: FloatArray) -> FloatArray:
        """Half the width for values of variance 1."""
        from scipy.special import lambertw

        alpha = 1 - self.level
        rho2 = (-lambertw(-(alpha**2) / math.e, -1).real - 1) / self.tightest_at  # their appendix on choosing ρ
        grown = n * rho2 + 1
        return np.asarray(np.sqrt(2 * grown / (n**2 * rho2) * np.log(np.sqrt(grown) / alpha)))


def _arrived(values: ArrayLike) -> FloatArray:
    x = np.atleast_1d(np.asarray(values, dtype=np.float64))
    if x.ndim != 1:
        raise ValueError(f"values: expected shape (k,), got {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError(f"values: expected numbers, got {(~np.isfinite(x)).sum()} NaN or infinite of {len(x)}")
    return x


def _running(start: float, terms: FloatArray) -> FloatArray:
    """start + the sum of the terms so far, (k,)."""
    return np.asarray(start + np.cumsum(terms))
