"""Writers that are killed or run out of room, each in a process of its own: python tests/writing.py JOB FOLDER …"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from prompt_bandits import Prompts, collect
from prompt_bandits.datasets.writer import DatasetWriter
from prompt_bandits.playing import Play
from prompt_bandits.policies import Uniform
from prompt_bandits.serving import BanditLogger
from prompt_bandits.synthetic import SyntheticConfig

N = 150_000
"""Rounds that an undisturbed writer writes."""
SMALL = {"flush_rows": 512, "shard_bytes": 200_000}


def play() -> Play:
    return Play(SyntheticConfig(n_actions=10).build(), Uniform(), 0)


def write(folder: Path) -> None:
    """Says after each flush how many rows are safe by now."""
    with DatasetWriter(folder, resume=True, **SMALL) as writer:
        for rows in play().rows(writer.keys.missing(0, 0, N)):
            for begin in range(0, len(rows), 512):
                writer.append(rows.take(slice(begin, begin + 512)))
                writer.flush()
                print(writer.n_rounds, flush=True)


def fill_up(folder: Path) -> None:
    """No file may be larger than 300 kB."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
    writer = DatasetWriter(folder, flush_rows=512)
    for rows in play().rows([(0, N)]):
        try:
            writer.append(rows)
        except OSError as error:
            print(f"{writer.n_rounds} {error}", flush=True)
            sys.exit(3)
        writer.flush()


def serve(folder: Path) -> None:
    """Says of each round and each reward that it is acknowledged."""
    with BanditLogger(folder, Uniform(), Prompts.one_hot(5)) as logger:
        for i in range(2000):
            served = logger.act([float(i), 1.0])
            print("act", served.round_id, flush=True)
            if i % 3:
                logger.reward(served.round_id, served.round_id / 2)
                print("reward", served.round_id, flush=True)


def share(folder: Path) -> None:
    collect(SyntheticConfig(n_actions=10).build(), Uniform(), 200_000, path=folder, workers=2, resume=True)


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]))
