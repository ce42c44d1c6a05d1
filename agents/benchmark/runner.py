"""Runs a benchmark: tasks in parallel processes, a line for every cell that ends, nothing done twice."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .artefacts import forget
from .config import BenchmarkConfig
from .plan import Plan, Task, asked_of_stage, in_order
from .pool import Failure, Pool, refuse_within_a_worker
from .recipes import STAGES, references_artefact
from .results import Cell, Key, append_cell
from .run_folder import CELLS, LOG, drop_cells, finished_cells, latest_cells, write_config, writing_to
from .variants import Variant
from .work import Job, failed_cell, perform


class Interrupted(KeyboardInterrupt):
    """Stopped by Ctrl-C; what was finished is kept."""


def run_benchmark(
    config: BenchmarkConfig, folder: str | Path, *, workers: int | None = None, progress: bool = True
) -> list[Cell]:
    """Fills all cells of `config` that the folder lacks, or that failed there before.

    Its processes import the script that calls it, so the call has to be guarded there:

        if __name__ == "__main__":
            run_benchmark(benchmark_config("data_size"), "runs/data_size")

    Args:
        config: from `benchmark_config`.
        folder: of the run, new or one to go on with.
        workers: processes at a time, each of one thread; as many as there are cores unless given.
        progress: a bar on a terminal, and a line a cell.

    Returns:
        The cells that were asked for, the finished ones of earlier runs included.

    Raises:
        ValueError: the folder's run differs in more than its values, methods, seeds and optimiser seeds.
        FolderLocked: another run is at work there.
        RuntimeError: a process ended before it could begin, as without the guard.
        Interrupted: Ctrl-C; the same call goes on.
    """
    refuse_within_a_worker()
    folder, size = Path(folder), _processes(workers)
    with writing_to(folder):
        write_config(folder, config)
        plan = Plan(folder)
        plan.cells(config, finished_cells(folder))
        _run(plan, config, folder, size, progress)
        return _asked(config, folder)


@dataclass(frozen=True)
class Done:
    """What became of a stage."""

    artefacts: list[str]  # folders within the run's, made or found; none of the evaluation
    cells: int  # of those asked of the evaluation, how many are there now
    forgotten: list[str]  # artefacts and cells that came of what was made again, and are gone
    failures: list[str]  # what failed and why, a line each


def run_stage(
    stage: str,
    config: BenchmarkConfig,
    folder: str | Path,
    *,
    again: bool = False,
    workers: int | None = None,
    progress: bool = True,
) -> Done:
    """One published stage alone, for all experiments of `config`, with what it needs and the folder lacks.

    Args:
        stage: logging-policy, logged-data, density, policy or policy-value.
        config: as `run_benchmark`.
        folder: as `run_benchmark`.
        again: forget what the stage left before, and all that came of it; then as ever.
        workers: as `run_benchmark`.
        progress: as `run_benchmark`.

    Raises:
        ValueError: an unknown stage.
        Others: as `run_benchmark`.
    """
    if stage not in STAGES:
        raise ValueError(f"stage: expected one of {', '.join(STAGES)}, got {stage!r}")
    refuse_within_a_worker()
    folder, size = Path(folder), _processes(workers)
    with writing_to(folder):
        write_config(folder, config)
        forgotten = _forget(stage, config, folder) if again else []
        plan = Plan(folder)
        if stage == "policy-value":
            plan.cells(config, finished_cells(folder))
            failures = _run(plan, config, folder, size, progress)
            return Done([], sum(cell.status == "ok" for cell in _asked(config, folder)), forgotten, failures)
        plan.stage(stage, config)
        failures = _run(plan, config, folder, size, progress)
        asked = [artefact.name for _, artefact in asked_of_stage(stage, config) if artefact.exists(folder)]
        return Done(asked, 0, forgotten, failures)


def _forget(stage: str, config: BenchmarkConfig, folder: Path) -> list[str]:
    """Deletes what a stage left, and what came of that; the latter."""
    if stage == "policy-value":
        asked = {cell.key for cell in _asked(config, folder)}
        forget(folder, {references_artefact(experiment).name for _, _, experiment in config.experiments()})
        drop_cells(folder, lambda cell: cell.key in asked)
        return []
    names = {artefact.name for _, artefact in asked_of_stage(stage, config)}
    gone = forget(folder, names)
    cells = drop_cells(folder, lambda cell: cell.config.get("artefact") in gone)
    return [*sorted(gone - names), *(f"cell of {key.method} · {key.where}" for key in cells)]


def _asked(config: BenchmarkConfig, folder: Path) -> list[Cell]:
    cells = latest_cells(folder)
    return [cells[key] for key in config.cells() if key in cells]


def _run(plan: Plan, config: BenchmarkConfig, folder: Path, workers: int, progress: bool) -> list[str]:
    """Does all tasks; what failed."""
    size = min(workers, max(1, len(plan.tasks)))
    shown = _Shown(plan.tasks.values(), progress)
    run = _Run([Job(task, folder, config) for task in in_order(plan.tasks, size)], shown, folder)
    pool = Pool(perform, size, folder / LOG)
    try:
        while run.goes_on:
            while pool.free and (job := run.next_ready()):
                pool.start(job)
            shown.running([job.task.about for job in pool.running])
            for job, result in pool.results():
                run.ended(job, result)
    except KeyboardInterrupt:
        raise Interrupted(f"stopped; {run.n_ended} of {len(plan.tasks)} tasks were finished and are kept") from None
    finally:
        pool.close()
        shown.close()
    return run.failures


def _processes(workers: int | None) -> int:
    """As many as asked for, else as there are cores that this process may use."""
    if workers is not None:
        if workers < 1:
            raise ValueError(f"workers: expected >= 1, got {workers}")
        return workers
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Run:
    """Which jobs wait, which may begin, and what came of the others."""

    def __init__(self, jobs: Iterable[Job], shown: _Shown, folder: Path) -> None:
        self._waiting = {job.task.key: job for job in jobs}
        self._pending: set[str | Key] = set(self._waiting)  # neither ended nor failed
        self._failed = dict[str | Key, str]()
        self._shown, self._folder = shown, folder
        self.failures: list[str] = []
        self.n_ended = 0

    @property
    def goes_on(self) -> bool:
        return bool(self._pending)

    def next_ready(self) -> Job | None:
        """The first job in order that waits for nothing."""
        for key, job in self._waiting.items():
            if not self._pending.intersection(job.task.needs):
                return self._waiting.pop(key)
        return None

    def ended(self, job: Job, result: Any) -> None:
        """Keeps what came of a job; what needs it fails with it."""
        self._pending.discard(job.task.key)
        if isinstance(result, Failure):
            self._fail(job, result.error)
            return
        self.n_ended += 1
        if isinstance(result, Cell):
            self._keep(result)
        self._shown.ended(job.task, result)

    def _fail(self, job: Job, error: str) -> None:
        task = job.task
        self.failures.append(f"{task.about}: {error}")
        self._shown.failed(task, error)
        if isinstance(task.what, Variant):
            self._keep(failed_cell(job, task.what, error))
        what = error if task.kind == "policies" or ", which " in error else f"{task.name}, which it needs: {error}"
        for key in [key for key, other in self._waiting.items() if task.key in other.task.needs]:
            if key in self._waiting:  # else it needed another that failed with this one, too
                self._pending.discard(key)
                self._fail(self._waiting.pop(key), what)

    def _keep(self, cell: Cell) -> None:
        append_cell(self._folder / CELLS, cell)


class _Shown:
    """A bar of cells, and a line for each that ends."""

    def __init__(self, tasks: Iterable[Task], progress: bool) -> None:
        from tqdm.auto import tqdm

        tasks = list(tasks)
        cells = sum(task.kind == "cell" for task in tasks)
        self._counts: Callable[[Task], bool] = lambda task: task.kind == "cell" or not cells
        total, unit = (cells, "cell") if cells else (len(tasks), "artefact")
        self._progress, self._write = progress, tqdm.write
        self._bar = tqdm(total=total, unit=unit, disable=None if progress else True, dynamic_ncols=True)

    def running(self, about: list[str]) -> None:
        self._bar.set_postfix_str(" | ".join(about))

    def ended(self, task: Task, result: Any) -> None:
        if isinstance(result, Cell):
            measure = result.measure
            self._line(f"{task.about}: {measure.title} {measure.of(result):.3f}, {result.wall_s or 0:.1f} s")
        elif self._counts(task):
            self._line(f"{task.about}: made")
        self._bar.update(self._counts(task))

    def failed(self, task: Task, error: str) -> None:
        self._line(f"{task.about}: failed, {error}")
        self._bar.update(self._counts(task))

    def close(self) -> None:
        self._bar.close()

    def _line(self, text: str) -> None:
        if self._progress:
            self._write(text)
