"""The curve of a training: lines in a file, and a picture of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..callbacks import Chain, JSONLines, PolicyValue
from ..protocols import Callback


def callback(file: Path, simulator: Any, contexts: int) -> Callback:
    """Appends every log to `file`, with the true value of the policy where `contexts` of a simulator are given."""
    lines = JSONLines(file)
    return Chain([PolicyValue(simulator, contexts), lines]) if contexts else lines


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
