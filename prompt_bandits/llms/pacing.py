"""When the next request may be sent."""

from __future__ import annotations

import math
import threading
import time


class Gate:
    """Spaces requests evenly, so that no minute has more than a limit, and closes when a server asks for a pause.

    Args:
        requests_per_minute: None for no limit.
        tokens_per_minute: likewise.

    Raises:
        ValueError: a limit that is not above 0.
    """

    def __init__(self, requests_per_minute: float | None = None, tokens_per_minute: float | None = None) -> None:
        limits = {"requests_per_minute": requests_per_minute, "tokens_per_minute": tokens_per_minute}
        for name, value in limits.items():
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{name}: expected a number above 0, got {value}")
        self._per_request = 60 / requests_per_minute if requests_per_minute else 0.0
        self._per_token = 60 / tokens_per_minute if tokens_per_minute else 0.0
        self._next, self._lock = 0.0, threading.Lock()

    def turn_s(self, tokens: int) -> float:
        """Takes the next turn, for a request of so many tokens; in how many seconds it is."""
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + max(self._per_request, self._per_token * tokens)
            return turn - now

    def close_for(self, seconds: float) -> None:
        """No further turn before that."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)
