"""The rows recorded so far, and the pending one."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prompt_bandits.datasets.dataset import BanditDataset
from prompt_bandits.types import IntArray


class RowBuffer:
    """Recorded rows. The newest stays pending, open to `annotate`, until the next one or the end."""

    def __init__(self) -> None:
        self._closed: list[BanditDataset] = []
        self._pending: BanditDataset | None = None
        self._highest: dict[int, int] = {}
        self._n = 0

    def __len__(self) -> int:
        return self._n

    def refuse_doubled(self, seed: IntArray, round_id: IntArray) -> None:
        """Raises a ValueError if a key (seed, round_id) is recorded already; to be called before the round is
        played.
        """
        for one in np.unique(seed):
            ids = round_id[seed == one]
            if len(np.unique(ids)) < len(ids):
                raise ValueError(f"round: seed {one} has a round twice in one step: {ids.tolist()}")
            if ids.min() > self._highest.get(int(one), -1):
                continue
            known = [rows.round_id[rows.seed == one] for rows in self._rows()]
            doubled = np.intersect1d(ids, np.concatenate(known))
            if len(doubled):
                raise ValueError(
                    f"round: seed {one}, round {doubled[0]} is recorded already; reset with another seed or go on"
                )

    def settle(self) -> None:
        """Closes the pending rows.

        Raises:
            ValueError: they lack a propensity or an extra that earlier rows have, or the reverse. They stay pending.
        """
        if self._pending is not None:
            self._check_pending()
            self._closed.append(self._pending)
            self._pending = None

    def _check_pending(self) -> None:
        if self._pending is None or not self._closed:
            return
        first = self._closed[0]
        if (first.propensity is None) != (self._pending.propensity is None):
            had, has = ("unknown", "known") if first.propensity is None else ("known", "unknown")
            raise ValueError(
                f"propensity: {had} so far, {has} in the last row; annotate(propensity=...) every row or none"
            )
        _refuse_other_extras(first.extras, self._pending.extras)

    def put(self, rows: BanditDataset) -> None:
        """New pending rows; the former ones must be settled."""
        assert self._pending is None
        self._pending = rows
        self._n += len(rows)
        for one in np.unique(rows.seed):
            self._highest[int(one)] = max(self._highest.get(int(one), -1), int(rows.round_id[rows.seed == one].max()))

    def annotate(self, propensity: Any = None, **extras: Any) -> None:
        """Adds a propensity and extra columns to the pending rows."""
        if self._pending is None:
            raise ValueError("annotate: no pending round; call it after step and before the next step")
        n = len(self._pending)
        changes: dict[str, Any] = {
            "extras": {**self._pending.extras, **{name: _column(name, value, n) for name, value in extras.items()}}
        }
        if propensity is not None:
            if self._pending.policies:
                raise ValueError("annotate: the propensity comes from logging_policy already; expected none")
            changes["propensity"] = _column("propensity", propensity, n).astype(np.float64)
        self._pending = replace(self._pending, **changes)

    def dataset(self) -> BanditDataset:
        """All rows, the pending ones included; ValueError where those cannot be settled."""
        self._check_pending()
        rows = self._rows()
        if not rows:
            raise ValueError("dataset: no round is recorded yet")
        return BanditDataset.concat(rows)

    def finish(self) -> BanditDataset | None:
        """All rows at the end; pending ones that cannot be settled are left out, with a warning."""
        try:
            self.settle()
        except ValueError as error:
            warnings.warn(f"the last row is left out of the dataset: {error}", stacklevel=3)
            self._n -= 0 if self._pending is None else len(self._pending)
            self._pending = None
        return self.dataset() if self._closed else None

    def _rows(self) -> list[BanditDataset]:
        return self._closed if self._pending is None else [*self._closed, self._pending]


def _refuse_other_extras(first: Mapping[str, NDArray[Any]], last: Mapping[str, NDArray[Any]]) -> None:
    if set(first) != set(last):
        raise ValueError(
            f"extras: expected {sorted(first)} as in the rows so far, the last one has {sorted(last)}; annotate it"
        )
    for name, column in first.items():
        same_kind = (column.dtype == object) == (last[name].dtype == object)
        if not same_kind or column.shape[1:] != last[name].shape[1:]:
            expected = f"{'texts' if column.dtype == object else 'numbers'} of shape {column.shape[1:]}"
            got = f"{'texts' if last[name].dtype == object else 'numbers'} of shape {last[name].shape[1:]}"
            raise ValueError(f"{name}: expected {expected} as in the rows so far, got {got}; annotate it again")


def _column(name: str, value: Any, n: int) -> NDArray[Any]:
    """Numbers or texts, (n,) or (n, d)."""
    try:
        column = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name}: expected numbers or texts of one shape, got {value!r}") from error
    if column.dtype.kind == "U":
        column = column.astype(object)
    is_text = column.dtype == object and column.ndim == 1 and all(isinstance(item, str) for item in column)
    if not is_text and (column.dtype.kind not in "biuf" or column.ndim > 2):
        raise ValueError(f"{name}: expected numbers or texts, got {value!r}")
    if column.ndim == 0 or len(column) != n:
        raise ValueError(f"{name}: expected {n} values, one a row, got {1 if column.ndim == 0 else len(column)}")
    return column
