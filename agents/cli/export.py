"""Writes logged rounds in another format, whole or not at all. Without --format it lists the formats.

examples:
  prompt-bandits export
  prompt-bandits export --data runs/log --format csv --out log.csv
  prompt-bandits export --data runs/log --format vw-dsjson --out log.json --options prompt_features=embedding
  prompt-bandits export --data runs/log --format minari --out runs/minari-log
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .common import Answer, CommonArgs, taken


@dataclass(frozen=True)
class Args(CommonArgs):
    """What goes where."""

    data: Path | None = None
    """a folder of logged rounds"""
    format: str | None = None
    """its name; left out, all of them are listed"""
    out: Path | None = None
    """a new file, or a new folder for formats of several files"""
    options: tuple[str, ...] = ()
    """of the format, as name=value"""
    overwrite: bool = False
    """replace a file at --out"""


def run(args: Args) -> Answer:
    """Where the rounds are now.

    Raises:
        ValueError: a wrong argument, or rounds that lack what the format needs.
        FileExistsError: something is at --out.
        ImportError: a library is not installed; the message says how.
    """
    from prompt_bandits import BanditDataset
    from prompt_bandits.exchange.formats import export_dataset

    from .exchanging import formats, options_for

    if args.format is None and args.data is None and args.out is None:
        return formats("export")
    if args.format is None or args.data is None or args.out is None:
        raise ValueError(
            f"expected --data, --format and --out, got {args.data}, {args.format}, {args.out}; "
            "`prompt-bandits export` lists the formats"
        )
    options = options_for(args.format, args.options, "export")
    data = BanditDataset.open(args.data)
    if args.out.exists() and not args.overwrite:
        raise taken(args.out, "--overwrite replaces a file")
    export_dataset(data, args.format, args.out, overwrite=args.overwrite, **options)
    values = {"out": args.out, "format": args.format, "n": len(data)}
    return Answer(f"{len(data):,} rounds as {args.format} in {args.out}", values)
