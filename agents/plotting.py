"""Matplotlib, where it is installed."""

from __future__ import annotations

from typing import Any


def pyplot() -> Any:
    """`matplotlib.pyplot`.

    Raises:
        ImportError: it is not installed; the message says how.
    """
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        raise ImportError('plots need matplotlib: pip install "prompt_bandits[plots]"') from error
    return plt


def new_axes(width: float, height: float) -> Any:
    """Axes of a new figure, in inches. Raises as `pyplot`."""
    return pyplot().subplots(figsize=(width, height), layout="constrained")[1]
