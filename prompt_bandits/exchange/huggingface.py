"""Hugging Face's datasets, in memory, streamed, or as `save_to_disk` writes them.

A dataset's own folder needs none of this to be read: `load_dataset(path, "rounds")`, or
`load_dataset("parquet", data_files=f"{path}/data/*.parquet", streaming=True)`. What they give comes back by
`from_huggingface`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prompt_bandits.datasets.columns import ORACLE, Columns, concat, n_rows, row_columns, rows_of, to_columns, to_table
from prompt_bandits.datasets.dataset import BanditDataset
from prompt_bandits.exchange.logged import ROWS, LoggedData, in_memory, require
from prompt_bandits.types import Prompts


def to_huggingface(data: LoggedData) -> Any:
    """A `datasets.DatasetDict` of `rounds`, `prompts`, and where there are such, `oracle` columns, apart from what
    learners read. Lost: the logging policies and the environment's spec.

    Raises:
        ImportError: datasets is not installed.
    """
    datasets = _datasets()
    rows = in_memory(data)
    columns = row_columns(rows)
    oracle = {name.removeprefix(ORACLE): column for name, column in columns.items() if name.startswith(ORACLE)}
    tables = {
        "rounds": {name: column for name, column in columns.items() if not name.startswith(ORACLE)},
        "prompts": _prompt_columns(rows.prompts),
        "oracle": oracle,
    }
    return datasets.DatasetDict({name: datasets.Dataset(to_table(table)) for name, table in tables.items() if table})


def from_huggingface(tables: Any, *, prompts: Any = None) -> BanditDataset:
    """The rounds of what `to_huggingface` or `load_dataset` of a dataset's folder gave; all of them in memory.

    Args:
        tables: a mapping with `rounds`, `prompts` and perhaps `oracle`, or the rounds alone: a `datasets.Dataset`, or
            an `IterableDataset` that streams.
        prompts: a table of prompts: `Prompts`, their number, or a dataset of them; None: the mapping's.

    Raises:
        ImportError: datasets is not installed.
        ValueError: no prompts, or columns that rounds need and that are not there.
    """
    _datasets()
    found: Mapping[str, Any] = tables if isinstance(tables, Mapping) else {"rounds": tables}
    known = found.get("prompts") if prompts is None else prompts
    if known is None:
        raise ValueError("prompts: expected a table of them, or their number, got none")
    columns = _columns(found.get("rounds"), "rounds")
    missing = [name for name in ("context", "action", "reward") if name not in columns]
    if missing:
        raise ValueError(f"rounds: expected columns context, action and reward, no {', '.join(missing)} found")
    if "oracle" in found:
        oracle = _columns(found["oracle"], "oracle")
        if n_rows(oracle) != n_rows(columns):
            raise ValueError(f"oracle: expected {n_rows(columns)} rows, one a round, got {n_rows(oracle)}")
        columns |= {ORACLE + name: column for name, column in oracle.items()}
    return rows_of(columns, _prompts(known))


def export_file(data: LoggedData, path: Path) -> None:
    """Writes a folder for `datasets.load_from_disk`; see `to_huggingface`.

    Args:
        data: rounds.
        path: a new folder.

    Raises:
        ImportError: datasets is not installed.
    """
    with _quietly():
        to_huggingface(data).save_to_disk(path)


def import_file(path: Path, *, prompts: Prompts | int | None = None) -> BanditDataset:
    """Reads a folder of `save_to_disk`, of a DatasetDict or of rounds alone.

    Args:
        path: the folder.
        prompts: as in `from_huggingface`.

    Raises:
        ImportError, ValueError: as `from_huggingface`.
    """
    return from_huggingface(_datasets().load_from_disk(str(path)), prompts=prompts)


def _datasets() -> Any:
    return require("datasets", "hub", "a Hugging Face dataset")


def _prompt_columns(prompts: Prompts) -> Columns:
    columns: Columns = {"prompt_id": prompts.prompt_id, "embedding": prompts.embedding}
    return columns if prompts.text is None else columns | {"text": prompts.text}


def _prompts(known: Any) -> Prompts:
    if isinstance(known, Prompts):
        return known
    if isinstance(known, int):
        return Prompts.one_hot(known)
    columns = _columns(known, "prompts")
    if not {"prompt_id", "embedding"} <= columns.keys():
        raise ValueError(f"prompts: expected columns prompt_id and embedding, got {', '.join(columns)}")
    return Prompts(columns["prompt_id"], columns["embedding"], columns.get("text"))


def _columns(dataset: Any, name: str) -> Columns:
    parts = [to_columns(table) for table in _tables(dataset, name)]
    if not parts:
        raise ValueError(f"{name}: expected rows, got none")
    return concat(parts)


def _tables(dataset: Any, name: str) -> Iterator[Any]:
    """Arrow tables of the column types that ours have."""
    if not hasattr(dataset, "with_format"):
        raise ValueError(f"{name}: expected a datasets.Dataset or IterableDataset, got {type(dataset).__name__}")
    for table in dataset.with_format("arrow").iter(batch_size=ROWS):
        yield table.cast(_schema(table)).combine_chunks()


def _schema(table: Any) -> Any:
    """Texts of 32-bit offsets, vectors of fixed size; a list of another size in some row fails the cast."""
    import pyarrow as pa

    fields = []
    for field in table.schema:
        kind = field.type
        if pa.types.is_large_string(kind):
            kind = pa.string()
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
            kind = pa.list_(kind.value_type, len(table[field.name][0]))
        fields.append(pa.field(field.name, kind))
    return pa.schema(fields)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the library's progress bars; afterwards they are as they were."""
    datasets = _datasets()
    shown = not datasets.utils.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()
