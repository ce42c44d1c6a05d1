"""Rounds to and from the formats of other libraries: one small file each, whose libraries are imported when needed."""

from __future__ import annotations

import importlib
from typing import Any

from prompt_bandits.exchange.formats import FORMATS, Format, export_dataset, import_dataset

_IN_MEMORY = {
    "to_obp": "obp",
    "from_obp": "obp",
    "to_scope_rl": "scope_rl",
    "from_scope_rl": "scope_rl",
    "to_pandas": "pandas_frames",
    "from_pandas": "pandas_frames",
    "to_prompt_completion": "trl",
    "to_preferences": "preferences",
    "to_d3rlpy": "d3rlpy",
    "from_d3rlpy": "d3rlpy",
    "to_minari": "minari",
    "from_minari": "minari",
    "to_huggingface": "huggingface",
    "from_huggingface": "huggingface",
    "push_to_hub": "hub",
    "pull_from_hub": "hub",
}
__all__ = ["FORMATS", "Format", "export_dataset", "import_dataset", *_IN_MEMORY]


def __getattr__(name: str) -> Any:
    if name not in _IN_MEMORY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_IN_MEMORY[name]}"), name)
