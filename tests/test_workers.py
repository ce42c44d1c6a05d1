"""Collecting in several processes gives what one process gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import gymnasium as gym
import numpy as np
import pytest
from conftest import SYNTHETIC

from agents.policies import NeuralPolicy
from prompt_bandits import BanditDataset, collect, merge, recover
from prompt_bandits.policies import OracleScore, Softmax, Uniform
from prompt_bandits.saving import register_saved
from prompt_bandits.workers import shared


def test_two_workers_write_what_one_process_writes(tmp_path) -> None:
    """Under a network policy, whose rounding depends on the batch that it sees; the range is not aligned."""
    env = gym.make(SYNTHETIC, n_actions=10)
    simulator = env.unwrapped.simulator
    policy = NeuralPolicy.initial("mlp", simulator.observe(simulator.rounds(0, 0, 1)), hidden=16, seed=0)
    one = collect(env, policy, 5000, seed=3, start=700, path=tmp_path / "one")
    two = collect(env, policy, 5000, seed=3, start=700, path=tmp_path / "two", workers=2)
    assert len(two) == 5000
    assert len(two.manifest.shards) == 2
    assert two.content_hash() == one.content_hash()
    assert two.spec == one.spec
    assert sorted(file.name for file in two.path.iterdir()) == [
        ".lock",
        "README.md",
        "data",
        "meta",
        "oracle",
        "tables",
    ]


def test_workers_complete_what_is_missing(tmp_path, simulator) -> None:
    policy = Softmax(OracleScore(simulator))
    collect(simulator, policy, 3000, start=1000, path=tmp_path / "d")
    data = collect(simulator, policy, 6000, path=tmp_path / "d", resume=True, workers=2)
    assert data.content_hash() == collect(simulator, policy, 6000, path=tmp_path / "whole").content_hash()
    assert len(collect(simulator, policy, 6000, path=tmp_path / "d", resume=True, workers=2)) == 6000


def test_more_workers_than_blocks_and_a_dataset_replaced(tmp_path, simulator) -> None:
    for n in (100, 50):
        data = collect(simulator, Uniform(), n, path=tmp_path / "d", workers=2, overwrite=True)
        assert len(data) == n
    assert [file.name for file in tmp_path.iterdir()] == ["d"]


def test_shares_are_cut_at_blocks_and_cover_the_rounds() -> None:
    assert shared([(0, 5000)], 2) == [[(0, 2048)], [(2048, 5000)]]
    assert shared([(700, 1500), (3000, 3010)], 3) == [[(700, 1024)], [(1024, 1500)], [(3000, 3010)]]
    assert shared([(0, 10)], 3) == [[], [], [(0, 10)]]
    for share in shared([(10, 20_000)], 7):
        assert all(begin % 1024 == 0 or begin == 10 for begin, _ in share)


@register_saved
@dataclass(frozen=True)
class FailsInTheSecondHalf:
    """A policy of somebody's own module, which workers import by its name."""

    saved_as: ClassVar[str] = "fails_in_the_second_half"

    def action_dist(self, obs):
        if obs.context[0, 0] > 1e9:
            raise AssertionError
        if len(obs) and self.late(obs):
            raise ZeroDivisionError("no more")
        return np.full((len(obs), obs.n_actions), 1 / obs.n_actions)

    def late(self, obs) -> bool:
        from prompt_bandits.synthetic import SyntheticConfig

        simulator = SyntheticConfig(n_actions=10).build()
        last = simulator.observe(simulator.rounds(0, 3072, 1024)).context
        return np.array_equal(obs.context, last)


def test_what_a_failed_worker_says_is_told_and_the_rest_is_kept(tmp_path, simulator) -> None:
    with pytest.raises(
        RuntimeError, match=r"a worker ended with status 1 and said: ZeroDivisionError: no more; resume"
    ):
        collect(simulator, FailsInTheSecondHalf(), 4096, path=tmp_path / "d", workers=2)
    np.testing.assert_array_equal(np.sort(BanditDataset.load(tmp_path / "d").round_id), np.arange(3072))


