"""Our cells and the published ones, world by world: between worlds, values differ by far more than between methods."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from prompt_bandits.types import Estimate

from .published import published_beside, published_seed
from .results import Cell, Run, Value, mean_and_se
from .tables import Column, Entry, Table, estimate, number, signed, standard_error, swept, swept_table


@dataclass(frozen=True)
class Pair:
    """A cell, and the optimality that was published for it."""

    cell: Cell
    ours: float
    published: float

    @property
    def difference(self) -> float:
        return self.ours - self.published


@dataclass(frozen=True)
class PairedDifference:
    """Our optimality less the published one, mean ± s.e. over the worlds that both have."""

    value: Value
    method: str
    label: str
    ours: Estimate
    published: Estimate
    difference: Estimate  # its n is the number of pairs
    published_is_lower_bound: bool


def pairs(run: Run) -> Iterator[Pair]:
    """The cells that were published too; none where the run is of other problems."""
    if not run.is_as_published:
        return
    for cell in run.cells:
        other = published_seed(run.setting, cell.value, cell.method, cell.world_seed)
        if other is not None and cell.optimality is not None and cell.method not in ("uniform", "optimal"):
            yield Pair(cell, cell.optimality, other.optimality)


def paired_differences(run: Run) -> list[PairedDifference]:
    """One a (value, method): values ascending, methods in the order in which they first came."""
    groups: dict[tuple[Value, str], list[Pair]] = defaultdict(list)
    for pair in pairs(run):
        groups[pair.cell.value, pair.cell.method].append(pair)
    order = list(dict.fromkeys(cell.method for cell in run.cells))
    ranked = sorted(groups, key=lambda key: (key[0] or 0.0, order.index(key[1])))
    return [_difference(run, groups[key]) for key in ranked]


def _difference(run: Run, group: list[Pair]) -> PairedDifference:
    cell = group[0].cell
    mean = published_beside(run, cell.value, cell.method)
    return PairedDifference(
        value=cell.value,
        method=cell.method,
        label=cell.label,
        ours=mean_and_se(pair.ours for pair in group),
        published=mean_and_se(pair.published for pair in group),
        difference=mean_and_se(pair.difference for pair in group),
        published_is_lower_bound=mean is not None and mean.lower_bound,
    )


def paired_table(run: Run) -> Table:
    """A row a (value, method)."""
    titles = ("pairs", "optimality", "published", "mean difference")
    columns = [Column("method", numeric=False), *map(Column, titles)]
    return swept_table(run, columns, [_row(found) for found in paired_differences(run)])


def _row(found: PairedDifference) -> tuple[Entry, ...]:
    at_least, at_most = ("≥ ", "≤ ") if found.published_is_lower_bound else ("", "")
    published, difference = found.published, found.difference
    return (
        swept(found.value),
        Entry(found.label),
        number(difference.n, 0),
        estimate(found.ours),
        Entry(at_least + estimate(published).text, published.value),
        Entry(f"{at_most}{difference.value:+.3f}{standard_error(difference)}", difference.value),
    )


def worlds_table(run: Run) -> Table:
    """A row a pair."""
    titles = ("world", "optimality", "published", "difference")
    rows = [
        (
            swept(pair.cell.value),
            Entry(pair.cell.label),
            number(pair.cell.world_seed, 0),
            number(pair.ours),
            number(pair.published),
            signed(pair.difference),
        )
        for pair in pairs(run)
    ]
    return swept_table(run, [Column("method", numeric=False), *map(Column, titles)], rows)
