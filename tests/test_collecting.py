"""collect(): the same rows however the range is cut."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from conftest import SYNTHETIC
from test_recording import assert_same_rows, preference

from agents.policies import NeuralPolicy
from prompt_bandits import BanditDataset, collect
from prompt_bandits.policies import Uniform


@pytest.mark.parametrize("start", [0, 1, 500, 1023, 1024, 2100])
def test_any_cut_gives_the_rows_of_the_whole_bit_for_bit(simulator, start) -> None:
    """Under a network policy too, whose rounding depends on the batch that it sees."""
    policy = NeuralPolicy.initial("mlp", simulator.observe(simulator.rounds(0, 0, 1)), hidden=32, seed=0)
    whole = collect(simulator, policy, 3000, seed=4)
    assert_same_rows(collect(simulator, policy, 700, seed=4, start=start), whole.take(slice(start, start + 700)))


def test_ids_environments_vectors_and_simulators_give_the_same_rows(simulator) -> None:
    policy = preference()
    rows = collect(simulator, policy, 100, seed=1)
    assert_same_rows(rows, collect(SYNTHETIC, policy, 100, seed=1, n_actions=10))
    assert_same_rows(rows, collect(gym.make(SYNTHETIC, n_actions=10), policy, 100, seed=1))
    assert_same_rows(rows, collect(gym.make_vec(SYNTHETIC, num_envs=3, n_actions=10), policy, 100, seed=1))


def test_an_environment_with_wrappers_is_stepped_not_bypassed(simulator) -> None:
    class Shift(gym.ObservationWrapper):
        def observation(self, obs):
            return {**obs, "context": obs["context"] + 1}

    plain = collect(simulator, Uniform(), 40, seed=1, start=5)
    shifted = collect(Shift(gym.make(SYNTHETIC, n_actions=10)), Uniform(), 40, seed=1, start=5)
    np.testing.assert_array_equal(shifted.obs.context, plain.obs.context + 1)
    np.testing.assert_array_equal(shifted.reward, plain.reward)
    np.testing.assert_array_equal(shifted.round_id, np.arange(5, 45))


def test_collect_saves(tmp_path) -> None:
    data = collect(SYNTHETIC, Uniform(), 20, path=tmp_path / "log", n_actions=5)
    assert_same_rows(data.load(), collect(SYNTHETIC, Uniform(), 20, n_actions=5))
    with pytest.raises(FileExistsError, match="expected no file or an empty folder"):
        collect(SYNTHETIC, Uniform(), 20, path=tmp_path / "log", n_actions=5)
    collect(SYNTHETIC, Uniform(), 7, path=tmp_path / "log", n_actions=5, overwrite=True)
    assert len(BanditDataset.load(tmp_path / "log")) == 7


@pytest.mark.parametrize(("kwargs", "message"), [({"n": 0}, "expected n >= 1"), ({"n": 5, "start": -1}, "start >= 0")])
def test_wrong_ranges_are_refused(simulator, kwargs, message) -> None:
    with pytest.raises(ValueError, match=message):
        collect(simulator, Uniform(), **kwargs)


def test_a_third_partys_rounds_cannot_be_sought() -> None:
    from test_recording_third_party import Weather

    assert len(collect(Weather(), Uniform(), 5, seed=3)) == 5
    with pytest.raises(ValueError, match="start: expected 0 for an environment that numbers no rounds"):
        collect(Weather(), Uniform(), 5, start=10)


def test_a_policy_is_asked_for(simulator) -> None:
    with pytest.raises(TypeError, match="policy: expected an object with `action_dist`"):
        collect(simulator, "uniform", 5)


def test_environment_arguments_go_with_an_id_only(simulator) -> None:
    with pytest.raises(TypeError, match="only beside an id, got n_actions"):
        collect(simulator, Uniform(), 5, n_actions=3)


def test_the_llm_is_asked_for_the_wanted_rounds_only(simulator) -> None:
    from dataclasses import replace

    asked = []

    class Counting:
        def generate(self, obs, action, rounds):
            asked.append(len(obs))
            return simulator.llm.generate(obs, action, rounds)

    collect(replace(simulator, llm=Counting()), Uniform(), 10, start=1020)
    assert asked == [4, 6]


def test_the_policy_sees_whole_blocks_aligned_to_multiples_of_1024(simulator) -> None:
    seen = []

    class Spy:
        def action_dist(self, obs):
            seen.append(obs.context)
            return np.full((len(obs), 10), 0.1)

    collect(simulator, Spy(), 700, seed=4, start=700)
    for context, base in zip(seen, (0, 1024), strict=True):
        np.testing.assert_array_equal(context, simulator.observe(simulator.rounds(4, base, 1024)).context)
