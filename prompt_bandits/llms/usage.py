"""How often a server was asked."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Usage:
    """Counts over a model's life."""

    sent: int = 0  # attempts, repeated ones too
    answered: int = 0  # of the sent ones, whose answer arrived in one piece
    repeated: int = 0  # of the sent ones, for a request that had been sent and was lost
    in_flight: int = 0  # at this moment
    in_flight_max: int = 0
    prompt_tokens: int = 0  # as the server told them, of what was answered
    new_tokens: int = 0


class Meter:
    """Keeps a `Usage` up to date, from any thread."""

    def __init__(self) -> None:
        self._usage, self._lock = Usage(), threading.Lock()

    @property
    def usage(self) -> Usage:
        """As it is now."""
        return self._usage

    def sent(self, again: bool) -> None:
        """An attempt begins."""
        with self._lock:
            now = self._usage
            n = now.in_flight + 1
            self._usage = replace(
                now,
                sent=now.sent + 1,
                repeated=now.repeated + again,
                in_flight=n,
                in_flight_max=max(n, now.in_flight_max),
            )

    def ended(self) -> None:
        """An attempt is over, one way or another."""
        with self._lock:
            self._usage = replace(self._usage, in_flight=self._usage.in_flight - 1)

    def answered(self, prompt_tokens: int, new_tokens: int) -> None:
        """Its answer arrived."""
        with self._lock:
            now = self._usage
            self._usage = replace(
                now,
                answered=now.answered + 1,
                prompt_tokens=now.prompt_tokens + prompt_tokens,
                new_tokens=now.new_tokens + new_tokens,
            )
