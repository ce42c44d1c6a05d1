"""Metrics to TensorBoard's event files."""

from __future__ import annotations

import json
import weakref
from collections.abc import Mapping
from pathlib import Path

from .tracker import MISSING, Tracker, plain_config


class TensorBoard(Tracker):
    """Scalars under their names, the config as a text; `tensorboard --logdir <folder>` shows them.

    Args:
        folder: of the event files; each run wants one of its own.
        config: a learner or another dataclass, or a mapping.

    Raises:
        ImportError: TensorBoard is not installed.
    """

    def __init__(self, folder: str | Path, config: object = None) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ImportError(MISSING.format("TensorBoard")) from error
        self._writer = SummaryWriter(str(folder))
        weakref.finalize(self, self._writer.close)  # where nobody closes it
        if config is not None:
            text = json.dumps(plain_config(config), indent=1, ensure_ascii=False)
            self._writer.add_text("config", "".join(f"    {line}\n" for line in text.splitlines()))

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def _close(self, failed: bool) -> None:
        self._writer.add_text("status", "failed" if failed else "finished")
        self._writer.close()
