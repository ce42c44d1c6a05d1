"""Several seeds of a run: mean curves with intervals, and a plot of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from prompt_bandits.types import FloatArray, IntArray

from ..plotting import new_axes
from .playing import OnlineRun, play_online
from .protocols import OnlineLearner, World

_POINTS = 200


@dataclass(frozen=True, eq=False)
class Band:
    """A mean over seeds, and where it lies (Student's t)."""

    rounds: IntArray  # (k,) after how many
    mean: FloatArray  # (k,)
    low: FloatArray  # (k,)
    high: FloatArray  # (k,)

    @classmethod
    def of(cls, rounds: IntArray, values: FloatArray, level: float) -> Band:
        """Of values (seeds, k).

        Raises:
            ValueError: fewer than two seeds, or a level outside (0, 1).
        """
        from scipy.stats import t

        if len(values) < 2 or not 0 < level < 1:
            raise ValueError(f"expected at least two seeds and a level in (0, 1), got {len(values)} and {level}")
        mean = values.mean(axis=0)
        half = t.ppf((1 + level) / 2, len(values) - 1) * values.std(axis=0, ddof=1) / np.sqrt(len(values))
        return cls(rounds, mean, mean - half, mean + half)


@dataclass(frozen=True, eq=False)
class RepeatedRuns:
    """The same learner and number of rounds under several seeds."""

    runs: tuple[OnlineRun, ...]

    def regret(self, level: float = 0.95) -> Band:
        """Cumulative regret. Raises as `OnlineRun.require_regret` and `Band.of`."""
        return self._summed([run.require_regret() for run in self.runs], level)

    def reward(self, level: float = 0.95) -> Band:
        """Cumulative reward. Raises as `Band.of`."""
        return self._summed([run.reward for run in self.runs], level)

    def mean_reward(self, last: int | None = None, level: float = 0.95) -> Band:
        """The mean reward of the last so many rounds, all unless told: a band of one point. Raises as `Band.of`."""
        n = len(self.runs[0])
        kept = np.array([[run.reward[-(last or n) :].mean()] for run in self.runs])
        return Band.of(np.array([n]), kept, level)

    def _summed(self, values: Sequence[FloatArray], level: float) -> Band:
        n = len(values[0])
        shown = np.unique(np.linspace(1, n, min(n, _POINTS)).astype(np.int64))
        return Band.of(shown, np.cumsum(np.stack(values), axis=1)[:, shown - 1], level)


def play_seeds(
    world: World | gym.Env[Any, Any],
    make: Callable[[], OnlineLearner],
    n: int,
    seeds: Sequence[int],
    batch: int = 1,
    *,
    progress: bool = True,
) -> RepeatedRuns:
    """`play_online` with a new learner for each seed. Raises as that, and for no seeds."""
    if not seeds:
        raise ValueError("seeds: expected at least one, got none")
    return RepeatedRuns(tuple(play_online(world, make(), n, seed, batch, progress=progress) for seed in seeds))


def plot_bands(bands: Mapping[str, Band], ylabel: str, ax: Any = None) -> Any:
    """A line with its interval for each name, on `ax` or new axes; returns the axes.

    Raises:
        ImportError: matplotlib is not installed.
    """
    ax = new_axes(6.5, 4) if ax is None else ax
    for name, band in bands.items():
        (line,) = ax.plot(band.rounds, band.mean, label=name)
        ax.fill_between(band.rounds, band.low, band.high, color=line.get_color(), alpha=0.2, linewidth=0)
    ax.set_xlabel("rounds")
    ax.set_ylabel(ylabel)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False)
    return ax
