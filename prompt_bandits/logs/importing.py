"""A log as a dataset, in memory or in a folder. Everything is checked before anything is written."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prompt_bandits.datasets.columns import Columns, concat, n_rows, rows_of
from prompt_bandits.datasets.dataset import BanditDataset
from prompt_bandits.datasets.places import check_free, whole_folder
from prompt_bandits.datasets.stored import StoredDataset
from prompt_bandits.datasets.writer import DatasetWriter
from prompt_bandits.logs.plan import Plan
from prompt_bandits.logs.report import BadLog, LogReport
from prompt_bandits.logs.schema import LogColumns
from prompt_bandits.logs.sources import open_source
from prompt_bandits.protocols import SentenceEncoder
from prompt_bandits.types import Prompts


def check_log(
    log: Any, columns: LogColumns, *, prompts: Prompts | None = None, encoder: SentenceEncoder | None = None
) -> LogReport:
    """What is wrong with a log, row by row; nothing is written. Arguments as in `read_log`."""
    return _Log(log, columns, prompts, encoder).report()


def read_log(
    log: Any,
    columns: LogColumns,
    *,
    prompts: Prompts | None = None,
    encoder: SentenceEncoder | None = None,
    bad_rows: str = "raise",
) -> BanditDataset:
    """A log as a dataset in memory.

    Args:
        log: a DataFrame (pandas, polars), a pyarrow Table, a dict of columns, or a file: `.csv`, `.jsonl`, `.parquet`.
        columns: which of its columns is what.
        prompts: the candidates, which actions name by id or by text; None: those that the log mentions, with the
            encoder's features of their texts, else of which nothing is known but which is which.
        encoder: of features that are texts; any object with `encode`, such as a SentenceTransformer.
        bad_rows: "raise" refuses a log with bad rows; "drop" leaves them out, with a warning.

    Raises:
        BadLog: a ValueError that says what is wrong in which row.
        FileNotFoundError: no such file.
        ValueError: a column that is not there, or texts without an encoder.
    """
    source = _Log(log, columns, prompts, encoder)
    source.check(bad_rows)
    parts = list(source.columns())
    return rows_of(concat(parts), source.plan.prompts)


def import_log(
    log: Any,
    path: str | Path,
    columns: LogColumns,
    *,
    prompts: Prompts | None = None,
    encoder: SentenceEncoder | None = None,
    bad_rows: str = "raise",
    overwrite: bool = False,
) -> StoredDataset:
    """A log as a dataset's folder, read a part at a time, so that it may be larger than memory.

    Args:
        log, columns, prompts, encoder, bad_rows: as in `read_log`.
        path: a new folder.
        overwrite: replace a dataset at `path`.

    Raises:
        BadLog: a ValueError that says what is wrong in which row; nothing is written then.
        FileExistsError: `path` is taken.
        ValueError, FileNotFoundError: as `read_log`.
    """
    check_free(Path(path), overwrite=overwrite)
    source = _Log(log, columns, prompts, encoder)
    source.check(bad_rows)
    with whole_folder(Path(path), overwrite=overwrite) as draft, DatasetWriter(draft) as writer:
        for part in source.columns():
            writer.append(rows_of(part, source.plan.prompts))
    return StoredDataset.open(path)


class _Log:
    """A log and what its columns mean."""

    def __init__(self, log: Any, columns: LogColumns, prompts: Prompts | None, encoder: SentenceEncoder | None) -> None:
        self._source, self._encoder = open_source(log), encoder
        columns.refuse_missing(self._source.columns)
        self._names = columns.names()
        self.plan = Plan.of(self._source.chunks(self._names), columns, prompts, encoder)

    def report(self) -> LogReport:
        report = LogReport()
        for chunk in self._source.chunks(self._names):
            _, problems = self.plan.apply(chunk, None)
            report.add(problems, len(chunk))
        return report

    def check(self, bad_rows: str) -> None:
        if bad_rows not in ("raise", "drop"):
            raise ValueError(f"bad_rows: expected 'raise' or 'drop', got {bad_rows!r}")
        report = self.report()
        if report.fine:
            return
        if bad_rows == "raise" or report.bad_rows == report.n_rows:
            raise BadLog(report)
        warnings.warn(f"bad rows are left out: {report}", stacklevel=3)

    def columns(self) -> Iterator[Columns]:
        """The good rows, a chunk at a time."""
        for chunk in self._source.chunks(self._names):
            found, _ = self.plan.apply(chunk, self._encoder)
            if n_rows(found):
                yield found
