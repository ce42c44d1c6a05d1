"""A bar for what takes long."""

from __future__ import annotations

from typing import Any


def progress_bar(total: int, label: str, shown: bool = True) -> Any:
    """A tqdm bar that appears on a terminal after a second of work, and goes when done."""
    from tqdm.auto import tqdm

    return tqdm(total=total, desc=label, delay=1, disable=None if shown else True, leave=False)
