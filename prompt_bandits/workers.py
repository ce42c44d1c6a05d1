"""Collecting in several processes. Each is told a folder, a seed, a scope and ranges of rounds: no state of anything.

The folder says which environment and which policy; so workers start from what is on disk, as they would on another
machine, and write a folder each, which the first process joins.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

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
_REPORT = "rows played: "


def play_in_processes(play: Play, writer: DatasetWriter, span: Range, workers: int, progress: bool) -> None:
    """Plays the rounds of `span` that the folder lacks, in `workers` processes.

    Raises:
        ValueError: an environment or a policy that cannot be made anew from what is saved of it.
        RuntimeError: a worker failed; what the others and it flushed is kept, for `resume=True`.
    """
    if play.simulator is None:
        raise ValueError("workers: expected an environment of ours without wrappers that change rounds")
    if simulator_from(play.spec).scope != play.simulator.scope:
        raise ValueError(f"environment: expected one of scope {play.simulator.scope} when it is made anew")
    writer.append(next(play.rows([(span[0], span[0] + 1)])).take(slice(0, 0)))  # says what rows will be like
    assert writer.description is not None
    if not all(policy.saved for policy in writer.description.manifest.policies):
        raise ValueError(f"workers: expected a policy that can be saved, got {play.policy!r}")
    missing = writer.keys.missing(play.seed, *span)
    shares = [share for share in shared(missing, workers) if share]
    jobs = [_job(writer.path, k, play, share) for k, share in enumerate(shares)]
    if not jobs:
        return
    try:
        _run(jobs, sum(end - begin for begin, end in missing), progress)
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


def _job(folder: Path, worker: int, play: Play, ranges: list[Range]) -> str:
    assert play.simulator is not None
    return json.dumps(
        {
            "folder": str(folder),
            "out": str(folder / WORKERS / str(worker)),
            "seed": play.seed,
            "scope": play.simulator.scope,
            "ranges": ranges,
            "modules": registered_modules(),
        }
    )


def _run(jobs: list[str], n: int, progress: bool) -> None:
    """Runs all jobs to their end; RuntimeError with what the first that failed said."""
    path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with ExitStack() as stack, progress_bar(n, "collect", progress) as bar:
        errors = [stack.enter_context(TemporaryFile("w+")) for _ in jobs]
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "prompt_bandits.workers", job],
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


def work(folder: str, out: str, seed: int, scope: str, ranges: list[Range], modules: list[str]) -> None:
    """A worker's life: plays the rounds of `ranges` with what `folder` says, and writes them to `out`."""
    for module in modules:
        import_module(module)
    source = StoredDataset.open(folder)
    assert source.spec is not None
    simulator = simulator_from(source.spec)
    if simulator.scope != scope:
        raise ValueError(f"scope: expected {scope!r}, got {simulator.scope!r}")
    play = Play(simulator, source.require_logging_policy(), seed, dict(source.spec))
    with DatasetWriter(out) as writer:
        for rows in play.rows(ranges):
            writer.append(rows)
            print(f"{_REPORT}{len(rows)}", flush=True)


if __name__ == "__main__":
    work(**json.loads(sys.argv[1]))
