"""A fitted collaborative filtering beside a reward simulator: `collaborative_filtering.safetensors` in its folder, the
arrays of a `RewardHead` by name and `item_embedding` (n_items, d)."""

from __future__ import annotations

from pathlib import Path

from prompt_bandits.movie.rewards.head import RewardHead
from prompt_bandits.types import FloatArray

_FILE, _ITEMS = "collaborative_filtering.safetensors", "item_embedding"


def save_collaborative_filtering(folder: str | Path, head: RewardHead, item_embedding: FloatArray) -> Path:
    """Writes head and films to `folder`."""
    from safetensors.numpy import save_file

    save_file(head.arrays() | {_ITEMS: item_embedding}, Path(folder) / _FILE)
    return Path(folder)


def load_collaborative_filtering(folder: str | Path) -> tuple[RewardHead, FloatArray] | None:
    """Head and films; None where `folder` holds none.

    Raises:
        ValueError: a damaged file.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    file = Path(folder) / _FILE
    if not file.is_file():
        return None
    try:
        arrays = dict(load_file(file))
        films = arrays.pop(_ITEMS)
    except (ValueError, OSError, KeyError, SafetensorError) as error:
        raise ValueError(f"{file}: damaged: {error!r}") from error
    return RewardHead.from_arrays(arrays), films
