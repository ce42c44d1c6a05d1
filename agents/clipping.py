"""The largest weight that is allowed."""

from __future__ import annotations


def check_clip(clip: float | None) -> None:
    """Refuses a clip that leaves no weight."""
    if clip is not None and not clip > 0:
        raise ValueError(f"clip: expected > 0 or None, got {clip}")
