"""Runs measurements, each in a process of its own, so that peak memory is its own."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

T = TypeVar("T")
Measurement = Callable[[], str]


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _with_memory(measurement: Callable[[], T]) -> tuple[T, float]:
    result = measurement()
    return result, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def isolated(measurement: Callable[[], T]) -> tuple[T, float]:
    """What a measurement in a process of its own gives, and the peak memory in MB of that process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_with_memory, measurement).result()


def report(measurements: dict[str, Measurement]) -> None:
    """Prints a line each."""
    for label, measurement in measurements.items():
        line, memory = isolated(measurement)
        print(f"{label:<42}  {line}  [peak {memory:,.0f} MB]", flush=True)
