"""Tables for people: what they show, what they are sorted by, and the means beside the published figures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from prompt_bandits.datasets.files import whole_file
from prompt_bandits.types import Estimate

from .measures import GAIN
from .published import PublishedMean, published_beside
from .results import Run, Summary, Value, summarise

MISSING = "–"


@dataclass(frozen=True)
class Entry:
    """What a table shows, and the number that it is sorted by; None where there is none, which is always last."""

    text: str
    number: float | None = None


@dataclass(frozen=True)
class Column:
    """A heading; numbers are aligned to the right and sorted as numbers."""

    title: str
    numeric: bool = True


@dataclass(frozen=True)
class Table:
    """Headings and rows; prints as markdown."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Entry, ...], ...]

    def __str__(self) -> str:
        head = [column.title for column in self.columns]
        lines = [[_markdown(text) for text in line] for line in (head, *([e.text for e in row] for row in self.rows))]
        widths = [max(3, *map(len, texts)) for texts in zip(*lines, strict=True)]
        lines.insert(1, [_rule(column, width) for column, width in zip(self.columns, widths, strict=True)])
        return "".join(f"| {' | '.join(self._aligned(line, widths))} |\n" for line in lines)

    def _aligned(self, line: Sequence[str], widths: Sequence[int]) -> list[str]:
        return [
            text.rjust(width) if column.numeric else text.ljust(width)
            for text, width, column in zip(line, widths, self.columns, strict=True)
        ]


def _rule(column: Column, width: int) -> str:
    return "-" * (width - 1) + ":" if column.numeric else "-" * width


def _markdown(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("|", "\\|").replace("&", "&amp;").replace("<", "&lt;")
    return " ".join(escaped.split())


def swept_table(run: Run, columns: Iterable[Column], rows: Iterable[tuple[Entry, ...]]) -> Table:
    """A table whose first entries are the swept values, or were, where the run sweeps nothing."""
    first = int(not run.parameter)
    return Table((Column(run.parameter), *columns)[first:], tuple(row[first:] for row in rows))


def number(value: float | None, digits: int = 3) -> Entry:
    """A number with so many digits after the point."""
    return Entry(MISSING) if value is None else Entry(f"{value:.{digits}f}", value)


def signed(value: float) -> Entry:
    """A difference."""
    return Entry(f"{value:+.3f}", value)


def estimate(value: Estimate | None) -> Entry:
    """Mean ± s.e., sorted by the mean."""
    if value is None:
        return Entry(MISSING)
    mean = round(value.value, 3) + 0.0  # no "-0.000"
    return Entry(f"{mean:.3f}{standard_error(value)}", value.value)


def standard_error(value: Estimate) -> str:
    """` ± s.e.`; nothing where one number alone has none."""
    return f" ± {value.se:.3f}" if math.isfinite(value.se) else ""


def published(mean: PublishedMean | None) -> Entry:
    """A published figure: ≥ before a lower bound, ≈ before one that was read off a figure."""
    if mean is None:
        return Entry(MISSING)
    if mean.se is None:
        return Entry(f"≈ {mean.optimality:.2f}", mean.optimality)
    return Entry(f"{'≥ ' if mean.lower_bound else ''}{mean.optimality:.3f} ± {mean.se:.3f}", mean.optimality)


def swept(value: Value) -> Entry:
    """A value of the swept parameter."""
    if value is None:
        return Entry(MISSING)
    return Entry(f"{value:,.0f}" if float(value).is_integer() else f"{value:g}", value)


def results_table(run: Run) -> Table:
    """A row a (value, method): the number that policies are compared by, mean ± s.e., with what stands beside it."""
    gain = run.measure is GAIN
    beside = ("optimality",) if gain else ("published",)
    counted = "runs" if gain else "worlds"
    titles = (counted, run.measure.title, *beside, "policy value", "time (s)", "peak memory (MB)")
    columns = [Column("method", numeric=False), *map(Column, titles)]
    return swept_table(run, columns, [_result(run, row) for row in summarise(run.cells)])


def _result(run: Run, row: Summary) -> tuple[Entry, ...]:
    published_there = published(published_beside(run, row.value, row.method))
    return (
        swept(row.value),
        Entry(row.label),
        Entry(f"{row.n_ok} ({row.n_failed} failed)" if row.n_failed else f"{row.n_ok}", row.n_ok),
        estimate(run.measure.of(row)),
        estimate(row.optimality) if run.measure is GAIN else published_there,
        estimate(row.policy_value),
        number(row.wall_s, 1),
        number(row.peak_mb, 0),
    )


def failures_table(run: Run) -> Table:
    """A row a cell that failed, with its error."""
    seeds = {"world": "world_seed"}
    if run.settings.get("fit_seeds"):
        seeds = {"dataset": "data_seed", "optimiser": "fit_seed"}
    rows = [
        (
            swept(c.value),
            Entry(c.label),
            *(number(getattr(c, seed), 0) for seed in seeds.values()),
            Entry(c.error or ""),
        )
        for c in run.failures
    ]
    columns = [Column("method", numeric=False), *map(Column, seeds), Column("error", numeric=False)]
    return swept_table(run, columns, rows)


def write_markdown(folder: Path, run: Run) -> None:
    """`table.md`: the table of results."""
    with whole_file(folder / "table.md") as stream:
        stream.write(str(results_table(run)).encode())
