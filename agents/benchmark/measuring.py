"""Wall time and peak memory of a part of a process's life.

A process knows the most memory that it ever held. On Linux that mark can be set back to what is held now, so that
every cell has its own; elsewhere a cell needs a process of its own, and `resettable()` says so.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass
class Measured:
    """Seconds, and MiB of resident memory at its peak, the interpreter and its libraries included; None: unknown."""

    wall_s: float = 0.0
    peak_mb: float | None = None

    def to_json(self) -> dict[str, float | None]:
        return {"wall_s": self.wall_s, "peak_mb": self.peak_mb}

    def then(self, other: Measured) -> Measured:
        """Of both, one after the other."""
        peaks = [peak for peak in (self.peak_mb, other.peak_mb) if peak is not None]
        return Measured(round(self.wall_s + other.wall_s, 3), max(peaks, default=None))


@contextmanager
def measured() -> Iterator[Measured]:
    """Measures the block; the numbers are there after it."""
    cost = Measured()
    gc.collect()
    _reset()
    begin = time.perf_counter()
    try:
        yield cost
    finally:
        cost.wall_s = round(time.perf_counter() - begin, 3)
        cost.peak_mb = _peak()


def _reset() -> bool:
    """Sets the mark back; False where that cannot be done."""
    with suppress(OSError):
        _CLEAR.write_text("5")
        return True
    return False


def _peak() -> float | None:
    with suppress(OSError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) / 1024, 1)
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024), 1)


def resettable() -> bool:
    """Whether one process can measure several things, one after the other."""
    return _STATUS.is_file() and _reset()
