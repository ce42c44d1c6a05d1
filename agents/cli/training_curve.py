"""The curve of a training: lines in a file, and a picture of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..callbacks import Chain, JSONLines, PolicyValue
from ..protocols import Callback

if TYPE_CHECKING:
    from ..integrations.tracking import Tracker


def callback(file: Path, simulator: Any, contexts: int, tracker: Callback) -> Callback:
    """Appends every log to `file` and tells the tracker, with the true value of the policy where `contexts` of a
    simulator are given.
    """
    judge = [PolicyValue(simulator, contexts)] if contexts else []
    return Chain([*judge, JSONLines(file), tracker])


def tracker_of(names: Sequence[str], project: str, out: Path, config: Any) -> Tracker:
    """Trackers by name: tensorboard, wandb and trackio, each with a run of the name of `out`.

    Raises:
        ImportError: one is not installed; the message says how.
    """
    from ..integrations import tracking

    options = {"name": out.name}
    makers: dict[str, Callable[[], Tracker]] = {
        "tensorboard": lambda: tracking.TensorBoard(tensorboard_folder(out), config),
        "wandb": lambda: tracking.WeightsAndBiases(project, config, options=options),
        "trackio": lambda: tracking.Trackio(project, config, options=options),
    }
    return tracking.Several(*(makers[name]() for name in dict.fromkeys(names)))


def tensorboard_folder(out: Path) -> Path:
    """Beside the policies, so that one `tensorboard --logdir` shows all of them, while they learn."""
    return out.parent / "tensorboard" / out.name


def draw_curve(file: Path, picture: Path) -> bool:
    """Writes a PNG with a panel for each metric; False where there is nothing to draw, or no matplotlib."""
    if not file.is_file():
        return False
    logs = [json.loads(line) for line in file.read_text().splitlines()]
    names = list(dict.fromkeys(name for log in logs for name in log if name != "step"))
    try:
        from ..plotting import pyplot

        plt = pyplot()
    except ImportError:
        return False
    figure, panels = plt.subplots(len(names), figsize=(6, 1 + 1.7 * len(names)), layout="constrained", squeeze=False)
    for name, axes in zip(names, panels[:, 0], strict=True):
        points = [(log["step"], log[name]) for log in logs if name in log]
        axes.plot(*zip(*points, strict=True), marker="." if len(points) < 20 else None)
        axes.set(ylabel=name.replace("_", " "))
        axes.spines[["top", "right"]].set_visible(False)
    panels[-1, 0].set(xlabel="step")
    figure.savefig(picture, dpi=120)
    plt.close(figure)
    return True
