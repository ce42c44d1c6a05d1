"""The rows recorded so far, and the pending one."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from prompt_bandits.datasets.columns import Columns, column_of, conforming, kinds_of
from prompt_bandits.datasets.dataset import BanditDataset
from prompt_bandits.datasets.keys import KeySet


class RowBuffer:
    """Recorded rows. The newest stays pending, open to `annotate`, until the next one or the end."""

    def __init__(self) -> None:
        self.keys = KeySet()
        self._closed: list[BanditDataset] = []
        self._pending: BanditDataset | None = None
        self._first: BanditDataset | None = None  # what later rows have to be like
        self._n = 0

    def __len__(self) -> int:
        return self._n

    def go_on(self, keys: KeySet, like: BanditDataset) -> None:
        """Behind rows that are elsewhere, with these keys and the columns of `like`."""
        self.keys, self._first = keys, like

    def settle(self) -> None:
        """Closes the pending rows.

        Raises:
            ValueError: they lack a propensity or an extra that earlier rows have, or the reverse. They stay pending.
        """
        if self._pending is not None:
            self._check_pending()
            self._first = self._first or self._pending
            self._closed.append(self._pending)
            self._pending = None

    def _check_pending(self) -> None:
        if self._pending is None or self._first is None:
            return
        first = self._first
        if (first.propensity is None) != (self._pending.propensity is None):
            had, has = ("unknown", "known") if first.propensity is None else ("known", "unknown")
            raise ValueError(
                f"propensity: {had} so far, {has} in the last row; annotate(propensity=...) every row or none"
            )
        _refuse_other_extras(dict(first.extras), dict(self._pending.extras))

    def put(self, rows: BanditDataset) -> None:
        """New pending rows; the former ones must be settled."""
        assert self._pending is None
        self.keys.update(KeySet.of(rows.seed, rows.round_id))
        self._pending = rows
        self._n += len(rows)

    def annotate(self, propensity: Any = None, **extras: Any) -> None:
        """Adds a propensity and extra columns to the pending rows."""
        if self._pending is None:
            raise ValueError("annotate: no pending round; call it after step and before the next step")
        n = len(self._pending)
        changes: dict[str, Any] = {
            "extras": {**self._pending.extras, **{name: column_of(name, value, n) for name, value in extras.items()}}
        }
        if propensity is not None:
            if self._pending.policies:
                raise ValueError("annotate: the propensity comes from logging_policy already; expected none")
            changes["propensity"] = column_of("propensity", propensity, n).astype(np.float64)
        self._pending = replace(self._pending, **changes)

    def dataset(self) -> BanditDataset:
        """All rows, the pending ones included; ValueError where those cannot be settled."""
        self._check_pending()
        rows = self._closed if self._pending is None else [*self._closed, self._pending]
        if not rows:
            raise ValueError("dataset: no round is recorded yet")
        return BanditDataset.concat(rows)

    def closed(self) -> BanditDataset | None:
        """The closed rows since they were last forgotten; None where there are none."""
        return BanditDataset.concat(self._closed) if self._closed else None

    def forget_closed(self) -> None:
        """They are elsewhere now; their keys stay."""
        self._closed = []

    def finish(self) -> None:
        """Closes the pending rows for good; those that cannot be settled are left out, with a warning."""
        try:
            self.settle()
        except ValueError as error:
            warnings.warn(f"the last row is left out of the dataset: {error}", stacklevel=3)
            assert self._pending is not None
            self._n -= len(self._pending)
            self._pending = None


def _refuse_other_extras(first: Columns, last: Columns) -> None:
    if first.keys() != last.keys():
        raise ValueError(
            f"extras: expected {sorted(first)} as in the rows so far, the last one has {sorted(last)}; annotate it"
        )
    try:
        conforming(last, kinds_of(first))
    except ValueError as error:
        raise ValueError(f"{error}; annotate it again") from error
