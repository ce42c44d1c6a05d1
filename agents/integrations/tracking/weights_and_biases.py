"""Metrics to Weights & Biases, or offline to a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .tracker import MISSING, Tracker, plain_config


class WeightsAndBiases(Tracker):
    """A run of Weights & Biases.

    The step is a metric that the others are drawn over: a learner that fits several models starts its steps anew with
    each, which the service's own counter would drop.

    Args:
        project: where the run goes.
        config: a learner or another dataclass, or a mapping.
        mode: "offline" writes to `folder` and asks for no account (`wandb sync` sends it later), "online" sends; the
            environment's WANDB_MODE unless told.
        folder: where files go; the working directory unless told.
        options: further arguments of `wandb.init`, such as name, group or tags.

    Raises:
        ImportError: wandb is not installed.
    """

    def __init__(
        self,
        project: str,
        config: object = None,
        *,
        mode: str | None = None,
        folder: str | Path | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        try:
            import wandb
        except ImportError as error:
            raise ImportError(MISSING.format("Weights & Biases")) from error
        given = {"mode": mode, "dir": None if folder is None else str(folder)}
        if folder is not None:
            Path(folder).mkdir(parents=True, exist_ok=True)
        told: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        values = {} if config is None else plain_config(config)
        self.run = wandb.init(project=project, config=values, **told, **(options or {}))
        self.run.define_metric("*", step_metric="step")

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self.run.log({**metrics, "step": step})

    def _close(self, failed: bool) -> None:
        self.run.finish(exit_code=int(failed))
