"""Folders of rounds: speed, size and memory, one command: python benchmarks/storage.py (about two minutes)"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from measuring import Measurement, report, seconds

ID = "PromptPersonalization-Synthetic-v0"


@contextmanager
def folder() -> Iterator[Path]:
    with TemporaryDirectory(dir=os.environ.get("TMPDIR")) as path:
        yield Path(path) / "d"


def size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def to_disk() -> str:
    import prompt_bandits
    from prompt_bandits.policies import Uniform

    n, rates = 1_000_000, []
    for _ in range(3):
        with folder() as path:
            rates.append(n / seconds(lambda: prompt_bandits.collect(ID, Uniform(), n, path=path)))
    return f"{median(rates):,.0f} rows/s (target: >= 150,000)"


def with_sentences() -> str:
    """Contexts of 64 numbers, which do not compress, and sentences of some 220 characters."""
    import numpy as np

    from prompt_bandits.datasets import DatasetWriter, StoredDataset
    from prompt_bandits.playing import Play
    from prompt_bandits.policies import Uniform
    from prompt_bandits.synthetic import SyntheticConfig
    from prompt_bandits.types import Output, text_array

    n = 40_000
    generator = np.random.default_rng(0)
    words = np.array(
        ["".join(generator.choice(list("abcdefghijklmnoprstuvw"), length)) for length in range(2, 12)] * 200
    )
    words = np.array([word + str(i) for i, word in enumerate(words)])
    play = Play(SyntheticConfig(dim_context=64).build(), Uniform(), 0)
    length = 0
    with folder() as path:
        with DatasetWriter(path) as writer:
            for rows in play.rows([(0, n)]):
                texts = text_array(" ".join(words[generator.integers(len(words), size=22)]) for _ in range(len(rows)))
                length += sum(map(len, texts))
                writer.append(replace(rows, output=Output(rows.output.embedding, texts)))
        stored = StoredDataset.open(path)
        return f"{size(path) / len(stored):.0f} bytes a row, sentences of {length / n:.0f} characters (target: < 500)"


def ten_million() -> str:
    import prompt_bandits
    from prompt_bandits.policies import Uniform

    n = 10_000_000
    with folder() as path:
        data = prompt_bandits.collect(ID, Uniform(), n, path=path)
        begin = perf_counter()
        read = sum(len(batch) for batch in data.batches(8192, columns=["propensity", "query", "output"], seed=0))
        assert read == n
        rate = n / (perf_counter() - begin)
        return f"{size(path) / 1e6:,.0f} MB on disk, streamed shuffled at {rate:,.0f} rows/s (target: peak < 1,000 MB)"


def two_workers() -> str:
    import prompt_bandits
    from prompt_bandits.policies import Uniform

    n, times = 5_000_000, dict[int, list[float]]()
    for workers in (1, 2) * 5:
        with folder() as path:
            took = seconds(lambda: prompt_bandits.collect(ID, Uniform(), n, path=path, workers=workers))  # noqa: B023
        times.setdefault(workers, []).append(took)
    ratio = median(one / two for one, two in zip(times[1], times[2], strict=True))
    return f"{ratio:.2f} times one process ({n / median(times[2]):,.0f} rows/s; target: >= 1.6)"


def logger() -> str:
    import numpy as np

    from prompt_bandits import Observation, Prompts, Rounds, act
    from prompt_bandits.policies import Uniform
    from prompt_bandits.serving import BanditLogger

    prompts, policy, user = Prompts.one_hot(100), Uniform(), np.ones(32, np.float32)
    bare, logged, rewarded = [], [], []
    with folder() as path, BanditLogger(path, policy, prompts) as live:
        for i in range(5000):
            bare.append(seconds(lambda: act(policy, Observation(user[None], prompts), Rounds(0, i, 1))))  # noqa: B023
            begin = perf_counter()
            served = live.act(user, session="s")
            logged.append(perf_counter() - begin)
            rewarded.append(seconds(lambda: live.reward(served.round_id, 1.0)))  # noqa: B023
    added = (median(logged) - median(bare)) * 1e3
    worst = np.percentile(logged, 99) * 1e3
    return f"adds {added:.2f} ms (99 %: {worst:.2f} ms; a reward: {median(rewarded) * 1e3:.2f} ms; target: < 1 ms)"


MEASUREMENTS: dict[str, Measurement] = {
    "collect to disk, uniform policy": to_disk,
    "size with sentences": with_sentences,
    "10 million rounds recorded and streamed": ten_million,
    "two workers": two_workers,
    "BanditLogger.act, at the median": logger,
}

if __name__ == "__main__":
    report(MEASUREMENTS)
