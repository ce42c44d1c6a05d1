"""Judges estimators of policy values in synthetic worlds, where the truth is known, and writes tables, plots and a
report.

Every world × number of prompts × number of rounds × dataset is a log; every estimator says of every log what every
policy would earn. A run that was stopped goes on with the same command, or with --out alone.

examples:
  prompt-bandits ope-benchmark --quick --out runs/ope-first-look
  prompt-bandits ope-benchmark --n 10000 --estimators ips dr 'ips[clip=10]' auto --worlds 0:3 --out runs/ope
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .common import Answer, CommonArgs
from .run_configs import store_ope_benchmark


@dataclass(frozen=True)
class Args(CommonArgs):
    """What is not given is as in the folder, if a run is there."""

    out: Path
    """the run's folder: new, or one to go on with"""
    n: tuple[int, ...] | None = None
    """logged rounds; 1000 10000 100000 unless given"""
    n_actions: tuple[int, ...] | None = None
    """candidate prompts; 10 100 1000 unless given"""
    policies: tuple[str, ...] | None = None
    """whose values are estimated, of near, far, halfway, uniform, opposite; near far unless given"""
    estimators: tuple[str, ...] | None = None
    """such as ips dr 'ips[clip=10]' 'dros[lambda=1]' auto"""
    worlds: str | None = None
    """seeds: 0:5 (0 to 4), 0,3 or 7"""
    datasets: int | None = None
    """logs in each world, of each number of prompts and rounds"""
    beta: float | None = None
    """inverse temperature of the logging policy, softmax(β·q)"""
    environment: tuple[str, ...] = ()
    """further fields of SyntheticConfig: reward_type=binary, reward_std=2"""
    contexts: int | None = None
    """that true values are means over"""
    steps: int | None = None
    """of training a reward model"""
    folds: int | None = None
    """of cross-fitting"""
    level: float | None = None
    """of intervals"""
    interval: str | None = None
    """how they are made: student_t, bootstrap, empirical_likelihood"""
    k: int | None = None
    """policies that are chosen, of regret@k and SharpeRatio@k"""
    threshold: float | None = None
    """the least value of a safe policy; the logging policy's unless given"""
    quick: bool = False
    """a smoke run of a minute: 500 and 2000 rounds, 10 and 50 prompts, two worlds, unless given otherwise"""
    workers: int = 1
    """processes at a time"""


_QUICK: dict[str, Any] = {
    "n": (500, 2000),
    "n_actions": (10, 50),
    "policies": ("near", "far", "opposite"),
    "worlds": (0, 1),
    "datasets": 2,
    "contexts": 20_000,
    "steps": 300,
    "folds": 2,
    "k": 2,
}
_GIVEN = ("n", "n_actions", "policies", "estimators", "datasets", "beta", "contexts", "steps", "folds")
_GIVEN_TOO = ("level", "interval", "k", "threshold")


def run(args: Args) -> Answer:
    """The table, and where the rest is.

    Raises:
        ValueError: a wrong argument, or a folder of another run.
    """
    from ..benchmark.ope.report import write_results
    from ..benchmark.ope.runner import run_ope_benchmark

    settings = settings_of(args)
    try:
        run_ope_benchmark(settings, args.out, workers=args.workers)
    finally:
        store_ope_benchmark(args.out)
    write_results(args.out)
    files = ("report.html", "errors.csv", "choices.csv", "trials.parquet", "plots")
    table = (args.out / "table.md").read_text().strip()
    return Answer(f"\n{table}\n\nin {args.out}: {', '.join(files)}", {"out": args.out, "files": files})


def settings_of(args: Args) -> Any:
    """What the arguments ask for, upon what the folder's run was asked for."""
    from prompt_bandits.synthetic.build import SyntheticConfig

    from ..benchmark.config import parse_seeds
    from ..benchmark.ope.runner import RUN, read_settings
    from ..benchmark.ope.settings import OpeBenchmark
    from ..benchmark.plain_values import parse_fields

    given = {name: value for name in (*_GIVEN, *_GIVEN_TOO) if (value := getattr(args, name)) is not None}
    if args.worlds is not None:
        given["worlds"] = parse_seeds(args.worlds, "worlds")
    if args.environment:
        given["environment"] = parse_fields(SyntheticConfig, args.environment)
    stored = read_settings(args.out).to_json() if (args.out / RUN).is_file() else {}
    return OpeBenchmark.from_json({**stored, **(_QUICK if args.quick else {}), **given})
