"""Seconds and memory of off-policy evaluation from disk, one command: python benchmarks/ope.py

A million logged rounds with a hundred prompts, in a folder that is written first; every estimator, all in one pass, the
models that they need being given: they are fitted beforehand, for a few steps, to 20,000 other rounds. `--each` tells
what every estimator takes on its own. Intervals are timed by benchmarks/ope_intervals.py, the bootstrap here too.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import tyro
from measuring import Measurement, report, seconds

PLAIN = ("ips", "snips", "dm", "dr")


@dataclass
class Args:
    n: int = 1_000_000
    """logged rounds"""
    n_actions: int = 100
    """prompts"""
    data: Path | None = None
    """a folder for the log, which is kept and taken again; a temporary one unless given"""
    estimators: tuple[str, ...] = ("all",)
    """which are timed together"""
    each: bool = False
    """time every estimator on its own too"""


def write_log(args: Args, folder: Path) -> str:
    import prompt_bandits
    from prompt_bandits.policies import OracleScore, Softmax

    simulator = _simulator(args)
    logging = Softmax(OracleScore(simulator), beta=0.3)
    taken = seconds(lambda: prompt_bandits.collect(simulator, logging, args.n, seed=0, path=folder, progress=False))
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return f"{taken:.1f} s, {size / 1e6:,.0f} MB on disk"


def inputs(args: Args, names: Sequence[str]) -> str:
    estimators, _, _ = _inputs(args, names)
    return f"{len(estimators)} estimators and their models, before any round is read"


def evaluate(args: Args, folder: Path, names: Sequence[str]) -> str:
    from agents import ope

    estimators, policy, models = _inputs(args, names)
    found: list[Any] = []
    before = time.process_time()
    taken = seconds(lambda: found.append(ope.evaluate(policy, folder, estimators, models=models, progress=False)))
    refused = [one.name for one in found[0].results if one.refused is not None]
    target = " (target: < 60 s, < 2 GB)" if "all" in names else ""
    busy = time.process_time() - before
    return f"{taken:.1f} s ({busy:.1f} s of processor), {len(estimators)} estimators{target}" + (
        f"; refused: {', '.join(refused)}" * bool(refused)
    )


def bootstrap(args: Args) -> str:
    import numpy as np

    from agents.ope.intervals import interval

    values = np.random.default_rng(0).lognormal(-0.5, 1.0, args.n)
    interval(values[:10], "bootstrap")
    return f"{seconds(lambda: interval(values, 'bootstrap')):.1f} s, 1,000 resamples (target: < 10 s)"


def _simulator(args: Args) -> Any:
    from prompt_bandits.synthetic import SyntheticConfig

    return SyntheticConfig(n_actions=args.n_actions).build()


def _inputs(args: Args, names: Sequence[str]) -> tuple[list[Any], Any, Any]:
    """The estimators, the policy and all models that they need, fitted to other rounds."""
    import prompt_bandits
    from agents.cli.evaluate import estimators_of
    from agents.learners import IPS
    from agents.ope.models import Fitter, Models
    from agents.propensity import PropensityTraining
    from agents.reward_models import RewardTraining, fit_action_reward_model
    from prompt_bandits.policies import OracleScore, Softmax

    estimators, simulator = estimators_of(names), _simulator(args)
    few = prompt_bandits.collect(simulator, Softmax(OracleScore(simulator), beta=0.3), 20_000, seed=1, progress=False)
    policy = IPS.quick(steps=200).fit(few, seed=0)
    training = RewardTraining(steps=200, patience=None)
    given = Models(q_hat=fit_action_reward_model(few, training, seed=0), simulator=simulator)
    fitter = Fitter(few, policy, given, folds=2, training=training, propensity_training=PropensityTraining(steps=200))
    for estimator in estimators:
        for column in estimator.columns().values():
            for spec in column.needs:
                fitter.get(spec)
    return estimators, policy, fitter.models


@contextmanager
def _folder(args: Args) -> Iterator[Path]:
    if args.data is not None:
        yield args.data
        return
    folder = Path(tempfile.mkdtemp(prefix="ope-"))
    try:
        yield folder / "log"
    finally:
        shutil.rmtree(folder)


def main(args: Args) -> None:
    from agents.cli.evaluate import estimators_of

    with _folder(args) as folder:
        measurements: dict[str, Measurement] = {}
        if not folder.exists():
            measurements[f"log, {args.n:,} rounds × {args.n_actions} prompts"] = partial(write_log, args, folder)
        measurements["bootstrap"] = partial(bootstrap, args)
        measurements["models"] = partial(inputs, args, args.estimators)
        if args.estimators != PLAIN:
            measurements[", ".join(PLAIN)] = partial(evaluate, args, folder, PLAIN)
        measurements[", ".join(args.estimators)] = partial(evaluate, args, folder, args.estimators)
        if args.each:
            names = [one.name for one in estimators_of(args.estimators)]
            measurements |= {name: partial(evaluate, args, folder, [name]) for name in names}
        report(measurements)


if __name__ == "__main__":
    main(tyro.cli(Args))
