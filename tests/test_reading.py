"""Folders read a part at a time, by us and by others."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from multiprocessing import get_context
from typing import ClassVar

import numpy as np
import pytest
from conftest import SYNTHETIC
from test_recording import assert_same_rows
from torch.utils.data import DataLoader

import prompt_bandits
from agents.batch import Batch
from agents.density import DensityTraining, fit_density_model
from agents.learners import DSO, IPS, BehaviourCloning, DirectMethod
from agents.reward_models import RewardTraining, fit_output_reward_model
from agents.segments import segments
from agents.streaming import BatchStream
from agents.training import TrainingConfig
from prompt_bandits import BanditDataset, collect
from prompt_bandits.datasets import DatasetWriter, StoredDataset, inspect, shards
from prompt_bandits.policies import OracleScore, Softmax, Uniform
from prompt_bandits.saving import register_saved
from prompt_bandits.types import text_array


@pytest.fixture(scope="module")
def stored(tmp_path_factory, simulator) -> StoredDataset:
    """3000 rounds in 12 row groups of 256, some of them in an open shard."""
    folder = tmp_path_factory.mktemp("stored") / "d"
    rows = collect(simulator, Softmax(OracleScore(simulator), beta=0.5), 3000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "_GROUP_ROWS", 256)
        writer = DatasetWriter(folder, flush_rows=256, shard_bytes=150_000)
        for begin in range(0, 3000, 256):
            writer.append(rows.take(slice(begin, begin + 256)))
    writer.flush()
    writer._lock.release()
    return StoredDataset.open(folder)


def ids(batches) -> list[list[int]]:
    return [batch.round_id.tolist() for batch in batches]


def joined(lists: list[list[int]]) -> list[int]:
    return list(chain.from_iterable(lists))


def test_batches_are_the_rows_in_order_and_of_the_size_asked_for(stored) -> None:
    assert len(stored) == 3000
    assert stored.open_rows is not None
    for size in (1, 100, 256, 1000, 5000):
        found = ids(stored.batches(size))
        assert [len(batch) for batch in found[:-1]] == [size] * (len(found) - 1)
        assert joined(found) == list(range(3000))
    assert_same_rows(BanditDataset.concat(list(stored.batches(700))), stored.load())


def test_shuffled_batches_are_all_rows_in_another_order_for_each_seed_and_epoch(stored) -> None:
    orders = [joined(ids(stored.batches(128, seed=seed, epoch=epoch))) for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    assert all(sorted(order) == list(range(3000)) for order in orders)
    assert orders[0] == joined(ids(stored.batches(128, seed=0)))
    assert len({tuple(order) for order in orders}) == 3
    assert np.abs(np.diff(orders[0])).mean() > 300, "rows of several row groups are among each other"


@pytest.mark.parametrize("seed", [None, 5])
@pytest.mark.parametrize("skip", [0, 1, 7, 23, 24, 100])
def test_skipping_goes_on_where_the_batches_stopped(stored, seed, skip) -> None:
    assert ids(stored.batches(128, seed=seed, skip=skip)) == ids(stored.batches(128, seed=seed))[skip:]


@pytest.mark.parametrize("n", [2, 3, 5, 20])
def test_parts_are_disjoint_and_together_the_whole(stored, n) -> None:
    found = [joined(ids(stored.batches(100, seed=2, part=(k, n)))) for k in range(n)]
    assert sorted(joined(found)) == list(range(3000))


def test_only_the_columns_asked_for_are_there(stored) -> None:
    batch = next(stored.batches(10, columns=["query"]))
    assert batch.obs.query is not None
    assert batch.propensity is None
    assert batch.output is None
    assert batch.oracle == {}
    assert stored.load(["oracle.expected_reward"]).oracle["expected_reward"].shape == (3000,)
    with pytest.raises(ValueError, match=r"columns: expected some of .*, got answer"):
        stored.load(["answer"])
    with pytest.raises(ValueError, match="batches: expected size >= 1"):
        stored.batches(0)


def test_a_summary_is_that_of_the_rows_in_memory(stored) -> None:
    a, b = stored.summary(), stored.load().summary()
    assert str(a) == str(b)
    assert a.reward.value == pytest.approx(b.reward.value, abs=1e-12)
    assert a.reward.se == pytest.approx(stored.load().reward.std(ddof=1) / np.sqrt(3000), abs=1e-12)


def test_a_handle_travels_to_other_processes(stored) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(len, stored).result() == 3000
        assert str(pool.submit(StoredDataset.summary, stored).result()) == str(stored.summary())


def test_the_environment_is_made_anew_from_its_data(tmp_path) -> None:
    data = collect(SYNTHETIC, Uniform(), 20, n_actions=7, path=tmp_path / "d")
    env = data.make_env()
    env.reset(seed=0)
    _, reward, *_ = env.step(int(data.load().action[0]))
    assert reward == data.load().reward[0]
    with pytest.raises(ValueError, match="environment: expected one that can be made from its id"):
        StoredDataset.open(
            BanditDataset.from_arrays(np.ones((2, 1)), np.zeros(2, int), np.ones(2), prompts=2).save(tmp_path / "e")
        ).make_env()


def test_verify_names_a_damaged_file_before_it_is_read(tmp_path, logged) -> None:
    stored = StoredDataset.open(logged.save(tmp_path / "d"))
    stored.verify()
    file = tmp_path / "d/oracle/part-00000.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match=r"oracle/part-00000\.parquet: damaged or changed"):
        stored.verify()


def test_inspect_prints_what_is_there_with_rounds_as_text(stored, capsys, tmp_path) -> None:
    inspect(stored.path, rounds=2)
    said = capsys.readouterr().out
    for expected in ("3,000 rounds", "Softmax", "sealed and", "in an open one", "oracle.expected_reward"):
        assert expected in said
    assert "float32[5]" in said
    assert "round 1 of seed 0" in said
    assert "round 2 of seed 0" not in said
    prompts = prompt_bandits.Prompts.from_embedding(np.eye(2), ["Be brief.", "Be kind."])
    data = BanditDataset.from_arrays(
        np.ones((1, 2)), np.array([1]), np.ones(1), prompts=prompts, sentence=["It is " + "very " * 50 + "good."]
    )
    inspect(data.save(tmp_path / "d"))
    said = capsys.readouterr().out
    assert "1: Be kind." in said
    assert "It is very very" in said
    assert "…" in said
    assert "propensity range  unknown" in said
    assert max(map(len, said.splitlines())) <= 120 + len(str(tmp_path))


def test_pandas_and_pyarrow_open_the_folder(tmp_path, simulator) -> None:
    pandas = pytest.importorskip("pandas")
    import pyarrow.dataset as ds

    data = collect(simulator, Uniform(), 5000, path=tmp_path / "d").load()
    frame = pandas.read_parquet(tmp_path / "d/data")
    np.testing.assert_array_equal(frame["reward"], data.reward)
    np.testing.assert_array_equal(np.stack(frame["context"]), data.obs.context)
    assert ds.dataset(tmp_path / "d/data").count_rows() == 5000


def test_hugging_face_datasets_opens_the_folder_with_no_script(tmp_path, simulator, monkeypatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    cache = str(tmp_path / "cache")
    data = collect(simulator, Uniform(), 300, path=tmp_path / "d").load()
    rounds = datasets.load_dataset(str(tmp_path / "d"), "rounds", split="train", cache_dir=cache)
    np.testing.assert_array_equal(rounds["reward"], data.reward)
    assert "expected_reward" not in rounds.column_names
    prompts = datasets.load_dataset(str(tmp_path / "d"), "prompts", split="train", cache_dir=cache)
    np.testing.assert_allclose(prompts["embedding"], data.obs.prompts.embedding)
    oracle = datasets.load_dataset(str(tmp_path / "d"), "oracle", split="train", cache_dir=cache)
    np.testing.assert_array_equal(oracle["expected_reward"], data.oracle["expected_reward"])
    files = str(tmp_path / "d/data/*.parquet")
    streamed = datasets.load_dataset("parquet", data_files=files, split="train", streaming=True)
    assert next(iter(streamed))["round_id"] == 0


def test_a_folder_that_fits_into_memory_teaches_what_its_rows_in_memory_teach(stored, simulator) -> None:
    rows = stored.load()
    for learner in (IPS(steps=30), BehaviourCloning(steps=30), DSO(steps=5, density_by="monte_carlo")):
        a = learner.fit(stored, seed=0, simulator=simulator)
        b = learner.fit(rows, seed=0, simulator=simulator)
        np.testing.assert_array_equal(a.action_dist(rows.obs), b.action_dist(rows.obs))


def in_small_parts(monkeypatch) -> None:
    """As if a megabyte held 400 rounds."""
    monkeypatch.setattr(StoredDataset, "row_bytes", lambda self, columns: (1 << 20) // 400)


def test_a_larger_folder_comes_in_parts_that_cover_it(stored, monkeypatch) -> None:
    in_small_parts(monkeypatch)
    rounds = segments(stored, TrainingConfig(batch_size=10, memory_mb=1), seed=0)
    parts = [next(rounds.parts) for _ in range(8)]
    assert [len(part.data) for part in parts] == [400] * 7 + [200]
    assert [part.steps for part in parts] == [40] * 7 + [20]
    assert sorted(np.concatenate([part.data.round_id for part in parts]).tolist()) == list(range(3000))
    assert parts[0].data.oracle == {}
    assert rounds.held_out is None


def test_what_is_held_out_of_a_larger_folder_is_never_trained_on(stored, monkeypatch) -> None:
    in_small_parts(monkeypatch)
    rounds = segments(stored, TrainingConfig(batch_size=10, memory_mb=1, validation_fraction=0.25), seed=0)
    held = set(rounds.held_out.round_id.tolist())
    assert 70 < len(held) < 130
    trained = [set(next(rounds.parts).data.round_id.tolist()) for _ in range(20)]  # two and a half passes
    assert not held & set.union(*trained)
    assert 2100 < len(set.union(*trained)) < 2400


@pytest.mark.slow
def test_learners_learn_from_a_folder_larger_than_their_memory(stored, simulator, monkeypatch) -> None:
    before = simulator.policy_value(stored.policies[0], 4000).value
    in_small_parts(monkeypatch)
    options = {"steps": 600, "batch_size": 64, "lr": 2e-3, "memory_mb": 1}
    training = RewardTraining(steps=600, memory_mb=1)
    learners = (
        IPS(**options),
        DirectMethod(**options, reward_training=training),
        DSO(**options),
        IPS(**options, validation_fraction=0.2),
    )
    for learner in learners:
        policy = learner.fit(stored, seed=0, simulator=simulator)
        assert simulator.policy_value(policy, 4000).value > before + 0.1, learner
    assert (
        fit_output_reward_model(stored, training, seed=0)
        .predict(stored.load().obs, stored.load().require_output())
        .std()
        > 0.1
    )


def test_refusals_are_the_same_for_a_folder(tmp_path, simulator) -> None:
    data = BanditDataset.from_arrays(np.ones((5, 1)), np.zeros(5, int), np.ones(5), prompts=2)
    stored = StoredDataset.open(data.save(tmp_path / "d"))
    with pytest.raises(ValueError, match="propensity: unknown in this dataset"):
        IPS(steps=1).fit(stored, seed=0)
    with pytest.raises(ValueError, match="output: no embeddings in this dataset"):
        DSO(steps=1).fit(stored, seed=0, simulator=simulator)


def rounds_of(stream) -> list[int]:
    """Tells rounds by their rewards, which are all different."""
    return [reward for batch in stream for reward in batch.reward.tolist()]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_data_loader_gives_every_round_once(stored, workers) -> None:
    stream = BatchStream(stored, 100, seed=1)
    loader = DataLoader(stream, batch_size=None, num_workers=workers)
    everything = sorted(np.float32(stored.load().reward).tolist())
    first = rounds_of(loader)
    assert sorted(first) == everything
    stream.set_epoch(1)
    second = rounds_of(loader)
    assert sorted(second) == everything
    assert first != second


def test_processes_and_workers_read_disjoint_parts(stored) -> None:
    found = []
    for k in range(2):
        found += rounds_of(DataLoader(BatchStream(stored, 64, part=(k, 2)), batch_size=None, num_workers=2))
    assert sorted(found) == sorted(np.float32(stored.load().reward).tolist())


def test_a_stream_goes_on_from_its_state(stored) -> None:
    stream = BatchStream(stored, 100, seed=1)
    rounds_of(stream)  # a whole pass
    second = iter(stream)
    for _ in range(7):
        next(second)
    state = stream.state_dict()
    assert state == {"epoch": 1, "batch": 7}
    again = BatchStream(stored, 100, seed=1)
    again.load_state_dict(state)
    assert rounds_of(again) == rounds_of(second)


def test_a_pass_that_was_broken_off_is_not_gone_on_with_unasked(stored) -> None:
    stream = BatchStream(stored, 100, seed=1)
    next(iter(stream))
    assert len(rounds_of(stream)) == 3000


def test_a_folder_teaches_with_all_that_a_policy_looks_at(tmp_path, simulator) -> None:
    """A logging policy that reads user ids: the density is fitted with its draws."""
    rows = collect(simulator, Uniform(), 300)
    rows = replace(rows, obs=replace(rows.obs, user_id=np.arange(300) % 5), policies=(ByUser(),))
    folder = rows.save(tmp_path / "d")
    fitted = [
        fit_density_model(data, simulator, DensityTraining(steps=20), seed=0).density(rows.obs, rows.require_output())
        for data in (rows, StoredDataset.open(folder))
    ]
    np.testing.assert_array_equal(*fitted)


@register_saved
@dataclass(frozen=True)
class ByUser:
    saved_as: ClassVar[str] = "by_user"

    def action_dist(self, obs):
        return np.eye(10)[obs.user_id]


def test_batches_hold_what_a_batch_has_a_place_for(stored) -> None:
    batch = next(iter(BatchStream(stored, 10)))
    assert isinstance(batch, Batch)
    assert batch.features.shape == (10, 10)
    assert batch.propensity.shape == (10,)
    assert batch.output.shape == (10, 5)
    assert next(iter(BatchStream(stored, 10, columns=["query"]))).propensity is None
    with pytest.raises(ValueError, match="batches: expected size >= 1"):
        BatchStream(stored, 0)


@pytest.mark.slow
def test_streaming_needs_the_memory_of_a_part_not_of_the_whole(tmp_path) -> None:
    """A folder of 400 MB in memory, read in another process."""
    n = 200_000
    rows = BanditDataset.from_arrays(
        np.random.default_rng(0).standard_normal((2000, 500)),
        np.zeros(2000, int),
        np.zeros(2000),
        prompts=2,
        extras={"text": text_array(["word " * 20] * 2000)},
    )
    with DatasetWriter(tmp_path / "d") as writer:
        for begin in range(0, n, 2000):
            writer.append(replace(rows, round_id=np.arange(begin, begin + 2000)))
    code = (
        "import resource, numpy, pyarrow.parquet\n"
        "from prompt_bandits import BanditDataset\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"data = BanditDataset.open({str(tmp_path / 'd')!r})\n"
        "print(sum(len(batch) for batch in data.batches(1000, seed=0)))\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    read, megabytes = out.stdout.split()
    assert int(read) == n
    assert float(megabytes) < 250
