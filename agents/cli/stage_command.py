"""The commands of single stages."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from .run_arguments import RunArgs, config_of


@dataclass(frozen=True)
class Args(RunArgs):
    """One stage of a run."""

    again: bool = False
    """anew; what came of the former artefacts is deleted, for `benchmark` to compute anew"""


def run(stage: str, args: Args) -> int:
    """Does one stage with what it needs, and says what is there; the exit status."""
    from ..benchmark.run_folder import CELLS, stored_config
    from ..benchmark.runner import run_stage

    config = config_of(args, stored_config(args.out))
    done = run_stage(stage, config, args.out, again=args.again, workers=args.workers)
    for name in done.forgotten:
        print(f"gone, since it came of what was made again: {name}")
    for name in done.artefacts:
        print(args.out / name)
    if stage == "policy-value":
        print(f"{done.cells} cells in {args.out / CELLS}; `prompt-bandits report --out {args.out}` writes the tables")
    elif not done.artefacts and not done.failures:
        print(f"nothing to do: the stage {stage} makes nothing for {', '.join(config.methods)}")
    for failure in done.failures:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if done.failures else 0
