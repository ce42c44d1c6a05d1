"""The published figures, as data.

From Kiyohara et al. (2025, arXiv 2504.02646): the three sweeps are computed from the per-seed results that the authors
committed beside their code (Apache-2.0), 20 worlds each; policy values there are Monte Carlo means over 10,000
contexts, s.e. about .005. The kernel bandwidths are read off the figure of the ablation, to about .02, and have no
standard error.

DSO's figures in `reward_noise` at 0, 2 and 3 are lower bounds: its density model was fitted for another noise level.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from prompt_bandits.types import optimality

from .results import Run, Value

SOURCE = "Kiyohara et al. (2025, arXiv 2504.02646)"
_COLUMNS = {
    "uniform": "uniform",
    "logging": "logging",
    "optimal": "optimal",
    "online_reinforce": "online",
    "regression": "regression-based (single)",
    "regression_greedy": "greedy",
    "ips": "IS-based (single)",
    "dr": "hybrid (single)",
    "potec": "hybrid (fixed-action)",
    "dso": "IS-based (dso)",
}
_PER_SEED = ("data_size", "candidate_actions", "reward_noise")
_DEFAULT = ("data_size", 8000.0)
_ALSO_DEFAULT = ("kernel_bandwidth", "logging_policy", "reward_regression", "output_noise")
_DEFAULT_VALUES = {"default": None, **dict.fromkeys(_ALSO_DEFAULT, 1.0)}
_LOWER_BOUNDS = {("reward_noise", value, "dso") for value in (0.0, 2.0, 3.0)}


@dataclass(frozen=True)
class PublishedMean:
    """Optimality over the published worlds."""

    optimality: float
    se: float | None  # None: read off a figure
    lower_bound: bool = False


@dataclass(frozen=True)
class PublishedSeed:
    """One published world."""

    policy_value: float
    optimality: float


def published_mean(setting: str, value: Value, method: str) -> PublishedMean | None:
    """Mean ± s.e. of a method in a setting at a value; None where nothing was published.

    A setting's value that is everybody's default, such as `logging_policy` at 1, has the figures of the default.
    """
    return _means().get((*_where(setting, value), method)) or _means().get((setting, value, method))


def published_beside(run: Run, value: Value, method: str) -> PublishedMean | None:
    """What was published of a method at a value, to stand beside the run's; None where that is of other problems."""
    return published_mean(run.setting, value, method) if run.is_as_published else None


def published_seed(setting: str, value: Value, method: str, world_seed: int) -> PublishedSeed | None:
    """A method in one world; None where nothing was published."""
    return _seeds().get((*_where(setting, value), method, world_seed))


def _where(setting: str, value: Value) -> tuple[str, Value]:
    return _DEFAULT if setting in _DEFAULT_VALUES and value == _DEFAULT_VALUES[setting] else (setting, value)


@cache
def _means() -> dict[tuple[str, Value, str], PublishedMean]:
    means: dict[tuple[str, Value, str], PublishedMean] = {}
    for row in _rows("optimality.csv"):
        key = (row["setting"], float(row["value"]), row["method"])
        means[key] = PublishedMean(float(row["optimality_mean"]), float(row["optimality_se"]), key in _LOWER_BOUNDS)
    for row in _rows("kernel_bandwidth_read_off.csv"):
        means["kernel_bandwidth", float(row["value"]), row["method"]] = PublishedMean(float(row["optimality"]), None)
    return means


@cache
def _seeds() -> dict[tuple[str, Value, str, int], PublishedSeed]:
    found: dict[tuple[str, Value, str, int], PublishedSeed] = {}
    for setting in _PER_SEED:
        for row in _rows(f"{setting}_per_seed.csv"):
            uniform, optimal = float(row["uniform"]), float(row["optimal"])
            for method, column in _COLUMNS.items():
                key = (setting, float(row["target_value"]), method, int(row["random_state"]))
                value = float(row[column])
                found[key] = PublishedSeed(value, optimality(value, uniform, optimal))
    return found


def _rows(name: str) -> list[dict[str, str]]:
    text = files(__package__).joinpath("published", name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
