"""One row a round in CSV, vectors as JSON lists in their cells; spreadsheets, pandas and DuckDB read it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from prompt_bandits.exchange.logged import LoggedData
from prompt_bandits.exchange.prompt_files import prompt_records, prompts_file
from prompt_bandits.exchange.reading_records import import_records
from prompt_bandits.exchange.records import Record, names, records

import_file = import_records
_ENCODE = json.JSONEncoder(separators=(",", ":")).encode


def export_file(data: LoggedData, path: Path, *, oracle: bool = False) -> None:
    """Writes rounds to `log.csv` and their prompts to `log.prompts.csv`; a folder is read a part at a time.

    Lost are logging policies and the environment's spec, and what kind of number an extra was (float32 becomes float64,
    int8 int64); texts that are all written as numbers become numbers, for CSV does not tell them apart.

    Args:
        data: rounds.
        path: of the file.
        oracle: with the columns that are for judging only.

    Raises:
        ValueError: an infinite number.
    """
    _write(path, names(data, oracle=oracle), records(data, oracle=oracle))
    table = list(prompt_records(data.prompts))
    _write(prompts_file(path), list(table[0]), table)


def _write(path: Path, header: Sequence[str], rows: Iterable[Record]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(map(_cell, row.values()) for row in rows)


def _cell(value: Any) -> Any:
    return _ENCODE(value) if isinstance(value, (list, bool)) else value
