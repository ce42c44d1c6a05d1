"""d3rlpy's MDPDataset. d3rlpy 2.8 asks for another gymnasium than ours, so where it is missing a stand-in with the same
fields takes its place; what only the library can tell is skipped then.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from enum import IntEnum
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from prompt_bandits import Prompts
from prompt_bandits.exchange.d3rlpy import from_d3rlpy, to_d3rlpy

REAL = importlib.util.find_spec("d3rlpy") is not None


class ActionSpace(IntEnum):
    CONTINUOUS = 1
    DISCRETE = 2


@dataclass
class Episode:
    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    terminated: bool


class MDPDataset:
    """Episodes end where `terminals` is 1, as d3rlpy.dataset.EpisodeGenerator has it."""

    def __init__(self, observations, actions, rewards, terminals, action_space, action_size) -> None:
        ends = np.flatnonzero(terminals) + 1
        parts = zip(np.concatenate([[0], ends[:-1]]), ends, strict=True)
        self.episodes = [Episode(observations[a:b], actions[a:b], rewards[a:b], True) for a, b in parts]
        self.dataset_info = SimpleNamespace(action_space=action_space, action_size=action_size)
        self.transition_count = len(rewards)


@pytest.fixture(autouse=True)
def library(monkeypatch) -> None:
    if not REAL:
        for name, content in {
            "": {},
            ".constants": {"ActionSpace": ActionSpace},
            ".dataset": {"MDPDataset": MDPDataset},
        }.items():
            module = ModuleType(f"d3rlpy{name}")
            vars(module).update(content)
            monkeypatch.setitem(sys.modules, f"d3rlpy{name}", module)


def test_each_round_is_an_episode_of_one_step(logged) -> None:
    dataset = to_d3rlpy(logged)
    assert len(dataset.episodes) == dataset.transition_count == len(logged)
    episode = dataset.episodes[7]
    np.testing.assert_array_equal(episode.observations, logged.obs.features()[7:8])
    assert episode.actions.tolist() == [[logged.action[7]]]
    assert episode.rewards.dtype == np.float32
    assert episode.terminated
    assert dataset.dataset_info.action_size == 10
    assert dataset.dataset_info.action_space.name == "DISCRETE"


def test_what_it_holds_comes_back(logged) -> None:
    back = from_d3rlpy(to_d3rlpy(logged), prompts=logged.prompts, d_x=5, propensity=logged.propensity)
    np.testing.assert_array_equal(back.obs.context, logged.obs.context)
    np.testing.assert_array_equal(back.obs.query, logged.obs.query)
    np.testing.assert_array_equal(back.action, logged.action)
    np.testing.assert_array_equal(back.reward, logged.reward.astype(np.float32))
    np.testing.assert_array_equal(back.propensity, logged.propensity)
    assert back.prompts is logged.prompts


def test_what_it_does_not_hold_is_absent(logged) -> None:
    back = from_d3rlpy(to_d3rlpy(logged))
    assert back.propensity is None
    assert back.obs.query is None
    np.testing.assert_array_equal(back.obs.context, logged.obs.features())
    assert back.prompts.same_as(Prompts.one_hot(10))


def test_a_folder_of_ours_is_taken(tmp_path, logged) -> None:
    from prompt_bandits import BanditDataset

    stored = BanditDataset.open(logged.save(tmp_path / "d"))
    np.testing.assert_array_equal(from_d3rlpy(to_d3rlpy(stored)).action, logged.action)


@pytest.mark.parametrize(
    ("episodes", "message"),
    [
        ([], "episodes: expected at least one, got none"),
        (
            [Episode(np.ones((2, 3)), np.ones((2, 1), int), np.ones((2, 1)), True)],
            "episodes: expected one step each, terminated, got 2 steps, terminated True, in episode 0",
        ),
        ([Episode(np.ones((1, 3)), np.ones((1, 1), int), np.ones((1, 1)), False)], "terminated False, in episode 0"),
        ([Episode(np.ones((1, 3, 3)), np.ones((1, 1), int), np.ones((1, 1)), True)], r"observations: expected vectors"),
        (
            [Episode(np.ones((1, 3)), np.ones((1, 2)), np.ones((1, 1)), True)],
            r"actions: expected discrete ones \(n, 1\)",
        ),
    ],
)
def test_what_is_no_bandit_is_refused(episodes, message) -> None:
    with pytest.raises(ValueError, match=message):
        from_d3rlpy(SimpleNamespace(episodes=episodes, dataset_info=SimpleNamespace(action_size=2)))


def test_without_d3rlpy_the_message_says_how_to_install_it(logged, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "d3rlpy", None)
    monkeypatch.setitem(sys.modules, "d3rlpy.constants", None)
    with pytest.raises(ImportError, match="needs d3rlpy: pip install d3rlpy, best in an environment of its own"):
        to_d3rlpy(logged)


@pytest.mark.skipif(not REAL, reason="d3rlpy is not installed")
def test_d3rlpy_learns_from_it(logged) -> None:
    import d3rlpy

    learner = d3rlpy.algos.DiscreteBCConfig(batch_size=32).create(device="cpu")
    silent = d3rlpy.logging.NoopAdapterFactory()
    learner.fit(to_d3rlpy(logged), n_steps=20, n_steps_per_epoch=20, show_progress=False, logger_adapter=silent)
    assert set(learner.predict(logged.obs.features())) <= set(range(10))
