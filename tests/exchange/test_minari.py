"""Minari's datasets: each column that they can hold comes back, by each of its storages."""

from __future__ import annotations

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

from prompt_bandits import BanditDataset, collect
from prompt_bandits.exchange import export_dataset, import_dataset
from prompt_bandits.exchange.minari import from_minari, to_minari
from prompt_bandits.policies import Uniform

from .full_rounds import FULL, check_same

minari = pytest.importorskip("minari")
STORAGES = ("hdf5", "arrow", "parquet")


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    return tmp_path / "minari"


def with_policy_id(data: BanditDataset) -> BanditDataset:
    return replace(data, policy_id=np.array([0, 1, 0, 1]))


@pytest.mark.parametrize("storage", STORAGES)
def test_all_columns_but_the_oracles_come_back(storage) -> None:
    data = with_policy_id(FULL)
    to_minari(data, f"ours/{storage}-v0", rounds_per_episode=3, data_format=storage)
    back = from_minari(minari.load_dataset(f"ours/{storage}-v0"), prompts=FULL.prompts)
    check_same(back, data, without=("oracle['expected_reward']",))


@pytest.mark.parametrize("storage", STORAGES)
def test_a_file_is_a_dataset_that_minari_knows_by_its_folder(storage, root) -> None:
    export_dataset(FULL, "minari", root / "mine-v0", data_format=storage)
    assert minari.load_dataset("mine-v0").total_steps == 4
    check_same(
        import_dataset("minari", root / "mine-v0", prompts=FULL.prompts), FULL, without=("oracle['expected_reward']",)
    )


def test_a_relative_path_will_do(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    export_dataset(FULL, "minari", "here/mine-v0")
    assert len(import_dataset("minari", "here/mine-v0")) == 4


def test_each_round_is_a_step_that_terminates_and_what_it_earned_is_its_own() -> None:
    episode = to_minari(FULL, "ours/steps-v0")[0]
    assert episode.terminations.tolist() == [True] * 4
    assert episode.truncations.tolist() == [False] * 4
    np.testing.assert_array_equal(episode.observations["context"], FULL.obs.context[[0, 1, 2, 3, 3]])
    assert episode.actions.tolist() == FULL.action.tolist()
    assert episode.rewards.tolist() == FULL.reward.tolist()
    assert (
        episode.infos["propensity"][1:].tolist() == FULL.propensity.tolist()
    )  # as Minari records: info after the step


def test_episodes_have_as_many_rounds_as_asked(logged) -> None:
    dataset = to_minari(logged, "ours/chunks-v0", rounds_per_episode=250)
    assert [len(episode) for episode in dataset] == [250, 250, 100]
    assert dataset.action_space == gym.spaces.Discrete(10)
    assert dataset.observation_space["context"].shape == (5,)


def test_a_folder_of_ours_is_read_in_parts_and_its_environment_is_recovered(tmp_path, monkeypatch) -> None:
    from prompt_bandits.datasets.stored import StoredDataset

    stored = collect("PromptPersonalization-Synthetic-v0", Uniform(), 250, path=tmp_path / "d", n_actions=5)
    rows = stored.load()
    monkeypatch.setattr(StoredDataset, "load", None)
    dataset = to_minari(stored, "ours/stored-v0", rounds_per_episode=100, description="a test", author="me")
    assert dataset.storage.metadata["author"] == {"me"}
    back = from_minari(dataset, prompts=rows.prompts)
    check_same(back, replace(rows, policies=()), without=("oracle['expected_reward']",))
    env = dataset.recover_environment()
    assert env.unwrapped.spec.id == "PromptPersonalization-Synthetic-v0"
    assert env.action_space.n == 5


def test_rounds_that_minari_would_lose_in_silence_are_refused(logged) -> None:
    for storage in ("arrow", "parquet"):
        with pytest.raises(ValueError, match=r"rounds_per_episode: expected an integer in 1 … 10000, got 40000"):
            to_minari(logged, f"ours/{storage}-v0", rounds_per_episode=40_000, data_format=storage)


def test_rounds_that_minari_has_lost_are_missed(logged, monkeypatch) -> None:
    monkeypatch.setattr("prompt_bandits.exchange.minari._MOST", 100_000)
    data = BanditDataset.from_arrays(np.ones((40_000, 1)), np.zeros(40_000, int), np.ones(40_000), prompts=2)
    dataset = to_minari(data, "ours/long-v0", rounds_per_episode=40_000, data_format="arrow")
    with pytest.raises(ValueError, match=r"episodes: expected 40,000 steps, Minari reads \d\d,\d{3}"):
        from_minari(dataset)


@pytest.mark.parametrize("storage", STORAGES)
def test_the_most_rounds_that_are_allowed_come_back(storage) -> None:
    n = 10_000
    data = BanditDataset.from_arrays(
        np.arange(16.0 * n).reshape(n, 16), np.arange(n) % 2, np.ones(n), prompts=2, propensity=np.full(n, 0.5)
    )
    back = from_minari(to_minari(data, "ours/most-v0", rounds_per_episode=n, data_format=storage))
    np.testing.assert_array_equal(back.obs.context, data.obs.context)


@pytest.mark.filterwarnings("ignore:.*is set to None", "ignore:env_spec is None")
def test_episodes_of_others_are_taken_where_each_step_terminates() -> None:
    from minari.data_collector.episode_buffer import EpisodeBuffer

    spaces = {"observation_space": gym.spaces.Box(-9, 9, (2,)), "action_space": gym.spaces.Discrete(3)}

    def dataset(name: str, terminations: list[bool], **changes):
        seen, n = np.arange(6, dtype=np.float32).reshape(3, 2), 2
        episode = EpisodeBuffer(
            observations=seen, actions=[2, 1], rewards=[1.0, 2.0], terminations=terminations, truncations=[False] * n
        )
        return minari.create_dataset_from_buffers(name, [episode], **(spaces | changes))

    back = from_minari(dataset("a-v0", [True, True]))
    np.testing.assert_array_equal(back.obs.context, [[0, 1], [2, 3]])
    assert (back.action.tolist(), back.reward.tolist(), back.n_actions) == ([2, 1], [1.0, 2.0], 3)
    assert back.propensity is None
    with pytest.raises(
        ValueError, match="terminations: expected True in every step, a round each, not so in episode 0"
    ):
        from_minari(dataset("b-v0", [False, True]))
    with pytest.raises(ValueError, match="action_space: expected Discrete from 0"):
        from_minari(dataset("c-v0", [True, True], action_space=gym.spaces.Discrete(3, start=1)))


def test_names_that_hdf5_would_take_apart_are_refused(root) -> None:
    with pytest.raises(ValueError, match="extras: expected names without a slash, got 'a/b'"):
        export_dataset(replace(FULL, extras={"a/b": np.ones(4)}), "minari", root / "x-v0")
    assert not (root / "x-v0").exists()
