"""Whether probabilities of actions are what they say: a reliability table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from prompt_bandits.acting import dist_chunks
from prompt_bandits.datasets import BanditDataset
from prompt_bandits.protocols import Policy
from prompt_bandits.types import FloatArray, IntArray

from .all_rounds import in_parts
from .plotting import new_axes
from .propensity import PropensityModel
from .protocols import LoggedData

_FINE, _DECADES = 2400, 12  # steps of log10(p) from 1e-12 to 1, before they are merged into bins


@dataclass(frozen=True)
class CalibrationBin:
    """Rounds and prompts whose probability was said to be about this."""

    predicted: float  # mean of the probabilities
    observed: float  # share that was taken
    ratio: float  # observed / predicted; 1 where the probabilities are right
    se: float  # of the ratio, were they right


@dataclass(frozen=True)
class Calibration:
    """A reliability table; prints as text, plots."""

    bins: tuple[CalibrationBin, ...]  # of about equally many actions each, by rising probability
    error: float  # expected calibration error: the mean of |ratio − 1|, by how many actions were expected in the bin
    noise: float  # what about the error would be by chance, were the probabilities right

    def __str__(self) -> str:
        lines = [f"{'predicted':>10}  {'observed':>10}  {'observed / predicted':>20}"]
        lines.append("─" * len(lines[0]))
        for one in self.bins:
            ratio = f"{one.ratio:.3f} ± {one.se:.3f}"
            lines.append(f"{one.predicted:>10.3g}  {one.observed:>10.3g}  {ratio:>20}")
        lines.append(f"expected calibration error {self.error:.3f}; {self.noise:.3f} by chance alone")
        return "\n".join(lines)

    def plot(self, ax: Any = None) -> Any:
        """Observed against predicted probabilities, on `ax` or new axes; returns the axes.

        Raises:
            ImportError: matplotlib is not installed.
        """
        if ax is None:
            ax = new_axes(4.5, 4.2)
        predicted = [one.predicted for one in self.bins]
        ax.errorbar(
            predicted,
            [one.observed for one in self.bins],
            yerr=[one.predicted * one.se for one in self.bins],
            fmt="o",
            markersize=4,
        )
        ax.axline((predicted[0], predicted[0]), (1, 1), color="0.65", linewidth=0.8)
        ax.set(xscale="log", yscale="log", xlabel="predicted probability", ylabel="share taken ± s.e.")
        ax.spines[["top", "right"]].set_visible(False)
        return ax


def calibration(policy: Policy, data: LoggedData, *, bins: int = 10) -> Calibration:
    """How often prompts were taken whose probability a policy says to be this or that.

    Args:
        policy: what logged the rounds, or an estimate of it. Of a `PropensityModel`, each round is judged by the
            policy that has not seen it.
        data: logged rounds.
        bins: at most so many.

    Raises:
        ValueError: no bins, or no rounds.
    """
    if bins < 1:
        raise ValueError(f"bins: expected >= 1, got {bins}")
    fine = np.zeros((3, _FINE))
    for dist, action in _judged(policy, data):
        fine += _counts(dist, action)
    expected = fine[2]
    n = expected.sum()
    number = np.minimum(bins - 1, (bins * (expected.cumsum() - expected / 2) / n).astype(int))
    variance = sum((_variance(dist, number, bins) for dist, _ in _judged(policy, data)), np.zeros(bins))
    merged = np.stack([*(np.bincount(number, row, bins) for row in fine), variance])
    cells, taken, expected, variance = merged[:, merged[2] > 0]
    spread = np.sqrt(variance)
    table = zip(expected / cells, taken / cells, taken / expected, spread / expected, strict=True)
    return Calibration(
        tuple(CalibrationBin(*map(float, row)) for row in table),
        float(np.abs(taken - expected).sum() / n),
        float(np.sqrt(2 / np.pi) * spread.sum() / n),
    )


def _judged(policy: Policy, data: LoggedData) -> Iterator[tuple[FloatArray, IntArray]]:
    """Distributions (k, |A|) and the actions taken (k,), a few rows at a time."""
    for rows in in_parts(data):
        for index, own in _judges(policy, rows):
            some = rows.take(index)
            for part, dist in dist_chunks(own, some.obs):
                yield dist, some.action[part]


def _judges(policy: Policy, rows: BanditDataset) -> Iterator[tuple[IntArray, Policy]]:
    return policy.unseen(rows) if isinstance(policy, PropensityModel) else iter([(np.arange(len(rows)), policy)])


def _step(dist: FloatArray) -> IntArray:
    """Which step of log10(p) every cell is in, (k, |A|)."""
    logs = np.log10(np.maximum(dist, 10.0**-_DECADES))
    return np.minimum(_FINE - 1, ((logs / _DECADES + 1) * _FINE).astype(np.int64))


def _counts(dist: FloatArray, action: IntArray) -> FloatArray:
    """(3, _FINE): of each step of probability how many cells there are, how many were taken, and Σp."""
    step = _step(dist).ravel()
    taken = np.zeros(dist.shape)
    taken[np.arange(len(action)), action] = 1
    return np.stack([np.bincount(step, column, _FINE) for column in (None, taken.ravel(), dist.ravel())])


def _variance(dist: FloatArray, number: IntArray, bins: int) -> FloatArray:
    """(bins,) of how many would be taken: a row takes one prompt, so Σ P(1 − P) with P its probability of the bin."""
    cell = np.arange(len(dist))[:, None] * bins + number[_step(dist)]
    total = np.bincount(cell.ravel(), dist.ravel(), len(dist) * bins).reshape(-1, bins)
    return np.asarray((total * np.maximum(1 - total, 0)).sum(axis=0))
