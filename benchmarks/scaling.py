"""How the cost of a step and the peak memory grow with prompts and rounds, one command: python benchmarks/scaling.py

Writes runs/scaling/scaling.csv and runs/scaling/scaling.png. The log is a uniform policy's; reward and density models
are fitted for a few steps only, since what is measured is the policy's training.
"""

from __future__ import annotations

import csv
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import tyro
from measuring import isolated

METHODS = ("IPS", "DR", "POTEC", "DSO", "SentenceDM")


@dataclass
class Args:
    out: Path = Path("runs/scaling")
    """folder for the table and the plot"""
    n_actions: tuple[int, ...] = (10, 100, 1_000, 10_000, 100_000)
    """prompts, at 8,000 rounds"""
    n: tuple[int, ...] = (500, 8_000, 100_000, 1_000_000)
    """rounds, at 1,000 prompts"""
    methods: tuple[str, ...] = METHODS
    """some of these learners"""


@dataclass(frozen=True)
class Cost:
    varied: str  # "n_actions" or "n"
    method: str
    n_actions: int
    n: int
    batch_size: int
    ms_per_step: float
    preparing_s: float  # everything before the first step: models, clusters, tables
    data_mb: float  # peak memory once the log is there
    peak_mb: float


_FIRST, _LAST = 10, 40


class _Clock:
    """A callback that notes when steps are logged."""

    def __init__(self) -> None:
        self.at: dict[int, float] = {}

    def __call__(self, step: int, metrics: Any, policy: Any) -> None:
        self.at[step] = time.perf_counter()


def fit(method: str, n_actions: int, n: int) -> tuple[float, float, float, int]:
    """Milliseconds a step, seconds before the first one, megabytes with the log alone, and the batch size."""
    import resource

    import torch

    from agents import learners
    from agents.density import DensityTraining
    from agents.reward_models import RewardTraining
    from prompt_bandits import collect
    from prompt_bandits.policies import Uniform
    from prompt_bandits.synthetic import SyntheticConfig

    torch.set_num_threads(2)
    simulator = SyntheticConfig(n_actions=n_actions).build()
    data = collect(simulator, Uniform(), n)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    few: dict[str, Any] = {"steps": _LAST, "log_every": _FIRST}
    if method in ("DR", "POTEC", "SentenceDM"):
        few["reward_training"] = RewardTraining(steps=20)
    if method == "DSO":
        few["density_training"] = DensityTraining(steps=20)
    if method == "SentenceDM":
        few["reward_classes"] = ("linear", "bilinear")
    learner = getattr(learners, method)(**few)
    clock, begin = _Clock(), time.perf_counter()
    learner.fit(data, seed=0, simulator=simulator, callback=clock)
    step = (clock.at[_LAST] - clock.at[_FIRST]) / (_LAST - _FIRST)
    return 1000 * step, clock.at[_FIRST] - begin - _FIRST * step, before, learner.batch_size


def main(args: Args) -> None:
    sizes = [("n_actions", k, 8_000) for k in args.n_actions] + [("n", 1_000, n) for n in args.n]
    costs = []
    for varied, n_actions, n in sizes:
        for method in args.methods:
            (step, preparing, before, batch), peak = isolated(partial(fit, method, n_actions, n))
            costs.append(Cost(varied, method, n_actions, n, batch, step, preparing, before, peak))
            print(
                f"{method:<11} |A| = {n_actions:>7,}  n = {n:>9,}  {step:8.2f} ms/step of {batch:>3}  "
                f"{preparing:6.1f} s before  peak {peak:6,.0f} MB ({before:,.0f} with the log alone)",
                flush=True,
            )
    args.out.mkdir(parents=True, exist_ok=True)
    with (args.out / "scaling.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(asdict(costs[0])))
        writer.writeheader()
        writer.writerows(map(asdict, costs))
    plot(costs, args.out / "scaling.png")
    print(f"saved: {args.out}/scaling.csv, {args.out}/scaling.png")


def plot(costs: list[Cost], path: Path) -> None:
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(10, 7), layout="constrained", sharex="col", sharey="row")
    for column, (varied, label) in enumerate(
        (("n_actions", "prompts (8,000 rounds)"), ("n", "rounds (1,000 prompts)"))
    ):
        for row, (name, what) in enumerate((("ms_per_step", "time a step, ms"), ("peak_mb", "peak memory, MB"))):
            ax = axes[row, column]
            for method in dict.fromkeys(cost.method for cost in costs):
                own = [cost for cost in costs if cost.varied == varied and cost.method == method]
                ax.plot([getattr(c, varied) for c in own], [getattr(c, name) for c in own], "o-", ms=4, label=method)
            ax.set(xscale="log", yscale="log")
            ax.grid(alpha=0.3, which="both", linewidth=0.5)
            ax.spines[["top", "right"]].set_visible(False)
            if column == 0:
                ax.set_ylabel(what)
            if row == 1:
                ax.set_xlabel(label)
    axes[0, 0].legend(frameon=False)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main(tyro.cli(Args))
