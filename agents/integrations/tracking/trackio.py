"""Metrics to Trackio, which keeps them on this machine unless told otherwise."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

from .tracker import MISSING, Tracker, plain_config


class Trackio(Tracker):
    """A run of Trackio; `trackio show --project <project>` shows it.

    Runs are kept where the environment's TRACKIO_DIR said when trackio was imported, or else in its own cache folder.

    Args:
        project: where the run goes.
        config: a learner or another dataclass, or a mapping.
        options: further arguments of `trackio.init`, such as name, group or space_id.

    Raises:
        ImportError: trackio is not installed.
    """

    def __init__(self, project: str, config: object = None, *, options: Mapping[str, Any] | None = None) -> None:
        try:
            import trackio
        except ImportError as error:
            raise ImportError(MISSING.format("Trackio")) from error
        values = {} if config is None else plain_config(config)
        quiet = {"embed": False, "auto_log_cpu": False, "auto_log_gpu": False}
        self.run = trackio.init(project=project, config=values, **{**quiet, **(options or {})})
        self._finish = weakref.finalize(self, self.run.finish)  # where nobody closes it

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self.run.log(dict(metrics), step=step)

    def _close(self, failed: bool) -> None:
        if failed:
            self.run.log({"failed": 1})
        self._finish()
