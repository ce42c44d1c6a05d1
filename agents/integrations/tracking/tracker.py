"""What trackers have in common: opened when they are made, closed at the end of a `with`, whatever happens in it."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from typing_extensions import Self

from prompt_bandits.protocols import Policy

from ...protocols import Callback

MISSING = 'tracking needs {}: pip install "prompt_bandits[tracking]"'


class Tracker(ABC):
    """A callback that logs to a place, under the names that metrics have."""

    _closed = False

    @abstractmethod
    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Writes metrics down."""

    @abstractmethod
    def _close(self, failed: bool) -> None:
        """Writes what is left, and that it is over."""

    def __call__(self, step: int, metrics: Mapping[str, float], policy: Policy | None) -> None:
        if self._closed:
            raise ValueError(
                f"{type(self).__name__}: expected a tracker that is open, this one is closed; make another"
            )
        self.log(step, metrics)

    def close(self, *, failed: bool = False) -> None:
        """Ends the run; a second time does nothing."""
        if not self._closed:
            self._closed = True
            self._close(failed)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        try:
            self.close(failed=kind is not None)
        except Exception as other:
            if kind is None:
                raise
            warnings.warn(
                f"{type(self).__name__}: cannot be closed: {other!r}", stacklevel=2
            )  # the first error goes on


class Several(Tracker):
    """All of these at once; each is closed even where another cannot be."""

    def __init__(self, *trackers: Tracker) -> None:
        self._trackers = trackers

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        for tracker in self._trackers:
            tracker.log(step, metrics)

    def _close(self, failed: bool) -> None:
        with ExitStack() as stack:
            for tracker in reversed(self._trackers):
                stack.callback(tracker.close, failed=failed)


@dataclass(frozen=True)
class Prefixed:
    """Metrics as "name/metric", for several learners in one tracker."""

    callback: Callback
    name: str

    def __call__(self, step: int, metrics: Mapping[str, float], policy: Policy | None) -> None:
        self.callback(step, {f"{self.name}/{metric}": value for metric, value in metrics.items()}, policy)


def plain_config(config: object) -> dict[str, Any]:
    """A config as JSON values: a mapping, or a dataclass such as a learner, whose class is kept under "class".

    Raises:
        TypeError: it is neither.
    """
    if is_dataclass(config) and not isinstance(config, type):
        return {"class": type(config).__name__, **{name: _plain(value) for name, value in asdict(config).items()}}
    if isinstance(config, Mapping):
        return {str(name): plain_config(one) if is_dataclass(one) else _plain(one) for name, one in config.items()}
    raise TypeError(f"config: expected a mapping or a dataclass, got {config!r}")


def _plain(value: Any) -> Any:
    """JSON values; what is none as text."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(one) for one in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    return value if value is None or isinstance(value, (bool, int, float, str)) else repr(value)
