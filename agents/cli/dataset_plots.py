"""Logged rounds as pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from prompt_bandits.datasets import StoredDataset

from ..plotting import new_axes

_SIZE = (6.0, 3.5)
_BINS = 50


def plot_dataset(data: StoredDataset, folder: Path) -> list[Path]:
    """Writes PNGs of rewards, of their mean as rounds go on, of how often each prompt was shown, and of propensities
    where they are known.

    Raises:
        ImportError: matplotlib is not installed.
    """
    names = [name for name in ("reward", "action", "propensity") if name in data.columns]
    parts = list(data.columns_in_batches(names))
    columns = {name: np.concatenate([part[name] for part in parts]) for name in names}
    folder.mkdir(parents=True, exist_ok=True)
    pictures: dict[str, Callable[[Any], None]] = {
        "rewards": lambda axes: _rewards(axes, columns["reward"]),
        "mean_reward": lambda axes: _mean(axes, columns["reward"]),
        "prompts": lambda axes: _prompts(axes, np.bincount(columns["action"], minlength=data.n_actions)),
    }
    if "propensity" in columns:
        pictures["propensities"] = lambda axes: _propensities(axes, columns["propensity"], data.n_actions)
    return [_written(folder / f"{name}.png", draw) for name, draw in pictures.items()]


def _written(file: Path, draw: Callable[[Any], None]) -> Path:
    from matplotlib import pyplot

    axes = new_axes(*_SIZE)
    draw(axes)
    axes.spines[["top", "right"]].set_visible(False)
    axes.figure.savefig(file, dpi=150)
    pyplot.close(axes.figure)
    return file


def _rewards(axes: Any, reward: Any) -> None:
    axes.hist(reward, bins=_BINS)
    axes.set(xlabel="reward", ylabel="rounds", title="Rewards")


def _mean(axes: Any, reward: Any) -> None:
    n = np.arange(1, len(reward) + 1)
    mean = np.cumsum(reward) / n
    se = np.sqrt(np.maximum(np.cumsum(np.square(reward)) / n - mean**2, 0) / n)
    shown = np.unique(np.linspace(0, len(reward) - 1, 500).astype(int))
    axes.plot(n[shown], mean[shown])
    axes.fill_between(n[shown], (mean - 1.96 * se)[shown], (mean + 1.96 * se)[shown], alpha=0.2)
    axes.set(xlabel="rounds, as written", ylabel="mean reward so far", title="Mean reward, with 95% intervals")


def _prompts(axes: Any, shown: Any) -> None:
    axes.plot(np.arange(1, len(shown) + 1), np.sort(shown)[::-1], marker="." if len(shown) < _BINS else None)
    axes.set(
        xlabel="prompts, most shown first", ylabel="rounds", title="How often each prompt was shown", ylim=(0, None)
    )


def _propensities(axes: Any, propensity: Any, n_actions: int) -> None:
    low, high = float(propensity.min()), float(propensity.max())
    bins: Any = np.geomspace(low, high, _BINS) if high / low > 1.01 else 10
    axes.hist(propensity, bins=bins)
    axes.axvline(1 / n_actions, color="black", linestyle=":", label="uniform")
    axes.set(xlabel="propensity", ylabel="rounds", title="Propensities of what was shown", xscale="log")
    axes.legend(frameon=False)
