"""Processes that each do one thing after the other, told and asked by messages.

Unlike the standard library's pools this one outlives its workers: a worker that is killed (for memory, say) costs the
thing it was at, which comes back as a failure, and another takes its place.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from .measuring import resettable

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_NAME = "prompt-bandits worker"
_PATIENCE = 2.0  # seconds that a worker has to end when told to


@dataclass(frozen=True)
class Failure:
    """Why something could not be done."""

    error: str


@dataclass
class _Worker:
    process: Any
    connection: Connection
    job: Any = None
    done: int = 0
    begun: bool = False  # it has said so


class Pool:
    """`size` processes that apply `work` to jobs.

    Args:
        work: a function at the top of a module, of one job that can be sent to a process.
        size: processes at a time.
        log: where they write what would go to the terminal, tracebacks included.
    """

    def __init__(self, work: Callable[[Any], Any], size: int, log: Path) -> None:
        self._work, self._size, self._log = work, size, log
        self._workers: list[_Worker] = []
        self._jobs_each = None if resettable() else 1

    @property
    def free(self) -> int:
        """How many more jobs may be started."""
        return self._size - len(self.running)

    @property
    def running(self) -> list[Any]:
        """The jobs that were started and have not come back."""
        return [worker.job for worker in self._workers if worker.job is not None]

    def start(self, job: Any) -> None:
        """Hands a job to an idle process, a new one if need be."""
        assert self.free > 0
        for worker in [worker for worker in self._workers if worker.job is None]:
            with suppress(OSError):
                worker.connection.send(job)
                worker.job = job
                return
            self._end(worker)  # it died while idle
        worker = self._new()
        worker.connection.send(job)
        worker.job = job

    def results(self) -> Iterator[tuple[Any, Any]]:
        """Waits; then jobs that came back, each with its result or a Failure.

        Raises:
            RuntimeError: a process ended before it could begin, as all others would.
        """
        at_work = {worker.connection: worker for worker in self._workers if worker.job is not None}
        for connection in wait(list(at_work)):
            worker = at_work[connection]  # type: ignore[index]
            try:
                result = worker.connection.recv()
            except (EOFError, OSError):
                self._end(worker)
                result = Failure(_last_words(worker.process.exitcode))
                if not worker.begun:
                    raise RuntimeError(f"{result.error.partition(': ')[2]} before it could begin; {_GUARD}") from None
            if not worker.begun:
                worker.begun = True
                continue
            job, worker.job = worker.job, None
            worker.done += 1
            if worker.done == self._jobs_each and worker in self._workers:
                self._end(worker)
            yield job, result

    def close(self) -> None:
        """Ends all processes, whatever they are at."""
        with _deaf_to_interrupts():
            for worker in self._workers:
                if worker.job is not None:
                    worker.process.terminate()
            for worker in list(self._workers):
                self._end(worker)

    def _new(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._work, str(self._log)), daemon=True, name=_NAME)
        with _deaf_to_interrupts(), _one_thread_each():
            process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def _end(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.connection.close()  # which tells it
        worker.process.join(_PATIENCE)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()


_GUARD = 'expected a script to call run_benchmark and run_stage inside `if __name__ == "__main__":`'


def refuse_within_a_worker() -> None:
    """Ends a worker that comes here by importing the script that started the run.

    Raises:
        SystemExit: in a worker.
    """
    if multiprocessing.current_process().name == _NAME:
        raise SystemExit(f"prompt-bandits: {_GUARD}")


def _last_words(status: int | None) -> str:
    if status is not None and status < 0:
        name = signal.Signals(-status).name
        return f"RuntimeError: the process was ended by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    return f"RuntimeError: the process ended with status {status}"


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """No Ctrl-C in here. Processes that are started here never hear of one: they leave it to their parent."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started here compute in one thread: there are as many of them as cores, and the networks are small."""
    former = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in former.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(connection: Connection, work: Callable[[Any], Any], log: str) -> None:
    """A worker's life."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.stdout = sys.stderr = open(log, "a", buffering=1)  # noqa: SIM115
    connection.send(None)  # it has begun
    while True:
        try:
            job = connection.recv()
        except (EOFError, OSError):
            return
        try:
            result = work(job)
        except Exception as error:
            traceback.print_exc()
            result = Failure(f"{type(error).__name__}: {error}")
        connection.send(result)


def _end_with_parent() -> None:
    """A parent that was killed cannot tell its workers; they watch it."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
