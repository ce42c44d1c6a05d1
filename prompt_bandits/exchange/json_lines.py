"""One JSON object a round (https://jsonlines.org), vectors as lists."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from prompt_bandits.exchange.logged import LoggedData
from prompt_bandits.exchange.prompt_files import prompt_records, prompts_file
from prompt_bandits.exchange.reading_records import import_records
from prompt_bandits.exchange.records import Record, records

import_file = import_records
_ENCODE = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def export_file(data: LoggedData, path: Path, *, oracle: bool = False) -> None:
    """Writes rounds to `log.jsonl` and their prompts to `log.prompts.jsonl`; a folder is read a part at a time.

    Lost are logging policies and the environment's spec, and what kind of number an extra was (float32 becomes float64,
    int8 int64).

    Args:
        data: rounds.
        path: of the file.
        oracle: with the columns that are for judging only.

    Raises:
        ValueError: an infinite number.
    """
    write_lines(path, records(data, oracle=oracle))
    write_lines(prompts_file(path), prompt_records(data.prompts))


def write_lines(path: Path, rows: Iterable[Record]) -> None:
    """One JSON object a line, in UTF-8."""
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(_ENCODE(row) + "\n" for row in rows)
