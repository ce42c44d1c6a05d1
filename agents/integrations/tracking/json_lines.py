"""A run's folder: its config, its metrics as JSON lines, and how it ended."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path

from .tracker import Tracker, plain_config

CONFIG, METRICS = "config.json", "metrics.jsonl"


class RunFolder(Tracker):
    """Writes `config.json` (config and status: running, finished or failed) and `metrics.jsonl`, an object a log.

    Each line is written at once, so that a run that is killed keeps what it has logged. A number that is not finite is
    null.

    Args:
        folder: made if need be.
        config: a learner or another dataclass, or a mapping.
        overwrite: replace the run that is there.

    Raises:
        FileExistsError: a run is there already.
    """

    def __init__(self, folder: str | Path, config: object = None, *, overwrite: bool = False) -> None:
        self.folder = Path(folder)
        if (self.folder / METRICS).exists() and not overwrite:
            raise FileExistsError(f"{self.folder}: a run is there already; take another folder, or overwrite=True")
        self._config = {} if config is None else plain_config(config)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._stream = (self.folder / METRICS).open("w")
        self._tell("running")

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        values = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
        self._stream.write(json.dumps({"step": step, **values}) + "\n")
        self._stream.flush()

    def _close(self, failed: bool) -> None:
        self._stream.close()
        self._tell("failed" if failed else "finished")

    def _tell(self, status: str) -> None:
        draft = self.folder / f".{CONFIG}"
        draft.write_text(json.dumps({"status": status, "config": self._config}, indent=1, ensure_ascii=False))
        os.replace(draft, self.folder / CONFIG)
