"""Collecting by tasks of Ray gives what one process gives, also when a task's process is killed."""

from __future__ import annotations

import os
import signal
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from prompt_bandits import BanditDataset, collect, ray_workers
from prompt_bandits.policies import Uniform
from prompt_bandits.saving import register_saved
from prompt_bandits.synthetic import SyntheticConfig

ray = pytest.importorskip("ray")
MOVIE_ID = "MovieDescription-v0"


@pytest.fixture(scope="module")
def cluster():
    """Two CPUs of this machine, for as long as this module's tests take."""
    ray_workers.start_here(2)
    yield
    ray.shutdown()


_asked = 0
_blocks = Counter[int]()


@register_saved
@dataclass(frozen=True)
class DiesOnce:
    """Notes every block that it is asked about; the first process of a task that gets to its 20th block is killed."""

    notes: str
    at: int = 20
    saved_as: ClassVar[str] = "dies_once"

    def action_dist(self, obs):
        global _asked
        _asked += 1
        folder = Path(self.notes)
        with (folder / "blocks").open("a") as stream:
            stream.write(f"{os.getpid()}\n")
        if _asked == self.at and not (folder / "died").exists():
            (folder / "died").write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return np.full((len(obs), obs.n_actions), 1 / obs.n_actions)


@pytest.mark.slow
def test_a_killed_task_is_retried_and_nothing_is_lost_or_doubled(cluster, tmp_path, simulator) -> None:
    policy = DiesOnce(str(tmp_path))
    (tmp_path / "died").touch()
    one = collect(simulator, policy, 65_536, seed=3, path=tmp_path / "one")
    for note in ("died", "blocks"):
        (tmp_path / note).unlink()
    two = collect(simulator, policy, 65_536, seed=3, path=tmp_path / "two", workers=2, engine="ray")
    blocks = (tmp_path / "blocks").read_text().split()
    assert blocks.count((tmp_path / "died").read_text()) == 20
    assert 64 < len(blocks) <= 1 + 64 + 12, "what was flushed before is not played again"
    np.testing.assert_array_equal(np.sort(two.load().round_id), np.arange(65_536))
    assert two.content_hash() == one.content_hash()
    assert two.spec == one.spec
    assert not (two.path / "workers").exists()


@pytest.mark.slow
def test_rounds_of_a_bank_are_collected_in_one_task(cluster, tmp_path) -> None:
    data = collect(MOVIE_ID, Uniform(), 1500, path=tmp_path / "d", engine="ray")
    assert data.content_hash() == collect(MOVIE_ID, Uniform(), 1500, path=tmp_path / "one").content_hash()


@register_saved
@dataclass(frozen=True)
class FailsLate:
    """Of somebody's own; the eleventh block of a task fails."""

    caller: int
    saved_as: ClassVar[str] = "fails_late"

    def action_dist(self, obs):
        _blocks[id(self)] += 1
        if os.getpid() != self.caller and _blocks[id(self)] == 11:
            raise ZeroDivisionError("no more")
        return np.full((len(obs), obs.n_actions), 1 / obs.n_actions)


@pytest.mark.slow
def test_what_a_failed_task_says_is_told_and_what_was_written_is_kept(cluster, tmp_path, simulator) -> None:
    with pytest.raises(RuntimeError, match=r"a task of Ray ended and said: ZeroDivisionError: no more; resume=True"):
        collect(simulator, FailsLate(os.getpid()), 30_000, path=tmp_path / "d", workers=2, engine="ray")
    kept = BanditDataset.load(tmp_path / "d").round_id
    assert len(np.unique(kept)) == len(kept) >= 8192
    assert not (tmp_path / "d/workers").exists()


class Costly:
    """An LLM that has to be asked."""

    costly = True

    def __init__(self, llm) -> None:
        self.llm = llm

    def generate(self, obs, action, rounds):
        return self.llm.generate(obs, action, rounds)


def test_an_llm_that_has_to_be_asked_is_refused_and_a_replayed_one_is_not(simulator) -> None:
    live = replace(simulator, llm=Costly(simulator.llm))
    with pytest.raises(ValueError, match="engine='ray': expected sentences that are known beforehand"):
        ray_workers.refuse_live(live, 0, 0)
    live.llm.model = type("Replayed", (), {"replay": True})()
    ray_workers.refuse_live(live, 0, 0)
    ray_workers.refuse_live(simulator, 0, 0)


def test_engines_and_paths_are_checked(tmp_path) -> None:
    simulator = SyntheticConfig(n_actions=10).build()
    with pytest.raises(ValueError, match="engine: expected one of processes, ray, got 'dask'"):
        collect(simulator, Uniform(), 10, path=tmp_path / "d", workers=2, engine="dask")
    with pytest.raises(ValueError, match="path: expected one with resume, overwrite, several workers or Ray, got none"):
        collect(simulator, Uniform(), 10, engine="ray")


def test_without_ray_the_line_that_installs_it_is_told(tmp_path, simulator, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(ImportError, match=r'pip install "prompt_bandits\[ray\]"'):
        collect(simulator, Uniform(), 10, path=tmp_path / "d", engine="ray")


def test_pieces_are_as_many_as_workers_or_as_large_as_allowed() -> None:
    assert ray_workers.pieces([(0, 5000)], 4) == 4
    assert ray_workers.pieces([(0, 1 << 20), (1 << 21, 4 << 20)], 2) == 3
    assert ray_workers.pieces([], 2) == 2


@pytest.mark.slow
def test_ray_is_started_and_stopped_for_one_call_and_completes_a_folder(tmp_path, simulator, monkeypatch) -> None:
    """In pieces, more of them than workers; the range is not aligned, and the path is relative."""
    ray.shutdown()  # the one that this module's tests share
    monkeypatch.setattr(ray_workers, "_PIECE", 2048)
    monkeypatch.chdir(tmp_path)
    collect(simulator, Uniform(), 1000, seed=3, start=3000, path="d")
    data = collect(simulator, Uniform(), 9000, seed=3, start=700, path="d", resume=True, workers=2, engine="ray")
    assert not ray.is_initialized()
    assert len(data.manifest.shards) == 1 + 4
    assert data.content_hash() == collect(simulator, Uniform(), 9000, seed=3, start=700, path="one").content_hash()
