"""Reads logged rounds from another format into a folder. Without --format and --columns it lists the formats.

A log of your own is a CSV, JSONL or Parquet file, and --columns say which of its columns is what: context, action and
reward, and where there are such propensity, query, user_id, output, sentence, candidates, time, round_id, extras. It is
checked row by row first, and may be larger than memory.

examples:
  prompt-bandits import
  prompt-bandits import --source log.json --format vw-dsjson --out runs/log
  prompt-bandits import --source clicks.csv --columns context=age,income action=shown reward=clicked --out runs/log
  prompt-bandits import --source clicks.csv --columns context=about action=shown reward=clicked \\
      --encoder sentence-transformers/all-MiniLM-L6-v2 --bad-rows drop --out runs/log
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..configs import check_names
from .common import REPLACE, Answer, CommonArgs, taken

if TYPE_CHECKING:
    from prompt_bandits.datasets import StoredDataset

_SEVERAL = ("context", "extras")


@dataclass(frozen=True)
class Args(CommonArgs):
    """What comes from where."""

    source: Path | None = None
    """the file, or the folder of formats of several files"""
    out: Path | None = None
    """a new folder of logged rounds"""
    format: str | None = None
    """its name, of a log that another library knows"""
    columns: tuple[str, ...] = ()
    """of a log of your own, in place of --format: context=age,income action=shown reward=clicked"""
    options: tuple[str, ...] = ()
    """of the format, as name=value"""
    encoder: str | None = None
    """with --columns: a sentence-transformers model, for features that are texts"""
    bad_rows: Literal["raise", "drop"] = "raise"
    """with --columns: what to do about rows with something wrong"""
    overwrite: bool = False
    """replace a dataset at --out"""


def run(args: Args) -> Answer:
    """Where the rounds are now.

    Raises:
        ValueError: a wrong argument, or a file that is not of the format.
        FileExistsError: something is at --out.
        ImportError: a library is not installed; the message says how.
    """
    from .exchanging import formats

    if args.source is None and args.out is None and args.format is None and not args.columns:
        return formats("import")
    if args.source is None or args.out is None or (args.format is None) == (not args.columns):
        raise ValueError(
            "expected --source, --out and one of --format and --columns; `prompt-bandits import` lists the formats"
        )
    if not args.source.exists():
        raise FileNotFoundError(f"source: nothing is at {args.source}")
    try:
        data = _own_log(args) if args.columns else _foreign(args)
    except FileExistsError as error:
        raise taken(args.out, REPLACE) from error
    values = {"out": args.out, "n": len(data), "n_actions": data.n_actions}
    return Answer(f"{len(data):,} rounds of {data.n_actions:,} prompts in {args.out}", values)


def _foreign(args: Args) -> StoredDataset:
    from prompt_bandits import BanditDataset
    from prompt_bandits.datasets.places import check_free
    from prompt_bandits.exchange.formats import import_dataset

    from .exchanging import options_for

    assert args.source is not None
    assert args.out is not None
    assert args.format is not None
    if args.encoder is not None or args.bad_rows != "raise":
        raise ValueError("encoder, bad_rows: expected only with --columns")
    options = options_for(args.format, args.options, "import")
    check_free(args.out, overwrite=args.overwrite)
    return BanditDataset.open(
        import_dataset(args.format, args.source, **options).save(args.out, overwrite=args.overwrite)
    )


def _own_log(args: Args) -> StoredDataset:
    from prompt_bandits import import_log

    assert args.source is not None
    assert args.out is not None
    if args.options:
        raise ValueError("options: expected only with --format")
    options: dict[str, Any] = {"bad_rows": args.bad_rows, "overwrite": args.overwrite}
    if args.encoder is not None:
        from sentence_transformers import SentenceTransformer

        options["encoder"] = SentenceTransformer(args.encoder)
    return import_log(args.source, args.out, columns_of(args.columns), **options)


def columns_of(pairs: tuple[str, ...]) -> Any:
    """Which column is what, from `field=name` texts; several names are separated by commas.

    Raises:
        ValueError: an unknown field, or one that is needed and not there.
    """
    from prompt_bandits import LogColumns

    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = (part.strip() for part in pair.partition("="))
        if not equals or not text:
            raise ValueError(f"columns: expected such as reward=clicked, got {pair!r}")
        found[name] = tuple(one.strip() for one in text.split(",")) if name in _SEVERAL and "," in text else text
    if isinstance(found.get("extras"), str):
        found["extras"] = (found["extras"],)
    check_names(found, [f.name for f in fields(LogColumns)])
    for needed in ("context", "action", "reward"):
        if needed not in found:
            raise ValueError(f"columns: expected {needed}=… among them, got {', '.join(pairs)}")
    return LogColumns(**found)
