"""What docs/scale.md multiplies: CPU time and bytes of one round, one step and one description.

python benchmarks/at_scale.py (some minutes). Times are CPU seconds of one core, so that a busy machine matters little.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

os.environ["OMP_NUM_THREADS"] = "1"

from measuring import Measurement, report

SYNTHETIC, MOVIE = "PromptPersonalization-Synthetic-v0", "MovieDescription-v0"


def cpu_seconds(work: Callable[[], object]) -> float:
    begin = process_time()
    work()
    return process_time() - begin


def size(path: Path, *kinds: str) -> int:
    return sum(file.stat().st_size for kind in kinds for file in (path / kind).rglob("*") if file.is_file())


def recorded(env_id: str, n: int, n_actions: int | None) -> str:
    """A uniform policy's rounds on disk, and read again."""
    from prompt_bandits import BanditDataset, collect
    from prompt_bandits.policies import Uniform

    options = {} if n_actions is None else {"n_actions": n_actions}
    with TemporaryDirectory() as folder:
        collect(env_id, Uniform(), 1024, path=f"{folder}/first", **options)
        start = cpu_seconds(lambda: collect(env_id, Uniform(), 1024, path=f"{folder}/second", **options))
        path = Path(folder) / "d"
        wrote = cpu_seconds(lambda: collect(env_id, Uniform(), n, path=path, **options)) - start
        data = BanditDataset.open(path)
        columns = data.learnable_columns()
        read = cpu_seconds(lambda: [len(batch) for batch in data.batches(8192, columns=columns, seed=0)])
        return (
            f"{size(path, 'data') / n:.0f} + {size(path, 'oracle') / n:.0f} bytes a round, table of prompts "
            f"{size(path, 'tables') / 1e6:.1f} MB, {n / wrote:,.0f} rounds/s written, {n / read:,.0f} streamed, "
            f"{data.row_bytes(columns)} bytes a round in memory"
        )


def acting(network: str, n_actions: int) -> str:
    """A network's rounds: all prompts are looked at in each."""
    from agents.policies import NeuralPolicy
    from prompt_bandits import Rounds, act
    from prompt_bandits.synthetic import SyntheticConfig

    simulator = SyntheticConfig(n_actions=n_actions).build()
    obs = simulator.observe(simulator.rounds(0, 0, 16))
    policy = NeuralPolicy.initial(network, obs, 100, 0)
    act(policy, obs.take(slice(0, 1)), Rounds(0, 0, 1))
    took = cpu_seconds(lambda: act(policy, obs, Rounds(0, 0, 16))) / 16
    return f"{1000 * took:.2f} ms a round"


def step(method: str, n_actions: int, **options: object) -> str:
    """Steps of 32 rounds, past the first."""
    import torch

    from agents import learners
    from agents.reward_models import RewardTraining
    from prompt_bandits import collect
    from prompt_bandits.policies import Uniform
    from prompt_bandits.synthetic import SyntheticConfig

    torch.set_num_threads(1)
    simulator = SyntheticConfig(n_actions=n_actions).build()
    data = collect(simulator, Uniform(), 2000)
    if method == "POTEC":
        options["reward_training"] = RewardTraining(steps=5)
    first, last = (2, 6) if n_actions > 100_000 else (10, 40)
    at: dict[int, float] = {}
    learner = getattr(learners, method)(steps=last, log_every=first, **options)
    learner.fit(data, seed=0, simulator=simulator, callback=lambda k, *_: at.setdefault(k, process_time()))
    return f"{1000 * (at[last] - at[first]) / (last - first):.1f} ms a step of 32 rounds"


def described(n: int) -> str:
    """The description of so many rounds: written at every shard, read at every opening."""
    from prompt_bandits import collect
    from prompt_bandits.datasets import StoredDataset
    from prompt_bandits.datasets.keys import KeySet
    from prompt_bandits.datasets.manifest import Manifest
    from prompt_bandits.policies import Uniform

    with TemporaryDirectory() as folder:
        path = Path(folder) / "d"
        rows = 34 * 16_384  # of 64 MB in an open shard
        data = collect(SYNTHETIC, Uniform(), rows, path=path)
        one = replace(data.manifest.shards[0], groups=(16_384,) * 34)
        shards = []
        for k in range(n // rows + 1):
            names = {name: name.replace("00000", f"{k:05}") for name in one.files}
            for name, copy in names.items():
                if k:
                    os.link(path / name, path / copy)
            shards.append(replace(one, files={names[name]: sha for name, sha in one.files.items()}))
        manifest = replace(data.manifest, shards=(), keys=KeySet(), next_number=0)
        manifest = manifest.with_shards(shards, data.sealed_keys())
        wrote = cpu_seconds(lambda: manifest.store(path))
        opened = cpu_seconds(lambda: StoredDataset.open(path))
        assert Manifest.load(path).n_rounds >= n
        return (
            f"{len(shards):,} shards, {size(path, 'meta') / 1e6:.1f} MB of description, {1000 * wrote:.0f} ms to "
            f"write, {opened:.1f} s to open"
        )


MEASUREMENTS: dict[str, Measurement] = {
    "recorded, synthetic, 1,000 prompts": partial(recorded, SYNTHETIC, 500_000, 1_000),
    "recorded, synthetic, 1,000,000 prompts": partial(recorded, SYNTHETIC, 500_000, 1_000_000),
    "recorded, movie bank with sentences": partial(recorded, MOVIE, 100_000, None),
    **{
        f"a {network} network acts, {n:,} prompts": partial(acting, network, n)
        for network in ("mlp", "scorer")
        for n in (1_000, 100_000, 1_000_000)
    },
    **{
        f"{label}, {n:,} prompts": partial(step, method, n, **options)
        for label, method, options in (
            ("IPS, mlp", "IPS", {}),
            ("IPS, scorer", "IPS", {"network": "scorer"}),
            ("POTEC, 100 clusters", "POTEC", {"n_clusters": 100}),
        )
        for n in (1_000, 10_000, 100_000, 1_000_000)
    },
    "described, 1,000,000,000 rounds": partial(described, 1_000_000_000),
}

if __name__ == "__main__":
    report(MEASUREMENTS)
