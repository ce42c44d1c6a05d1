"""Files of flat records to rounds, checked row by row."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from prompt_bandits.datasets.columns import EXTRAS, ORACLE, Columns, concat, rows_of, take
from prompt_bandits.datasets.dataset import BanditDataset
from prompt_bandits.exchange.guessing import column_of_values, integers, vectors
from prompt_bandits.exchange.prompt_files import mentioned_prompts, prompts_file, read_prompts
from prompt_bandits.logs import BadLog, LogColumns, LogReport, read_log
from prompt_bandits.logs.sources import Chunk, open_source
from prompt_bandits.logs.values import Checker, integer_of, list_of
from prompt_bandits.protocols import SentenceEncoder
from prompt_bandits.types import BoolArray, Prompts

_INTEGERS = ("round_id", "seed", "policy_id", "user_id", "query_id", "action")
_NUMBERS = ("reward", "propensity")
_VECTORS = ("context", "query", "output")
_TEXTS = ("query_text", "sentence")
_REQUIRED = ("context", "action", "reward")


def import_records(
    file: Path,
    *,
    columns: LogColumns | Mapping[str, Any] | None = None,
    prompts: Prompts | str | Path | None = None,
    encoder: SentenceEncoder | None = None,
    bad_rows: str = "raise",
) -> BanditDataset:
    """A file of records into memory.

    Args:
        file: `.csv`, `.jsonl` or `.parquet`.
        columns: for a log of one's own, which of its columns is what, as `prompt_bandits.logs.read_log` takes it (or a
            dict of the same); None: named as `records` names them. Columns of other names become extras then.
        prompts: the table, or a file with it, as `read_prompts` reads it; None: the file beside, as `export_file`
            writes it, else the actions that occur.
        encoder: of texts in a log of one's own.
        bad_rows: "raise" or "drop", which leaves bad rows out with a warning.

    Raises:
        BadLog: a ValueError that says what is wrong in which row.
        ValueError: a column that is not there.
    """
    if prompts is None and prompts_file(file).is_file():
        prompts = prompts_file(file)
    table = read_prompts(Path(prompts)) if isinstance(prompts, (str, Path)) else prompts
    if columns is not None:
        known = columns if isinstance(columns, LogColumns) else LogColumns(**columns)
        return read_log(file, known, prompts=table, encoder=encoder, bad_rows=bad_rows)
    return read_records(file, table, bad_rows=bad_rows)


def read_records(source: Any, prompts: Prompts | None = None, *, bad_rows: str = "raise") -> BanditDataset:
    """Records with columns of our names; `source` is a file or a table, arguments and errors as in `import_records`."""
    log = open_source(source)
    missing = [name for name in _REQUIRED if name not in log.columns]
    if missing:
        raise ValueError(
            f"columns: expected {', '.join(missing)}, found {', '.join(log.columns)}; of a log with other names, say "
            "which is what with columns="
        )
    report, good, parts = LogReport(), list[BoolArray](), list[Columns]()
    widths: dict[str, int] = {}
    others: dict[str, list[Any]] = {name: [] for name in log.columns if name not in _KNOWN}
    raw: dict[str, list[Any]] = {name: [] for name in ("candidates", "prompt") if name in log.columns}
    for chunk in log.chunks(log.columns):
        checker = Checker(chunk.first, chunk.problems)
        parts.append(_converted(chunk, checker, widths))
        for name in (*others, *raw):
            (others if name in others else raw)[name] += chunk.values[name]
        good.append(~np.isin(np.arange(len(chunk)), list(checker.bad_rows())))
        report.add(checker.problems, len(chunk))
    typed = not (isinstance(source, (str, Path)) and Path(source).suffix.lower() == ".csv")
    keep = _kept(report, good, bad_rows)
    found = concat(parts)
    found |= {_extra_name(name): column_of_values(name, values, typed=typed) for name, values in others.items()}
    table = prompts or mentioned_prompts(found["action"], **raw)
    if "candidates" in raw:
        found["action_mask"] = _masks(raw["candidates"], len(table), keep)
    return rows_of(take(found, keep), table)


_KNOWN = {*_INTEGERS, *_NUMBERS, *_VECTORS, *_TEXTS, "candidates", "prompt"}


def _converted(chunk: Chunk, checker: Checker, widths: dict[str, int]) -> Columns:
    found: Columns = {}
    for name, values in chunk.values.items():
        if name in _INTEGERS:
            found[name] = integers(checker, name, values)
        elif name == "propensity":
            found[name] = checker.numbers(name, values, 0, 1, open_low=True)
        elif name in _NUMBERS:
            found[name] = checker.numbers(name, values)
        elif name in _VECTORS:
            found[name] = vectors(checker, name, values, widths)
        elif name in _TEXTS:
            found[name] = checker.texts(name, ["" if value is None else value for value in values])
    n = len(chunk)
    keys = {"seed": np.zeros(n, np.int64), "round_id": np.arange(chunk.first, chunk.first + n, dtype=np.int64)}
    return keys | found


def _kept(report: LogReport, good: list[BoolArray], bad_rows: str) -> BoolArray:
    if bad_rows not in ("raise", "drop"):
        raise ValueError(f"bad_rows: expected 'raise' or 'drop', got {bad_rows!r}")
    if not report.n_rows:
        raise ValueError("log: expected at least one row, found none")
    if not report.fine:
        if bad_rows == "raise" or report.bad_rows == report.n_rows:
            raise BadLog(report)
        warnings.warn(f"bad rows are left out: {report}", stacklevel=4)
    return np.concatenate(good)


def _extra_name(name: str) -> str:
    return name if name.startswith((EXTRAS, ORACLE)) else EXTRAS + name


def _masks(values: Sequence[Any], n_actions: int, keep: BoolArray) -> BoolArray:
    out = np.zeros((len(values), n_actions), bool)
    for row in np.flatnonzero(keep).tolist():
        items = list_of(values[row]) or []
        actions = [action for action in map(integer_of, items) if action is not None and 0 <= action < n_actions]
        if not actions or len(actions) < len(items):
            raise ValueError(f"row {row}: candidates: expected actions in 0 … {n_actions - 1}, got {values[row]!r}")
        out[row, actions] = True
    return out
