"""Mean squared errors of estimators on the synthetic environment, one command: python benchmarks/ope_mse.py

Logs of n rounds and |A| prompts in ten worlds, policies near to the logging policy and far from it; the automatic
choice beside the best of IPS, SNIPS, DM and DR in hindsight. Goes on where it was stopped, and writes runs/ope_mse
and docs/ope_mse.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import tyro

from agents.benchmark.ope.report import write_results
from agents.benchmark.ope.runner import run_ope_benchmark
from agents.benchmark.ope.settings import OpeBenchmark
from agents.benchmark.ope.tables import mse_table
from agents.ope.judging import Judgement

COMMON = OpeBenchmark(
    estimators=("ips", "snips", "dm", "dr", "auto", "slope", "cross-validated"),
    worlds=tuple(range(10, 20)),  # the defaults of `Auto` were chosen on worlds 0 to 9
    contexts=200_000,
    steps=1_000,
    folds=2,
)
TABLE = """# Mean squared errors

Written by `python benchmarks/ope_mse.py`: the MSE over logs in ten synthetic worlds, in brackets how many times that
of the best of IPS, SNIPS, DM and DR in hindsight, so that the largest of these four says what picking wrong costs. Logs
are of softmax(q), the near policy is softmax(2·q); the far one takes the best prompt by the true q, and any prompt in
10% of the rounds. Reward models are cross-fitted networks. A row is over 100 logs, with 100 prompts over 50, with
1,000 over 80, and with 100,000 rounds of these over 60 of twenty worlds.

{table}"""


@dataclass
class Args:
    out: Path = Path("runs/ope_mse")
    """folder of the runs"""
    table: Path = Path("docs/ope_mse.md")
    """where the table goes"""
    workers: int = 1
    """processes at a time"""


PARTS = {
    "10": replace(COMMON, n_actions=(10,), datasets=10),
    "100": replace(COMMON, n_actions=(100,), datasets=5),
    "1000": replace(COMMON, n_actions=(1_000,), n=(1_000, 10_000), datasets=8),
    "1000_largest": replace(
        COMMON, n_actions=(1_000,), n=(100_000,), worlds=tuple(range(10, 30)), datasets=3
    ),  # twenty seconds a log
}


def main(args: Args) -> None:
    found = Judgement(())
    for name, settings in PARTS.items():
        found += run_ope_benchmark(settings, args.out / name, workers=args.workers)
        write_results(args.out / name)
    args.table.write_text(TABLE.format(table=mse_table(found.errors())))


if __name__ == "__main__":
    main(tyro.cli(Args))
