"""Work shared among processes of one thread each, none of which outlives the process that started it."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import wait
from typing import Any, TypeVar

from prompt_bandits.progress import progress_bar

Task = TypeVar("Task")
Result = TypeVar("Result")


def in_processes(
    work: Callable[[Task], Result],
    tasks: Sequence[Task],
    start: Callable[..., None],
    arguments: tuple[Any, ...],
    what: str,
) -> list[Result]:
    """`work` of each task, in their order, on all cores; every process calls `start(*arguments)` first."""
    context = multiprocessing.get_context("spawn")
    results = []
    with (
        ProcessPoolExecutor(os.cpu_count(), context, initializer=_begin, initargs=(start, arguments)) as pool,
        progress_bar(len(tasks), what) as bar,
    ):
        for result in pool.map(work, tasks):
            results.append(result)
            bar.update(1)
    return results


def _begin(start: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    import torch

    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    start(*arguments)


def _end_with_parent() -> None:
    """A parent that was killed cannot tell its workers; they watch it."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
