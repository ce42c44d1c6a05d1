"""Runs measurements, each in a process of its own, so that peak memory is its own."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

Measurement = Callable[[], str]


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _with_memory(measurement: Measurement) -> tuple[str, float]:
    """What the measurement says, and the peak memory in MB of its process."""
    line = measurement()
    return line, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def report(measurements: dict[str, Measurement]) -> None:
    """Prints a line each."""
    for label, measurement in measurements.items():
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            line, memory = pool.submit(_with_memory, measurement).result()
        print(f"{label:<42}  {line}  [peak {memory:,.0f} MB]", flush=True)
