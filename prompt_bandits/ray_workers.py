"""Workers as tasks of Ray: on this machine, or wherever a Ray cluster has CPUs and sees the dataset's folder.

A task that dies with its process or its machine is started anew and goes on behind what it had flushed.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prompt_bandits.datasets.locking import FolderLock
from prompt_bandits.datasets.merging import ENDING
from prompt_bandits.progress import progress_bar
from prompt_bandits.simulator import PromptSimulator

if TYPE_CHECKING:
    from prompt_bandits.workers import Job

RETRIES = 3  # of a task whose process died; each goes on, so that none plays much twice
_PIECE = 1 << 20  # rounds a task plays at most: half a minute or so
_OBJECT_STORE = 80 << 20  # bytes, about the least that Ray takes: rows go to disk, not through Ray


def pieces(missing: Sequence[tuple[int, int]], workers: int) -> int:
    """Into how many tasks these rounds are cut, of which `workers` run at a time."""
    n = sum(end - begin for begin, end in missing)
    return max(workers, -(-n // _PIECE))


def refuse_live(simulator: PromptSimulator, seed: int, start: int) -> None:
    """Raises a ValueError where sentences of these rounds would have to be asked for.

    A task that is started anew, perhaps on another machine, would ask again, and may be answered otherwise.
    """
    asked = simulator.is_costly(simulator.observe(simulator.rounds(seed, start, 1)))
    if asked and not getattr(getattr(simulator.llm, "model", None), "replay", False):
        raise ValueError(
            "engine='ray': expected sentences that are known beforehand (a synthetic world, a bank, or a cache with "
            "replay=True), got an LLM that has to be asked; let a server write for many requests at once, with "
            "engine='processes' and a cache (docs/scale.md)"
        )


def run(jobs: Sequence[Job], workers: int, progress: bool) -> None:
    """Runs all jobs, `workers` at a time.

    Raises:
        ImportError: no Ray.
        RuntimeError: what the first job that failed said; the others are stopped.
    """
    ray = _ray()
    with _cluster(ray, workers), progress_bar(sum(job.n for job in jobs), "collect", progress) as bar:
        task = ray.remote(num_cpus=1, max_retries=RETRIES)(_work)
        waiting, running = deque(jobs), dict[Any, int]()
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    job = waiting.popleft()
                    running[task.remote(job, os.getcwd(), sys.path)] = job.n
                for done in ray.wait(list(running))[0]:
                    ray.get(done)
                    bar.update(running.pop(done))
        except BaseException as error:
            for other in running:
                ray.cancel(other, force=True)
            if isinstance(error, ray.exceptions.RayError):
                cause = getattr(error, "cause", None) or error
                raise RuntimeError(
                    f"collect: a task of Ray ended and said: {type(cause).__name__}: {_first_line(cause)}; "
                    "resume=True plays what is missing"
                ) from error
            raise


def _work(job: Job, cwd: str, path: list[str]) -> None:
    """A task. On another machine `cwd` may be missing; there, paths among an environment's arguments are absolute."""
    from prompt_bandits.workers import work

    sys.path += [folder for folder in path if folder not in sys.path]
    if os.path.isdir(cwd):
        os.chdir(cwd)
    FolderLock(Path(job.out), patience=ENDING).release()  # of its predecessor, which may be ending still
    for _ in work(job):
        pass


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or ["nothing"])[0]


@contextmanager
def _cluster(ray: Any, workers: int) -> Iterator[None]:
    """The cluster that this process is connected to, or RAY_ADDRESS names; else one of this machine, for as long as it
    takes.
    """
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # says nothing to anyone
    if os.environ.get("RAY_ADDRESS"):
        ray.init(log_to_driver=False)
    else:
        start_here(workers)
    try:
        yield
    finally:
        ray.shutdown()


def start_here(n_cpus: int) -> None:
    """Starts Ray on this machine, small and to itself. Ray gives itself half a minute, which a busy machine may exceed
    once.
    """
    ray = _ray()
    options = {"include_dashboard": False, "object_store_memory": _OBJECT_STORE, "log_to_driver": False}
    for last in (False, False, True):
        try:
            ray.init("local", num_cpus=n_cpus, **options)
            return
        except Exception as error:  # Ray raises a bare one
            ray.shutdown()
            if last or "timed out" not in str(error):
                raise


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise ImportError('engine="ray" needs Ray: pip install "prompt_bandits[ray]"') from error
    return ray
