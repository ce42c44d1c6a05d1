"""Collecting in several processes. Each is told a folder, a seed, a scope and ranges of rounds: no state of anything.

The folder says which environment and which policy; so workers start from what is on disk, here or on another machine,
and write a folder each, which the first process joins. What starts them is the engine: this process, or Ray.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from prompt_bandits import ray_workers
from prompt_bandits.datasets.merging import join_workers
from prompt_bandits.datasets.places import WORKERS
from prompt_bandits.datasets.stored import StoredDataset
from prompt_bandits.datasets.writer import DatasetWriter
from prompt_bandits.playing import Play
from prompt_bandits.progress import progress_bar
from prompt_bandits.rounds import in_blocks
from prompt_bandits.saving import registered_modules
from prompt_bandits.specs import simulator_from

Range = tuple[int, int]
ENGINES = ("processes", "ray")
_REPORT = "rows played: "


@dataclass(frozen=True)
class Job:
    """What one worker plays, as plain values."""

    folder: str  # says which environment and policy
    out: str  # is written to
    seed: int
    scope: str
    ranges: tuple[Range, ...]
    modules: tuple[str, ...]  # that define classes which the folder names

    @property
    def n(self) -> int:
        """How many rounds."""
        return sum(end - begin for begin, end in self.ranges)


def play_with_workers(
    play: Play, writer: DatasetWriter, span: Range, workers: int, engine: str, progress: bool
) -> None:
    """Plays the rounds of `span` that the folder lacks, by `workers` processes that `engine` starts.

    Raises:
        ValueError: an environment or a policy that cannot be made anew from what is saved of it; with Ray, an LLM that
            would have to be asked.
        RuntimeError: a worker failed; what the others and it flushed is kept, for `resume=True`.
    """
    if play.simulator is None:
        raise ValueError("workers: expected an environment of ours without wrappers that change rounds")
    if simulator_from(play.spec).scope != play.simulator.scope:
        raise ValueError(f"environment: expected one of scope {play.simulator.scope} when it is made anew")
    if engine == "ray":
        ray_workers.refuse_live(play.simulator, play.seed, span[0])
    writer.append(next(play.rows([(span[0], span[0] + 1)])).take(slice(0, 0)))  # says what rows will be like
    assert writer.description is not None
    if not all(policy.saved for policy in writer.description.manifest.policies):
        raise ValueError(f"workers: expected a policy that can be saved, got {play.policy!r}")
    missing = writer.keys.missing(play.seed, *span)
    n_jobs = workers if engine == "processes" else ray_workers.pieces(missing, workers)
    jobs = _jobs(play, writer.path.resolve(), missing, n_jobs)
    if not jobs:
        return
    try:
        if engine == "ray":
            ray_workers.run(jobs, workers, progress)
        else:
            _run(jobs, progress)
    finally:
        join_workers(writer)


def shared(ranges: Sequence[Range], workers: int) -> list[list[Range]]:
    """The rounds in `workers` shares of about one size, cut at multiples of 1024."""
    blocks = [block for begin, end in ranges for block in in_blocks(begin, end)]
    shares: list[list[Range]] = []
    for k in range(workers):
        share: list[Range] = []
        for begin, end in blocks[len(blocks) * k // workers : len(blocks) * (k + 1) // workers]:
            if share and share[-1][1] == begin:
                share[-1] = (share[-1][0], end)
            else:
                share.append((begin, end))
        shares.append(share)
    return shares


def _jobs(play: Play, folder: Path, missing: Sequence[Range], n: int) -> list[Job]:
    """At most `n`, none without rounds."""
    assert play.simulator is not None
    modules = tuple(registered_modules())
    shares = [tuple(share) for share in shared(missing, n) if share]
    return [
        Job(str(folder), str(folder / WORKERS / f"{k:05}"), play.seed, play.simulator.scope, share, modules)
        for k, share in enumerate(shares)
    ]


def _run(jobs: list[Job], progress: bool) -> None:
    """Runs all jobs to their end; RuntimeError with what the first that failed said."""
    path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with ExitStack() as stack, progress_bar(sum(job.n for job in jobs), "collect", progress) as bar:
        errors = [stack.enter_context(TemporaryFile("w+")) for _ in jobs]
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "prompt_bandits.workers", json.dumps(asdict(job))],
                stdout=subprocess.PIPE,
                stderr=error,
                text=True,
                env=os.environ | path,
            )
            for job, error in zip(jobs, errors, strict=True)
        ]
        with ThreadPoolExecutor(len(jobs)) as pool:
            watches = [pool.submit(_watch, bar, process) for process in processes]
            try:
                for watch in watches:
                    watch.result()
            except BaseException:
                for process in processes:
                    process.terminate()
                raise
            finally:
                for process in processes:
                    process.wait()
        for process, error in zip(processes, errors, strict=True):
            if process.returncode:
                error.seek(0)
                said = error.read().strip().splitlines() or ["nothing"]
                raise RuntimeError(
                    f"collect: a worker ended with status {process.returncode} and said: {said[-1]}; "
                    "resume=True plays what is missing"
                )


def _watch(bar: Any, process: subprocess.Popen[str]) -> None:
    """Moves the bar by the numbers of rows that a worker reports, until it ends."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(_REPORT):
            bar.update(int(line.removeprefix(_REPORT)))


def work(job: Job) -> Iterator[int]:
    """A worker's life: plays the rounds of the job that its folder lacks, and says how many it has played each time."""
    for module in job.modules:
        import_module(module)
    source = StoredDataset.open(job.folder)
    assert source.spec is not None
    simulator = simulator_from(source.spec)
    if simulator.scope != job.scope:
        raise ValueError(f"scope: expected {job.scope!r}, got {simulator.scope!r}")
    play = Play(simulator, source.require_logging_policy(), job.seed, dict(source.spec))
    with DatasetWriter(job.out, resume=True) as writer:
        missing = [part for span in job.ranges for part in writer.keys.missing(job.seed, *span)]
        for rows in play.rows(missing):
            writer.append(rows)
            yield len(rows)


if __name__ == "__main__":
    for played in work(Job(**json.loads(sys.argv[1]))):
        print(f"{_REPORT}{played}", flush=True)
