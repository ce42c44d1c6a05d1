"""Files in the columns of the Open Bandit Dataset (Saito et al., 2021; https://research.zozo.com/data.html).

A folder holds a log, `all.csv`, and its items, `item_context.csv`. Columns of the log: a row number, `timestamp`,
`item_id`, `position`, `click`, `propensity_score`, `user_feature_…`, `user-item_affinity_…`; of the items: a row
number, `item_id`, `item_feature_…`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prompt_bandits.datasets.dataset import BanditDataset
from prompt_bandits.exchange.feature_columns import features_of, read, refuse_missing
from prompt_bandits.exchange.logged import LoggedData, in_parts
from prompt_bandits.types import FloatArray, IntArray, Prompts

ITEMS = "item_context.csv"
_USER, _ITEM = "user_feature_", "item_feature_"
_COLUMNS = ("query", "propensity", "extras.time", "extras.position")


_YEAR_9999 = 253402300799  # no date behind it can be read back


def import_file(
    path: Path, *, features: Sequence[str] = (_USER,), items: str | Path | None = None, dim_query: int = 0
) -> BanditDataset:
    """A log of the Open Bandit Dataset.

    Numeric features are taken as they are; texts (the dataset's hashes) become a column for each value but the first in
    alphabetical order, as Open Bandit Pipeline makes the context; items' features are made in the same way (the
    pipeline numbers the values instead). `position` becomes an extra, counted from 0, where there are several;
    `timestamp`, where it is a time, the extra `time`. Rows keep the order of the file.

    Args:
        path: the log, or a folder with one log (and the items).
        features: beginnings of the names of the columns that make up the context; "user-item_affinity_" is another.
        items: the file of items; None: `item_context.csv` beside the log, else nothing is known of them.
        dim_query: how many of the last features are the query's, as in a file of ours.

    Raises:
        ValueError: a column is missing, an item is unknown, or the folder holds no or several logs.
    """
    log = _log_in(path)
    table = read(log, ("timestamp", "item_id", "position", "click", "propensity_score", *features))
    refuse_missing(log, table, ("item_id", "click", "propensity_score"))
    context = features_of(table, features)
    if not 0 <= dim_query < context.shape[1]:
        raise ValueError(f"{log}: expected more than dim_query={dim_query} features, got {context.shape[1]}")
    n = context.shape[1] - dim_query
    prompts, action = _prompts_of(log, table["item_id"].to_numpy(), Path(items) if items else log.with_name(ITEMS))
    return BanditDataset.from_arrays(
        context[:, :n],
        action,
        table["click"].to_numpy(),
        prompts=prompts,
        propensity=table["propensity_score"].to_numpy(),
        query=context[:, n:] if dim_query else None,
        extras=_extras(table),
    )


def export_file(data: LoggedData, path: Path, *, campaign: str = "all") -> None:
    """Writes a folder with `<campaign>.csv` and `item_context.csv`; a folder of rounds is read a part at a time.

    Move it to `<data_path>/random/<campaign>`, and Open Bandit Pipeline's `OpenBanditDataset("random", campaign,
    data_path)` loads it. Context and query stand side by side as numeric `user_feature_…`. `position` is the extra of
    that name plus 1, else 1; `timestamp` the extra `time`, else the row's number. Prompts keep their ids. Lost are
    texts, sentences, outputs, masks, user and query ids, seeds, other extras, oracle and policies.

    Args:
        data: rounds with known propensities.
        path: of the folder.
        campaign: the name of the log; the pipeline knows all, men and women.

    Raises:
        ValueError: propensities are unknown, or `time` is no seconds since 1970.
    """
    data.require_columns("propensity")
    path.mkdir(parents=True, exist_ok=True)
    _write(path / ITEMS, [_items(data.prompts)])
    _write(path / f"{campaign}.csv", _log_tables(data))


def _items(prompts: Prompts) -> dict[str, Any]:
    features = {f"{_ITEM}{i}": column for i, column in enumerate(prompts.embedding.T)}
    return {"": np.arange(len(prompts)), "item_id": prompts.prompt_id} | features


def _log_tables(data: LoggedData) -> Iterator[dict[str, Any]]:
    first = 0
    for part in in_parts(data, _COLUMNS):
        rows = np.arange(first, first + len(part))
        time, position = part.extras.get("time"), part.extras.get("position")
        yield {
            "": rows,
            "timestamp": rows if time is None else _times(time),
            "item_id": part.prompts.prompt_id[part.action],
            "position": np.ones(len(part), np.int64) if position is None else position + 1,
            "click": part.reward,
            "propensity_score": part.propensity,
        } | {f"{_USER}{i}": column for i, column in enumerate(part.obs.features().T)}
        first += len(part)


def _times(seconds: FloatArray) -> Any:
    import pyarrow as pa

    missing = np.isnan(seconds)
    if (np.abs(seconds[~missing]) > _YEAR_9999).any():
        raise ValueError(f"extras.time: expected seconds since 1970, got {np.nanmax(np.abs(seconds)):g}")
    micros = np.where(missing, 0, np.round(seconds * 1e6)).astype(np.int64)
    return pa.array(micros, pa.timestamp("us", "UTC"), mask=missing)


def _write(file: Path, tables: Iterable[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.csv as pc

    writer = None
    for columns in tables:
        table = pa.table(columns)
        writer = writer or pc.CSVWriter(file, table.schema)
        writer.write_table(table)
    if writer is None:
        raise ValueError(f"{file}: expected at least one round to write, got none")
    writer.close()


def _log_in(path: Path) -> Path:
    if path.is_file():
        return path
    logs = sorted(file for file in path.glob("*.csv") if file.name != ITEMS)
    if len(logs) != 1:
        raise ValueError(f"{path}: expected one log, a .csv beside {ITEMS}, found {[file.name for file in logs]}")
    return logs[0]


def _prompts_of(log: Path, item: IntArray, items: Path) -> tuple[Prompts, IntArray]:
    """The items as prompts, and each row's action."""
    if not items.is_file():
        prompts = Prompts.one_hot(int(item.max(initial=0)) + 1)
    else:
        table = read(items, ("item_id", _ITEM))
        refuse_missing(items, table, ("item_id",))
        embedding = features_of(table, (_ITEM,))
        ids = np.asarray(table["item_id"].to_numpy(), np.int64)
        known = embedding if embedding.shape[1] else np.eye(len(ids), dtype=np.float32)
        prompts = Prompts(ids, known)
    order = np.argsort(prompts.prompt_id)
    place = np.searchsorted(prompts.prompt_id[order], item).clip(max=len(order) - 1)
    action = order[place]
    unknown = prompts.prompt_id[action] != item
    if unknown.any():
        row = int(unknown.argmax())
        raise ValueError(f"{log}: item_id: expected one of the items, got {item[row]} in row {row}")
    return prompts, action


def _extras(table: Any) -> dict[str, NDArray[Any]]:
    import pyarrow as pa

    extras: dict[str, NDArray[Any]] = {}
    if "position" in table.column_names:
        distinct, position = np.unique(table["position"].to_numpy(), return_inverse=True)
        if len(distinct) > 1:
            extras["position"] = position.astype(np.int64)
    if "timestamp" in table.column_names and pa.types.is_timestamp(table["timestamp"].type):
        micros = table["timestamp"].cast(pa.timestamp("us", "UTC"), safe=False).cast(pa.int64())
        extras["time"] = micros.to_numpy() / 1e6  # NaN where missing
    return extras
