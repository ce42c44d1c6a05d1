"""What is wrong with a log, row by row."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

_MOST, _SHOWN = 10_000, 20


@dataclass(frozen=True)
class Problem:
    """One value of a log that cannot be taken in."""

    row: int  # counted from 0, without the header
    column: str
    expected: str
    got: Any

    def __str__(self) -> str:
        got = repr(self.got)
        return (
            f"row {self.row}: {self.column}: expected {self.expected}, got {got if len(got) < 60 else got[:59] + '…'}"
        )


@dataclass
class LogReport:
    """Every problem of a log; prints as a table.

    Attributes:
        n_rows: rows read.
        problems: the first 10,000 of them.
        bad_rows: how many rows have one.
        counts: how many problems there are of each (column, expected).
    """

    n_rows: int = 0
    problems: list[Problem] = field(default_factory=list)
    bad_rows: int = 0
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, problems: list[Problem], n_rows: int) -> None:
        """The problems of `n_rows` further rows."""
        self.n_rows += n_rows
        self.bad_rows += len({problem.row for problem in problems})
        problems = sorted(problems, key=lambda problem: problem.row)
        self.problems += problems[: max(0, _MOST - len(self.problems))]
        self.counts.update((problem.column, problem.expected) for problem in problems)

    @property
    def fine(self) -> bool:
        return not self.bad_rows

    def __str__(self) -> str:
        if self.fine:
            return f"{self.n_rows:,} rows, all fine"
        lines = [f"{self.n_rows:,} rows, {self.bad_rows:,} of them with problems (rows are counted from 0)"]
        lines += [f"{n:>10,}  {column}: expected {expected}" for (column, expected), n in self.counts.most_common()]
        lines += ["", *map(str, self.problems[:_SHOWN])]
        more = sum(self.counts.values()) - _SHOWN
        return "\n".join(lines + ([f"… and {more:,} more"] if more > 0 else []))


class BadLog(ValueError):
    """A log with bad rows.

    Attributes:
        report: all of them.
    """

    def __init__(self, report: LogReport) -> None:
        super().__init__(f"{report}\n(bad_rows='drop' takes the other rows)")
        self.report = report
