"""What is in a folder of logged rounds: where it comes from, its columns, a summary, checks, and some rounds as text.

Status 1 where a check failed.

examples:
  prompt-bandits inspect runs/log
  prompt-bandits inspect runs/log --rounds 0 --plots runs/log-plots
  prompt-bandits inspect runs/log --json
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .common import Answer, CommonArgs, DataArgument

if TYPE_CHECKING:
    from prompt_bandits.datasets import StoredDataset


@dataclass(frozen=True)
class Args(CommonArgs):
    """What to look at."""

    data: DataArgument
    """a folder of logged rounds"""
    rounds: int = 3
    """how many to show"""
    plots: Path | None = None
    """write plots to this folder, as PNG"""


def run(args: Args) -> Answer:
    """All of it.

    Raises:
        FileNotFoundError: no dataset there.
        ValueError: a damaged one.
    """
    from prompt_bandits import BanditDataset
    from prompt_bandits.datasets.inspecting import describe

    from .dataset_checks import checks_of

    if args.rounds < 0:
        raise ValueError(f"rounds: expected >= 0, got {args.rounds}")
    data = BanditDataset.open(args.data)
    checks = checks_of(data)
    whole = all(check.status != "failed" for check in checks)
    lines = ["checks", *map(str, checks)]
    values: dict[str, Any] = {"data": args.data, "checks": [asdict(check) for check in checks]}
    if whole:
        values |= _values(data)
        lines = [describe(data, args.rounds), "", *lines]
    if args.plots is not None and whole:
        from .dataset_plots import plot_dataset

        values["plots"] = plot_dataset(data, args.plots)
        lines += ["", *(f"wrote {file}" for file in values["plots"])]
    return Answer("\n".join(lines), values, 0 if whole else 1)


def _values(data: StoredDataset) -> dict[str, Any]:
    return {
        "summary": asdict(data.summary()),
        "environment": None if data.spec is None else dict(data.spec),
        "policies": [type(policy).__name__ for policy in data.policies],
        "columns": {name: str(kind) for name, kind in data.manifest.columns.items()},
        "seeds": list(data.manifest.seeds),
    }
