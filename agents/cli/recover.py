"""Puts a folder in order whose writer died: seals what it left open, and joins what its workers wrote.

Every row that was flushed is kept. Reading such a folder needs no recovery, and `record --resume` does it by itself.

examples:
  prompt-bandits recover runs/log
  prompt-bandits recover runs/damaged --salvage
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from .common import Answer, CommonArgs, DataArgument


@dataclass(frozen=True)
class Args(CommonArgs):
    """What to recover."""

    data: DataArgument
    """a folder of logged rounds"""
    salvage: bool = False
    """where files are damaged or missing, keep the rows that are whole and set the damaged files aside"""


def run(args: Args) -> Answer:
    """What was found.

    Raises:
        FileNotFoundError: no dataset there.
        ValueError: a damaged file, without --salvage.
    """
    from prompt_bandits import recover

    try:
        found = recover(args.data, salvage=args.salvage)
    except ValueError as error:
        raise RuntimeError(f"{error}; --salvage keeps what is whole") from error
    return Answer(f"{args.data}: {found}", {"data": args.data, **asdict(found)})
