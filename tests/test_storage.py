"""Folders that rounds are appended to: resuming, refusing, hashing, migrating, merging."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import ClassVar

import gymnasium as gym
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import SYNTHETIC
from test_dataset import full_rows, three_rows
from test_recording import assert_same_rows

from agents.policies import NeuralPolicy
from prompt_bandits import BanditDataset, Prompts, RecordBanditDataset, RecordBanditDatasetVector, collect, saving
from prompt_bandits.datasets import DatasetWriter, StoredDataset, merge, migrate
from prompt_bandits.datasets.keys import KeySet
from prompt_bandits.datasets.manifest import Manifest, package_versions
from prompt_bandits.datasets.whole import save_dataset
from prompt_bandits.policies import OracleScore, Softmax, Uniform
from prompt_bandits.types import text_array


def in_parts(data: BanditDataset, path, *sizes: int, **options) -> StoredDataset:
    """Writes rows some at a time."""
    begin = 0
    with DatasetWriter(path, **options) as writer:
        for size in sizes:
            writer.append(data.take(slice(begin, begin + size)))
            begin += size
    return StoredDataset.open(path)


def test_rows_come_back_whatever_the_shards_and_flushes(tmp_path, logged) -> None:
    stored = in_parts(logged, tmp_path / "d", 1, 99, 250, 250, flush_rows=100, shard_bytes=30_000)
    assert [shard.rows for shard in stored.manifest.shards] == [350, 250]
    assert_same_rows(stored.load(), logged)
    assert stored.policies[0].action_dist(logged.obs)[0].sum() == pytest.approx(1)
    assert stored.spec == json.loads(json.dumps(logged.spec))


def test_every_kind_of_column_goes_through_the_write_ahead_stream(tmp_path) -> None:
    data = full_rows()
    writer = DatasetWriter(tmp_path / "d", flush_rows=1)
    for row in range(3):
        writer.append(data.take(slice(row, row + 1)))
    open_shard = StoredDataset.open(tmp_path / "d").load()
    writer.close()
    for back in (open_shard, BanditDataset.load(tmp_path / "d")):
        assert_same_rows(back, data)
        for name, column in data._columns().items():
            assert back._columns()[name].dtype == column.dtype, name


def test_a_row_group_is_what_readers_hold_at_a_time(tmp_path, simulator) -> None:
    stored = collect(simulator, Uniform(), 40_000, path=tmp_path / "d")
    file = pq.ParquetFile(tmp_path / "d/data/part-00000.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [16_384, 16_384, 7_232]
    assert len(stored) == 40_000


def test_the_content_is_told_by_its_rows_not_by_how_they_lie(tmp_path, logged) -> None:
    whole = in_parts(logged, tmp_path / "a", 600)
    order = np.random.Generator(np.random.Philox(0)).permutation(600)
    shuffled = in_parts(logged.take(order), tmp_path / "b", 200, 300, 100, flush_rows=50, shard_bytes=10_000)
    assert whole.content_hash() == shuffled.content_hash()
    hashes = {whole.content_hash()}
    for i, other in enumerate(
        (
            logged.take(slice(0, 599)),
            replace(logged, reward=np.where(np.arange(600) == 7, 0.0, logged.reward)),
            replace(logged, round_id=logged.round_id + 1),
            replace(logged, extras={"group": np.zeros(600)}),
            replace(logged, extras={"group": text_array(["a"] * 600)}),
            replace(logged, extras={"group": text_array(["a"] * 599 + ["b"])}),
            replace(logged, oracle={}),
        )
    ):
        hashes.add(in_parts(other, tmp_path / f"other{i}", len(other)).content_hash())
    assert len(hashes) == 8


@pytest.mark.parametrize("cuts", [[(0, 1500)], [(0, 700), (700, 2100)], [(1024, 2048), (0, 100)]])
def test_a_resumed_collect_ends_with_the_same_content(tmp_path, simulator, cuts) -> None:
    """Under a network policy, whose rounding depends on the batch that it sees."""
    policy = NeuralPolicy.initial("mlp", simulator.observe(simulator.rounds(0, 0, 1)), hidden=16, seed=0)
    whole = collect(simulator, policy, 2500, seed=3, path=tmp_path / "whole")
    for begin, end in cuts:
        collect(simulator, policy, end - begin, seed=3, start=begin, path=tmp_path / "d", resume=True)
    resumed = collect(simulator, policy, 2500, seed=3, path=tmp_path / "d", resume=True)
    assert resumed.content_hash() == whole.content_hash()
    assert len(collect(simulator, policy, 2500, seed=3, path=tmp_path / "d", resume=True)) == 2500


def test_collect_stopped_in_the_middle_keeps_its_rows(tmp_path, simulator) -> None:
    class Stops:
        def __init__(self) -> None:
            self.blocks = 0

        def action_dist(self, obs):
            self.blocks += 1
            if self.blocks == 4:
                raise KeyboardInterrupt
            return np.full((len(obs), 10), 0.1)

    with pytest.warns(UserWarning, match="Stops cannot be saved"), pytest.raises(KeyboardInterrupt):
        collect(simulator, Stops(), 5000, path=tmp_path / "d")
    np.testing.assert_array_equal(BanditDataset.load(tmp_path / "d").round_id, np.arange(3 * 1024))


def test_resuming_under_another_origin_is_refused(tmp_path, simulator, monkeypatch) -> None:
    path = tmp_path / "d"
    collect(simulator, Uniform(), 50, path=path)
    again = {"path": path, "resume": True}
    with pytest.raises(ValueError, match=r"policy: expected the logging policy of .*d, got another"):
        collect(simulator, Softmax(OracleScore(simulator)), 100, **again)
    with pytest.raises(ValueError, match="prompts: expected the same table"):
        collect(SYNTHETIC, Uniform(), 100, n_actions=20, **again)
    with pytest.raises(ValueError, match=r"environment: expected the one of .*, whose id is None, got 'PromptPers"):
        collect(SYNTHETIC, Uniform(), 100, n_actions=10, **again)
    with pytest.raises(FileExistsError, match="resume=True"):
        collect(simulator, Uniform(), 100, path=path)
    versions = package_versions()
    monkeypatch.setattr("prompt_bandits.datasets.description.package_versions", lambda: {**versions, "numpy": "9.9"})
    with pytest.raises(ValueError, match=r"numpy: expected version .* as in .*, got 9.9; NumPy promises no stable"):
        collect(simulator, Uniform(), 100, **again)
    monkeypatch.undo()
    assert len(collect(simulator, Uniform(), 100, **again)) == 100


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"extras": {"group": np.zeros(3)}}, r"columns: expected .*; missing \[\], unknown \['extras.group'\]"),
        ({"propensity": None}, r"missing \['propensity'\], unknown \[\]"),
        ({"context": np.zeros((3, 5))}, r"context: expected float32\[2\] as in the rows so far, got float32\[5\]"),
        ({"prompts": Prompts.from_embedding(np.eye(2), ["a", "b"])}, "prompts: expected the same table"),
        ({"policies": (Uniform(),)}, "policies: expected rows without a logging policy"),
        ({"round_id": np.array([9, 9, 8]), "seed": np.zeros(3, int)}, "seed 0 has a round twice at once: 9"),
        ({"round_id": np.array([7, 8, 2]), "seed": np.zeros(3, int)}, "seed 0, round 2 is recorded already"),
        ({"spec": {"id": "X-v0"}}, "environment: expected the one of"),
    ],
)
def test_rows_that_do_not_fit_are_refused_and_the_others_kept(tmp_path, changes, message) -> None:
    new = {"round_id": np.array([5, 6, 7]), "seed": np.zeros(3, int)}
    with DatasetWriter(tmp_path / "d") as writer:
        writer.append(three_rows())
        with pytest.raises(ValueError, match=message):
            writer.append(three_rows(**(new | changes)))
        writer.append(three_rows(**new))
    assert BanditDataset.load(tmp_path / "d").round_id.tolist() == [0, 1, 2, 5, 6, 7]


def test_numbers_are_cast_only_without_loss(tmp_path) -> None:
    rows = [{"seed": np.full(3, seed), "round_id": np.arange(3)} for seed in range(3)]
    with DatasetWriter(tmp_path / "d") as writer:
        writer.append(three_rows(extras={"time": np.array([0.5, 1, 2])}, **rows[0]))
        writer.append(three_rows(extras={"time": np.array([1, 2, 3], np.int32)}, **rows[1]))
        with pytest.raises(ValueError, match=r"extras.time: expected float64 as in the rows so far, got text"):
            writer.append(three_rows(extras={"time": text_array("abc")}, **rows[2]))
    assert BanditDataset.load(tmp_path / "d").extras["time"].tolist() == [0.5, 1, 2, 1, 2, 3]


def test_what_cannot_be_written_is_refused_before_it_is_taken_in(tmp_path) -> None:
    keys = {"seed": np.zeros(3, int), "round_id": np.array([5, 6, 7])}
    with DatasetWriter(tmp_path / "d") as writer:
        writer.append(three_rows(extras={"x": np.arange(3.0), "t": text_array("abc")}))
        for extras, message in (
            ({"x": np.arange(3.0), "t": text_array(["a", "\ud83d", "c"])}, "extras.t: expected numbers or texts, got"),
            ({"x": np.arange(3, dtype=np.longdouble), "t": text_array("abc")}, "extras.x: expected numbers or texts"),
            ({"x": np.arange(3, dtype=">f8"), "t": text_array("abc")}, "extras.x: expected numbers or texts"),
            ({"x": np.array([2**53 + 1] * 3), "t": text_array("abc")}, "extras.x: expected float64 .*, got int64"),
        ):
            with pytest.raises(ValueError, match=message):
                writer.append(three_rows(extras=extras, **keys))
        writer.append(three_rows(extras={"x": np.array([2**53] * 3), "t": text_array(["\0", "", "ü"])}, **keys))
        extras = {"x": np.arange(3.0), "t": text_array("abc")}
        for round_id in (np.array([-1, 8, 9]), np.array([8, 9, 2**63 - 1]), np.array([8.5, 9.0, 10.0])):
            with pytest.raises(ValueError, match="round_id: expected"):
                writer.append(three_rows(round_id=round_id, seed=np.zeros(3, int), extras=extras))
    back = BanditDataset.load(tmp_path / "d")
    assert back.extras["t"].tolist() == ["a", "b", "c", "\0", "", "ü"]
    assert back.extras["x"].tolist() == [0, 1, 2, 2.0**53, 2.0**53, 2.0**53]


def test_a_flush_that_arrow_cuts_into_several_batches_is_kept_whole(tmp_path, monkeypatch, logged) -> None:
    """As it cuts texts beyond 2 GB; one batch fails at first."""
    from prompt_bandits.datasets import writer as module

    class InBatchesOfSeven:
        def __init__(self, table) -> None:
            self.table, self.schema = table, table.schema

        def combine_chunks(self):
            return self

        def to_batches(self):
            return self.table.to_batches(max_chunksize=7)

    real = module.to_table
    monkeypatch.setattr(module, "to_table", lambda columns: InBatchesOfSeven(real(columns)))
    append, calls = module.WriteAheadStream.append, [0]

    def failing(self, batch):
        calls[0] += 1
        if calls[0] == 5:
            raise OSError(28, "No space left on device")
        append(self, batch)

    monkeypatch.setattr(module.WriteAheadStream, "append", failing)
    writer = DatasetWriter(tmp_path / "d", flush_rows=100)
    with pytest.raises(OSError, match=r"28 rows are safe there, 572 are still in memory"):
        writer.append(logged)
    writer.close()
    assert_same_rows(BanditDataset.load(tmp_path / "d"), logged)


def test_policies_of_several_kinds_share_a_folder(tmp_path, simulator) -> None:
    uniform, soft = Uniform(), Softmax(OracleScore(simulator))
    with DatasetWriter(tmp_path / "d") as writer:
        for seed, policy in enumerate((uniform, soft, uniform)):
            writer.append(collect(simulator, policy, 20, seed=seed))
    data = BanditDataset.load(tmp_path / "d")
    assert data.policy_id.tolist() == [0] * 20 + [1] * 20 + [0] * 20
    np.testing.assert_allclose(data.logging_dist()[np.arange(60), data.action], data.propensity, rtol=1e-6)


def test_a_resumed_wrapper_goes_on_where_the_folder_stops(tmp_path) -> None:
    def run(rounds: int) -> None:
        with RecordBanditDataset(gym.make(SYNTHETIC, n_actions=10), tmp_path / "d", Uniform(), resume=True) as env:
            env.reset(seed=4)
            for _ in range(rounds):
                env.act()
                env.reset()

    run(30)
    run(20)
    whole = collect(SYNTHETIC, Uniform(), 50, seed=4, n_actions=10)
    assert_same_rows(BanditDataset.load(tmp_path / "d"), whole)
    env = RecordBanditDataset(gym.make(SYNTHETIC, n_actions=10), tmp_path / "d", Uniform(), resume=True)
    env.reset()  # without a seed: that of the folder
    assert (env.np_random_seed, env.reset()[1]["round_id"]) == (4, 51)
    env.reset(seed=9)  # a seed that is not there starts at its first round
    env.act()
    env.close()
    assert env.dataset().keys().highest(9) == 0
    with pytest.raises(ValueError, match="resume: expected a path"):
        RecordBanditDataset(gym.make(SYNTHETIC), resume=True)


def test_a_resumed_vector_wrapper_goes_on_too(tmp_path) -> None:
    for _ in range(2):
        env = RecordBanditDatasetVector(
            gym.make_vec(SYNTHETIC, num_envs=4, n_actions=10), tmp_path / "d", Uniform(), resume=True
        )
        env.reset(seed=4)
        for _ in range(5):
            env.act()
        env.close()
    assert_same_rows(BanditDataset.load(tmp_path / "d"), collect(SYNTHETIC, Uniform(), 40, seed=4, n_actions=10))


def test_a_resumed_wrapper_refuses_rows_unlike_those_of_the_folder_before_anything_is_played(tmp_path) -> None:
    with RecordBanditDataset(gym.make(SYNTHETIC, n_actions=10), tmp_path / "d") as env:
        env.reset(seed=0)
        env.step(1)
        env.annotate(propensity=0.1, group="a")
    env = RecordBanditDataset(gym.make(SYNTHETIC, n_actions=10), tmp_path / "d", resume=True)
    env.reset(seed=0)
    env.step(1)
    env.reset()
    with pytest.raises(ValueError, match="propensity: known so far, unknown in the last row"):
        env.step(2)
    env.annotate(propensity=0.1, group="b")
    env.close()
    assert BanditDataset.load(tmp_path / "d").extras["group"].tolist() == ["a", "b"]


def as_version_1(folder) -> None:
    """Describes a folder as version 1 did: one shard, no policy numbers, no checksum of its own."""
    table = pq.read_table(folder / "data/part-00000.parquet").drop_columns(["policy_id"])
    pq.write_table(table, folder / "data/part-00000.parquet", compression="zstd")
    (folder / "README.md").unlink()
    info = json.loads((folder / "meta/info.json").read_text())
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and file.name != "info.json"]
    old = {name: info[name] for name in ("n_rounds", "n_actions", "propensity", "seeds", "env_spec", "versions")}
    old |= {"schema_version": 1, "policies": len(info["policies"])}
    old["sha256"] = {str(file.relative_to(folder)): sha256(file.read_bytes()).hexdigest() for file in files}
    (folder / "meta/info.json").write_text(json.dumps(old, indent=1))


def test_a_folder_of_schema_version_1_is_read_and_migrated(tmp_path, logged) -> None:
    folder = logged.save(tmp_path / "d")
    as_version_1(folder)
    old = StoredDataset.open(folder)
    assert old.manifest.schema_version == 1
    assert_same_rows(old.load(), logged)
    assert len(old.keys()) == 600
    with pytest.raises(ValueError, match=r"expected schema version 2 to go on with, got 1; .*migrate\(path\)"):
        DatasetWriter(folder, resume=True)
    new = migrate(folder)
    assert new.manifest.schema_version == 2
    assert_same_rows(new.load(), logged)
    logged.save(tmp_path / "e")
    assert migrate(folder).content_hash() == StoredDataset.open(tmp_path / "e").content_hash()
    DatasetWriter(folder, resume=True).close()


def test_a_damaged_folder_of_version_1_is_refused(tmp_path, logged) -> None:
    folder = logged.save(tmp_path / "d")
    as_version_1(folder)
    (folder / "data/part-00000.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"part-00000\.parquet: damaged or changed"):
        StoredDataset.open(folder)
    info = json.loads((folder / "meta/info.json").read_text())
    (folder / "meta/info.json").write_text(json.dumps({k: v for k, v in info.items() if k != "sha256"}))
    with pytest.raises(ValueError, match=r"info\.json: damaged"):
        StoredDataset.open(folder)


def test_merged_folders_are_what_one_process_writes(tmp_path, simulator) -> None:
    parts = [
        collect(simulator, Uniform(), 1000, start=begin, path=tmp_path / str(begin)).path for begin in (2000, 0, 1000)
    ]
    merged = merge(parts, tmp_path / "merged")
    assert merged.content_hash() == collect(simulator, Uniform(), 3000, path=tmp_path / "whole").content_hash()
    assert merged.manifest.keys.runs() == {0: [(0, 3000)]}
    file = tmp_path / "merged/data/part-00001.parquet"
    assert file.samefile(parts[1] / "data/part-00000.parquet"), "linked, not copied"
    for part in parts:
        assert len(StoredDataset.open(part)) == 1000


def test_merging_keeps_each_rows_logging_policy(tmp_path, simulator) -> None:
    soft = Softmax(OracleScore(simulator))
    paths = []
    for seed, policy in enumerate((Uniform(), soft, Uniform())):
        paths.append(collect(simulator, policy, 20, seed=seed, path=tmp_path / str(seed)).path)
    merged = merge(paths, tmp_path / "merged").load()
    assert merged.policy_id.tolist() == [0] * 20 + [1] * 20 + [0] * 20
    np.testing.assert_allclose(merged.logging_dist()[np.arange(60), merged.action], merged.propensity, rtol=1e-6)


def test_the_order_of_merging_changes_nothing(tmp_path, simulator) -> None:
    a = collect(simulator, Uniform(), 20, path=tmp_path / "a").path
    b = collect(simulator, Softmax(OracleScore(simulator)), 20, seed=1, path=tmp_path / "b").path
    one, two = merge([a, b], tmp_path / "one"), merge([b, a], tmp_path / "two")
    assert one.content_hash() == two.content_hash()
    assert [type(policy).__name__ for policy in one.policies + two.policies] == [
        "Uniform",
        "Softmax",
        "Softmax",
        "Uniform",
    ]


def test_a_folder_without_rows_merges_with_one_that_has_some(tmp_path) -> None:
    empty, full = (
        three_rows().take(slice(0, 0)).save(tmp_path / "a"),
        three_rows(extras={"g": np.ones(3)}).save(tmp_path / "b"),
    )
    assert len(merge([empty, full], tmp_path / "c")) == 3


def test_a_merge_keeps_the_versions_that_drew_the_rows(tmp_path, simulator, monkeypatch) -> None:
    versions = {**package_versions(), "numpy": "1.0"}
    a = save_dataset(collect(simulator, Uniform(), 20), tmp_path / "a", versions=versions)
    b = save_dataset(collect(simulator, Uniform(), 20, seed=1), tmp_path / "b", versions=versions)
    assert merge([a, b], tmp_path / "c").manifest.versions["numpy"] == "1.0"
    new = collect(simulator, Uniform(), 20, seed=2, path=tmp_path / "new").path
    with pytest.raises(ValueError, match=r"numpy: expected version 1.0 as in"):
        merge([a, new], tmp_path / "d")


def test_folders_that_do_not_belong_together_are_not_merged(tmp_path, simulator) -> None:
    a = collect(simulator, Uniform(), 20, path=tmp_path / "a").path
    overlap = collect(simulator, Uniform(), 20, start=19, path=tmp_path / "b").path
    other = collect(SYNTHETIC, Uniform(), 20, seed=1, n_actions=10, path=tmp_path / "c").path
    bare = collect(simulator, Uniform(), 20, seed=2).take(slice(0, 20))
    bare = replace(bare, oracle={}).save(tmp_path / "e")
    for paths, message in (
        ([a, overlap], r"b: round: seed 0, round 19 is recorded already"),
        ([a, a], "round 0 is recorded already"),
        ([a, other], r"c: environment: expected the one of"),
        ([a, bare], r"e: columns: expected .*missing \['oracle.expected_reward'\]"),
        ([], "merge: expected at least one dataset"),
    ):
        with pytest.raises(ValueError, match=message):
            merge(paths, tmp_path / "merged")
        assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "b", "c", "e"]


def test_merging_takes_in_the_open_shard_of_a_writer_that_died(tmp_path, logged) -> None:
    writer = DatasetWriter(tmp_path / "d", flush_rows=100)
    writer.append(logged)
    writer._lock.release()
    assert_same_rows(merge([tmp_path / "d"], tmp_path / "merged").load(), logged)


def test_keys_are_runs_of_rounds() -> None:
    keys = KeySet()
    for ids in ([0, 1, 2], [5, 6], [3], [10], [4], [9, 8]):
        keys.update(KeySet.of(np.zeros(len(ids), int), np.array(ids)))
    assert keys.runs() == {0: [(0, 7), (8, 11)]}
    assert len(keys) == 10
    assert keys.missing(0, 0, 13) == [(7, 8), (11, 13)]
    assert keys.missing(1, 2, 4) == [(2, 4)]
    assert (keys.highest(0), keys.highest(1)) == (10, -1)
    assert KeySet.from_json(json.loads(json.dumps(keys.to_json()))) == keys
    for ids in ([6], [0, 20], [8, 7], [10, 11]):
        with pytest.raises(ValueError, match="is recorded already"):
            keys.update(KeySet.of(np.zeros(len(ids), int), np.array(ids)))
    assert keys.runs() == {0: [(0, 7), (8, 11)]}, "nothing of what was refused is in"


def test_key_sets_agree_with_plain_sets() -> None:
    generator = np.random.Generator(np.random.Philox(8))
    keys, plain = KeySet(), set()
    for _ in range(300):
        seed, ids = generator.integers(2, size=4), generator.integers(200, size=4)
        new = set(zip(seed.tolist(), ids.tolist(), strict=True))
        if len(new) < 4 or new & plain:
            with pytest.raises(ValueError, match="round"):
                keys.update(KeySet.of(seed, ids))
        else:
            keys.update(KeySet.of(seed, ids))
            plain |= new
    assert len(keys) == len(plain) > 100
    for seed in (0, 1):
        gaps = {i for begin, end in keys.missing(seed, 0, 200) for i in range(begin, end)}
        assert gaps == {i for i in range(200) if (seed, i) not in plain}


def test_many_runs_are_not_written_down_but_read_again(tmp_path) -> None:
    n = 10_000
    data = BanditDataset.from_arrays(
        np.zeros((n, 1)), np.zeros(n, int), np.zeros(n), prompts=2, round_id=2 * np.arange(n), seed=np.zeros(n, int)
    )
    path = data.save(tmp_path / "d")
    assert Manifest.load(path).keys is None
    with DatasetWriter(path, resume=True) as writer:
        assert writer.keys.missing(0, 0, 6) == [(1, 2), (3, 4), (5, 6)]


def test_a_folder_whose_birth_was_cut_short_is_free(tmp_path, logged, monkeypatch) -> None:
    def die(*_) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Manifest, "store", die)
    with pytest.raises(KeyboardInterrupt):
        DatasetWriter(tmp_path / "d").append(logged)
    monkeypatch.undo()
    assert (tmp_path / "d/tables/actions.parquet").exists()
    assert len(in_parts(logged, tmp_path / "d", 600)) == 600


def test_a_writer_without_rows_leaves_nothing(tmp_path) -> None:
    DatasetWriter(tmp_path / "d").close()
    assert not (tmp_path / "d").exists()
    writer = DatasetWriter(tmp_path / "d")
    writer.close()
    with pytest.raises(ValueError, match="this writer is closed"):
        writer.append(three_rows())


def test_an_abandoned_writer_keeps_what_was_flushed_and_writes_no_more(tmp_path, logged) -> None:
    writer = DatasetWriter(tmp_path / "d", flush_rows=100)
    writer.append(logged.take(slice(0, 100)))
    writer.append(logged.take(slice(100, 150)))
    writer.abandon()
    writer.flush()
    assert len(StoredDataset.open(tmp_path / "d")) == 100
    assert_same_rows(in_parts(logged.take(slice(100, 600)), tmp_path / "d", 500, resume=True).load(), logged)


def test_an_empty_dataset_keeps_its_columns(tmp_path) -> None:
    empty = full_rows().take(slice(0, 0))
    back = BanditDataset.load(empty.save(tmp_path / "d"))
    assert len(back) == 0
    assert {name: column.shape for name, column in back._columns().items()} == {
        name: column.shape for name, column in empty._columns().items() if name != "policy_id"
    }


def test_parquet_has_no_columns_of_ours_that_others_cannot_read(tmp_path, logged) -> None:
    logged.save(tmp_path / "d")
    schema = pq.read_schema(tmp_path / "d/data/part-00000.parquet")
    assert schema.field("context").type == pa.list_(pa.float32(), 5)
    assert schema.field("reward").type == pa.float64()


def test_rows_are_read_without_a_policy_whose_class_is_not_installed(tmp_path, simulator, monkeypatch) -> None:
    @saving.register_saved
    @dataclass(frozen=True)
    class Elsewhere:
        saved_as: ClassVar[str] = "elsewhere"

        def action_dist(self, obs):
            return np.full((len(obs), 10), 0.1)

    collect(simulator, Elsewhere(), 20, path=tmp_path / "d")
    monkeypatch.delitem(saving._registered, "elsewhere")
    with pytest.warns(UserWarning, match=r"read without its logging policies: saved as 'elsewhere': expected a class"):
        data = BanditDataset.load(tmp_path / "d")
    assert data.policies == ()
    np.testing.assert_allclose(data.propensity, 0.1)
