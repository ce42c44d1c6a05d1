"""The commands of single stages."""

from __future__ import annotations

from dataclasses import dataclass

from .common import Answer
from .run_arguments import RunArgs, config_of
from .run_configs import store_benchmark


@dataclass(frozen=True)
class Args(RunArgs):
    """One stage of a run."""

    again: bool = False
    """anew; what came of the former artefacts is deleted, for `benchmark` to compute anew"""


def run(stage: str, args: Args) -> Answer:
    """Does one stage with what it needs, and says what is there; status 1 where something failed."""
    from ..benchmark.run_folder import CELLS, stored_config
    from ..benchmark.runner import run_stage

    config = config_of(args, stored_config(args.out))
    try:
        done = run_stage(stage, config, args.out, again=args.again, workers=args.workers)
    finally:
        store_benchmark(args.out)
    made = [args.out / name for name in done.artefacts]
    lines = [f"gone, since it came of what was made again: {name}" for name in done.forgotten] + list(map(str, made))
    if stage == "policy-value":
        lines.append(
            f"{done.cells} cells in {args.out / CELLS}; `prompt-bandits report --out {args.out}` writes the tables"
        )
    elif not made and not done.failures:
        lines.append(f"nothing to do: the stage {stage} makes nothing for {', '.join(config.methods)}")
    failures = tuple(f"failed: {failure}" for failure in done.failures)
    values = {"out": args.out, "artefacts": made, "forgotten": list(done.forgotten), "failed": failures}
    return Answer("\n".join(lines), values, 1 if failures else 0, failures)