def test_overlapping_folders_of_workers_are_joined_once(tmp_path, simulator) -> None:
    """As an orphan of a killed process may leave them beside those of the next."""
    collect(simulator, Uniform(), 100, path=tmp_path / "d")
    for k, (begin, n) in enumerate(((1024, 2048), (2048, 2048))):
        collect(simulator, Uniform(), n, start=begin, path=tmp_path / "d/workers" / str(k))
    with pytest.raises(ValueError, match="not joined yet; recover"):
        merge([tmp_path / "d"], tmp_path / "merged")
    assert recover(tmp_path / "d").n_rounds == 100 + 3072
    data = collect(simulator, Uniform(), 4096, path=tmp_path / "d", resume=True, workers=2)
    assert data.content_hash() == collect(simulator, Uniform(), 4096, path=tmp_path / "whole").content_hash()


def test_an_interruption_stops_the_workers(tmp_path, simulator, monkeypatch) -> None:
    from prompt_bandits import workers

    def interrupted(bar, process):
        process.stdout.readline()
        raise KeyboardInterrupt

    monkeypatch.setattr(workers, "_watch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        collect(simulator, Uniform(), 2_000_000, path=tmp_path / "d", workers=2)
    assert len(BanditDataset.open(tmp_path / "d")) < 2_000_000
    assert not (tmp_path / "d/workers").exists()


class Unsaved:
    def action_dist(self, obs):
        return np.full((len(obs), obs.n_actions), 1 / obs.n_actions)


def test_what_workers_cannot_make_anew_is_refused(tmp_path, simulator) -> None:
    with (
        pytest.warns(UserWarning, match="cannot be saved"),
        pytest.raises(ValueError, match="expected a policy that can be saved"),
    ):
        collect(simulator, Unsaved(), 10, path=tmp_path / "a", workers=2)
    with pytest.raises(ValueError, match="environment: expected one that can be made from its id"):
        collect(replace(simulator), Uniform(), 10, path=tmp_path / "b", workers=2)
    shifted = gym.wrappers.TransformReward(gym.make(SYNTHETIC, n_actions=10), lambda reward: reward + 1)
    with pytest.raises(ValueError, match="workers: expected an environment of ours without wrappers"):
        collect(shifted, Uniform(), 10, path=tmp_path / "c", workers=2)
    with pytest.raises(ValueError, match="path: expected one with resume, overwrite, several workers or Ray"):
        collect(simulator, Uniform(), 10, workers=2)
    with pytest.raises(ValueError, match="workers >= 1"):
        collect(simulator, Uniform(), 10, workers=0)
    with pytest.raises(ValueError, match="expected resume or overwrite, got both"):
        collect(simulator, Uniform(), 10, path=tmp_path / "d", resume=True, overwrite=True)
    assert not (tmp_path / "c").exists()


def test_environments_that_number_no_rounds_within_one_seed_are_not_resumed(tmp_path) -> None:
    envs = gym.make_vec(SYNTHETIC, num_envs=2, vectorization_mode="sync", n_actions=10)
    with pytest.raises(ValueError, match="resume: expected an environment that numbers its rounds within one seed"):
        collect(envs, Uniform(), 10, path=tmp_path / "d", resume=True)


def test_wrapped_environments_are_stepped_to_a_folder_and_resumed(tmp_path) -> None:
    def shifted():
        return gym.wrappers.TransformReward(gym.make(SYNTHETIC, n_actions=10), lambda reward: reward + 1)

    for n in (1500, 2500):
        data = collect(shifted(), Uniform(), n, path=tmp_path / "d", resume=True).load()
        assert len(data) == n
    plain = collect(SYNTHETIC, Uniform(), 2500, n_actions=10)
    np.testing.assert_array_equal(data.reward, plain.reward + 1)
    np.testing.assert_array_equal(data.action, plain.action)
