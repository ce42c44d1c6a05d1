"""Runs the jobs of a run that its folder has no trials of yet."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

from prompt_bandits.progress import progress_bar

from ...ope.judging.judge import Truths, judge_estimators, true_values
from ...ope.judging.judgement import Judgement
from ...ope.judging.trials import Trial
from ..artefacts import versions
from ..pool import Failure, Pool, refuse_within_a_worker
from .settings import Job, OpeBenchmark, Problem

RUN, TRIALS, LOG = "run.json", "trials.jsonl", "log.txt"


def run_ope_benchmark(
    settings: OpeBenchmark, folder: str | Path, *, workers: int = 1, progress: bool = True
) -> Judgement:
    """Every estimator on every log; what the folder has already is not computed again.

    Args:
        settings: what to run.
        folder: new, or of a run with these settings.
        workers: processes at a time. A script that asks for more than one has `if __name__ == "__main__":`.
        progress: show a bar.

    Raises:
        ValueError: a folder of another run, a damaged file, or fewer than one process.
        RuntimeError: a job failed.
    """
    refuse_within_a_worker()
    if workers < 1:
        raise ValueError(f"workers: expected >= 1, got {workers}")
    folder = Path(folder)
    _write_settings(folder, settings)
    _cut_off_rest(folder / TRIALS)
    trials = read_trials(folder)
    jobs = list(settings.jobs())
    left = [job for job in jobs if job not in trials]
    with progress_bar(len(jobs), "judge", progress) as bar, open(folder / TRIALS, "a", encoding="utf-8") as stream:
        bar.update(len(jobs) - len(left))
        for job, found in _results(settings, left, workers, folder):
            stream.write(json.dumps({"job": job, "trials": [asdict(one) for one in found]}) + "\n")
            stream.flush()
            trials[job] = found
            bar.update(1)
    return judgement(settings, trials)


def read_settings(folder: Path) -> OpeBenchmark:
    """What the run in this folder was asked for.

    Raises:
        ValueError: no run there, or a damaged file.
    """
    file = folder / RUN
    if not file.is_file():
        raise ValueError(f"{folder}: expected the folder of a run of ope-benchmark, found no {RUN} in it")
    try:
        return OpeBenchmark.from_json(json.loads(file.read_bytes())["settings"])
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{file}: damaged ({error})") from error


def read_trials(folder: Path) -> dict[Job, list[Trial]]:
    """By job; a line that was cut off is as if it was never written.

    Raises:
        ValueError: a damaged file.
    """
    file = folder / TRIALS
    if not file.is_file():
        return {}
    whole, found = file.read_bytes().rpartition(b"\n")[0], dict[Job, list[Trial]]()
    try:
        for line in whole.splitlines():
            row = json.loads(line)
            found[Job(*row["job"])] = [Trial(**trial) for trial in row["trials"]]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{file}: damaged ({error}); delete it to run everything again") from error
    return found


def judgement(settings: OpeBenchmark, trials: Mapping[Job, Sequence[Trial]]) -> Judgement:
    """All trials that there are of a run, in its order."""
    return Judgement(tuple(one for job in settings.jobs() for one in trials.get(job, ())))


def _cut_off_rest(file: Path) -> None:
    """Takes away what follows the last whole line."""
    if file.is_file():
        os.truncate(file, file.read_bytes().rfind(b"\n") + 1)


def _write_settings(folder: Path, settings: OpeBenchmark) -> None:
    if (folder / RUN).is_file():
        former = read_settings(folder)
        if former != settings:
            raise ValueError(f"{folder}: holds a run with other settings, {former}; expected the same, or a new folder")
        return
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{RUN}"
    draft.write_text(json.dumps({"settings": settings.to_json(), "versions": versions()}, indent=1))
    os.replace(draft, folder / RUN)


def _results(
    settings: OpeBenchmark, jobs: Sequence[Job], workers: int, folder: Path
) -> Iterator[tuple[Job, list[Trial]]]:
    if workers == 1:
        for job in jobs:
            yield job, _judged(json.dumps(settings.to_json()), job)
        return
    pool, waiting = Pool(_work, workers, folder / LOG), list(reversed(jobs))
    try:
        while waiting or pool.running:
            while waiting and pool.free:
                pool.start((json.dumps(settings.to_json()), waiting.pop()))
            for (_, job), found in pool.results():
                if isinstance(found, Failure):
                    raise RuntimeError(f"{job}: {found.error}; see {folder / LOG}")
                yield job, found
    finally:
        pool.close()


def _work(job: tuple[str, Job]) -> list[Trial]:
    return _judged(*job)


def _judged(settings: str, job: Job) -> list[Trial]:
    """All trials on one log."""
    asked = OpeBenchmark.from_json(json.loads(settings))
    problem, truths = _problem(settings, job.n_actions, job.world)
    found = judge_estimators(
        problem.simulator,
        problem.policies,
        problem.logging_policy,
        asked.made_estimators(),
        n=job.n,
        n_datasets=1,
        seed=job.dataset,
        truths=truths,
        world=job.world,
        training=asked.training(),
        folds=asked.folds,
        level=asked.level,
        interval=asked.interval,
        progress=False,
    )
    return list(found.trials)


@lru_cache(maxsize=1)
def _problem(settings: str, n_actions: int, world: int) -> tuple[Problem, Truths]:
    """A world with its true values, computed once while its jobs follow each other."""
    asked = OpeBenchmark.from_json(json.loads(settings))
    problem = Problem.of(asked, n_actions, world)
    return problem, true_values(problem.simulator, problem.policies, problem.logging_policy, asked.contexts)
