"""Says so when another package named `agents` stands where this one should."""

from __future__ import annotations

import sys

_found = sys.modules["agents"]
if getattr(_found, "PROJECT", None) != "prompt_bandits":
    raise ImportError(
        f"another package named agents was found ({getattr(_found, '__file__', None)}), such as openai-agents; "
        "prompt_bandits needs its own: use an environment without the other"
    )
