"""What may be made of importance weights to tame the large ones: pure functions (n,) -> (n,)."""

from __future__ import annotations

import numpy as np

from prompt_bandits.types import FloatArray


def clipped(weight: FloatArray, clip: float | None) -> FloatArray:
    """min(w, clip) (Ionides, 2008); the weights themselves with None."""
    return weight if clip is None else np.minimum(weight, clip)


def check_clip(clip: float | None) -> None:
    """Refuses a clip that leaves no weight."""
    if clip is not None and not clip > 0:
        raise ValueError(f"clip: expected > 0 or None, got {clip}")
