"""Writers that die, disks that fill up, files that are damaged: what is lost, and what is said."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import writing

from prompt_bandits import BanditDataset, RecordBanditDataset, collect
from prompt_bandits.datasets import DatasetWriter, StoredDataset, merging, recover
from prompt_bandits.datasets.locking import FolderLock, FolderLocked
from prompt_bandits.policies import Uniform
from prompt_bandits.serving import BanditLogger
from prompt_bandits.synthetic import SyntheticConfig
from prompt_bandits.types import text_array

KILLS = 20


def start(job: str, folder: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, writing.__file__, job, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )


def killed_after(process: subprocess.Popen, lines: int) -> list[str]:
    """What the process had said when it was killed, some moments after so many lines."""
    said = [process.stdout.readline() for _ in range(lines)]
    time.sleep((lines * 7919 % 100) / 20_000)  # up to 5 ms: any point of a flush or a seal
    process.send_signal(signal.SIGKILL)
    said += process.stdout.readlines()
    process.wait()
    return [line.strip() for line in said if line.endswith("\n")]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> StoredDataset:
    folder = tmp_path_factory.mktemp("whole") / "d"
    with DatasetWriter(folder) as writer:
        for rows in writing.play().rows([(0, writing.N)]):
            writer.append(rows)
    return StoredDataset.open(folder)


@pytest.mark.slow
def test_a_writer_killed_at_random_points_loses_no_flushed_row_and_resumes_to_the_same_content(
    tmp_path, undisturbed
) -> None:
    """Twenty kills of one folder's writers in a row; then one that is left in peace."""
    folder, flushed, lost = tmp_path / "d", 0, []
    points = np.random.Generator(np.random.Philox(3)).integers(1, 12, KILLS)
    for lines in points:
        said = killed_after(start("write", folder), int(lines))
        flushed = int(said[-1])
        data = StoredDataset.open(folder)
        assert flushed <= len(data) <= flushed + 512, "more than the unflushed batch differs"
        assert len(data.keys()) == len(data), "a key is doubled"
        rows = data.load()
        np.testing.assert_array_equal(rows.round_id, np.arange(len(rows)))
        lost.append(len(data) - flushed)
    process = start("write", folder)
    assert process.wait(timeout=120) == 0, process.stderr.read()
    data = StoredDataset.open(folder)
    assert len(data) == writing.N
    assert data.content_hash() == undisturbed.content_hash()
    assert not (folder / "open").exists()
    assert (folder / ".lock").read_text() == ""


@pytest.mark.slow
def test_a_logger_killed_at_random_points_loses_nothing_that_it_acknowledged(tmp_path) -> None:
    folder = tmp_path / "d"
    acts, rewards = set(), set()
    for lines in np.random.Generator(np.random.Philox(4)).integers(5, 300, KILLS):
        for line in killed_after(start("serve", folder), int(lines)):
            what, round_id = line.split()
            (acts if what == "act" else rewards).add(int(round_id))
        with BanditLogger(folder, Uniform()) as logger:
            done = logger.dataset().load()
            waiting = set(logger.waiting().tolist())
        assert rewards <= set(done.round_id.tolist())
        assert acts <= set(done.round_id.tolist()) | waiting
        assert not waiting & set(done.round_id.tolist())
        assert len(np.unique(done.round_id)) == len(done)
        np.testing.assert_array_equal(done.reward, done.round_id / 2)


@pytest.mark.slow
@pytest.mark.parametrize("kill", [os.kill, os.killpg], ids=["parent", "all"])
def test_a_killed_parent_and_its_workers_leave_what_resume_completes(tmp_path, kill) -> None:
    """Workers may still be ending when the folder is resumed: those of a dead parent play on to their next report."""
    folder = tmp_path / "d"
    process = subprocess.Popen(
        [sys.executable, writing.__file__, "share", str(folder)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,
    )
    while process.poll() is None and not list(folder.glob("workers/*/open/*.journal")):
        time.sleep(0.01)
    assert process.poll() is None, "it ended before it could be killed"
    time.sleep(0.1)
    kill(process.pid, signal.SIGKILL)
    process.wait()
    simulator = SyntheticConfig(n_actions=10).build()
    data = collect(simulator, Uniform(), 200_000, path=folder, workers=2, resume=True)
    assert len(data) == 200_000
    assert not (folder / "workers").exists()
    assert data.content_hash() == collect(simulator, Uniform(), 200_000, path=tmp_path / "whole").content_hash()


def test_resuming_waits_for_a_worker_that_is_ending_and_not_for_one_that_is_at_work(tmp_path, monkeypatch) -> None:
    with DatasetWriter(tmp_path / "d") as writer:
        writer.append(next(writing.play().rows([(0, 512)])))
    worker = FolderLock(tmp_path / "d" / "workers" / "0")
    with ThreadPoolExecutor(1) as pool:
        recovery = pool.submit(recover, tmp_path / "d")
        time.sleep(0.3)
        assert not recovery.done()
        worker.release()
        assert recovery.result(timeout=5).n_rounds == 512
    worker = FolderLock(tmp_path / "d" / "workers" / "0")
    monkeypatch.setattr(merging, "ENDING", 0.1)
    with pytest.raises(FolderLocked, match="another writer is at work here"):
        recover(tmp_path / "d")
    worker.release()


def test_a_full_disk_is_told_and_every_flushed_row_remains(tmp_path) -> None:
    process = start("fill_up", tmp_path / "d")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 3
    taken_in, message = said.split(" ", 1)
    assert "could not write to" in message
    assert "File too large" in message
    assert "rows are safe there" in message
    safe = int(message.split(" rows are safe")[0].split()[-1].replace(",", ""))
    assert 1024 <= safe < int(taken_in)
    data = BanditDataset.load(tmp_path / "d")
    np.testing.assert_array_equal(data.round_id, np.arange(safe))
    assert recover(tmp_path / "d").from_open_shard == safe
    resumed = collect(SyntheticConfig(n_actions=10).build(), Uniform(), 8000, path=tmp_path / "d", resume=True)
    assert len(resumed) == 8000


def test_a_writer_goes_on_once_there_is_room_again(tmp_path, monkeypatch) -> None:
    play, real = writing.play(), os.write

    def full(fd, content):
        if len(content) > 1000:
            real(fd, content[:500])
            raise OSError(28, "No space left on device")
        return real(fd, content)

    with DatasetWriter(tmp_path / "d", flush_rows=256) as writer:
        for rows in play.rows([(0, 1024)]):
            writer.append(rows)
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(
            OSError, match=r"No space left on device\); 1,024 rows are safe there, 512 are still in mem"
        ):
            writer.append(next(play.rows([(1024, 1536)])))
        monkeypatch.undo()
        writer.flush()
    np.testing.assert_array_equal(BanditDataset.load(tmp_path / "d").round_id, np.arange(1536))


def test_a_shard_that_cannot_be_sealed_stays_open(tmp_path, monkeypatch) -> None:
    """The room runs out while Parquet is written: the rows are in the stream still, and later ones too."""
    from prompt_bandits.datasets import shards

    writer = DatasetWriter(tmp_path / "d", flush_rows=256, shard_bytes=1)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shards, "write_parquet", full)
    for begin in (0, 512):
        with pytest.raises(OSError, match="No space left"):
            writer.append(next(writing.play().rows([(begin, begin + 512)])))
    assert len(StoredDataset.open(tmp_path / "d")) == 1024
    monkeypatch.undo()
    writer.close()
    assert len(StoredDataset.open(tmp_path / "d")) == 1024


def test_a_second_writer_is_refused_and_a_reader_is_not(tmp_path) -> None:
    with DatasetWriter(tmp_path / "d") as writer:
        writer.append(next(writing.play().rows([(0, 100)])))
        with pytest.raises(FolderLocked, match=rf"another writer is at work here \(process {os.getpid()} on "):
            DatasetWriter(tmp_path / "d", resume=True)
        with pytest.raises(FolderLocked):
            recover(tmp_path / "d")
        writer.flush()
        assert len(StoredDataset.open(tmp_path / "d")) == 100
    DatasetWriter(tmp_path / "d", resume=True).close()


def test_a_second_process_is_refused_and_a_dead_ones_lock_is_not_heeded(tmp_path) -> None:
    process = start("write", tmp_path / "d")
    process.stdout.readline()
    with pytest.raises(FolderLocked, match=f"process {process.pid} on "):
        FolderLock(tmp_path / "d")
    process.kill()
    process.wait()
    assert (tmp_path / "d/.lock").exists()
    FolderLock(tmp_path / "d").release()


def abandoned(folder: Path) -> None:
    """Two sealed shards of 400 rows, an open one of 300; texts, a policy, an oracle column."""
    rows = BanditDataset.concat(list(writing.play().rows([(0, 1100)])))
    rows = replace(rows, extras={"group": text_array(f"group {i % 7}" for i in range(1100))})
    writer = DatasetWriter(folder, flush_rows=100, shard_bytes=50_000)
    for begin in range(0, 1100, 100):
        writer.append(rows.take(slice(begin, begin + 100)))
    writer._lock.release()  # as if it had died: nothing else of it is undone
    assert [shard.rows for shard in StoredDataset.open(folder).manifest.shards] == [400, 400]
    assert (folder / "open").is_dir()


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sound") / "d"
    abandoned(folder)
    return folder


def flip(file: Path, generator: np.random.Generator) -> None:
    content = bytearray(file.read_bytes())
    content[generator.integers(len(content))] ^= 1 << int(generator.integers(8))
    file.write_bytes(bytes(content))


def truncate(file: Path, generator: np.random.Generator) -> None:
    file.write_bytes(file.read_bytes()[: generator.integers(file.stat().st_size)])


def scramble(file: Path, generator: np.random.Generator) -> None:
    size = file.stat().st_size
    begin = int(generator.integers(size))
    length = int(generator.integers(1, 1 + min(64, size - begin)))
    content = bytearray(file.read_bytes())
    content[begin : begin + length] = generator.bytes(length)
    file.write_bytes(bytes(content))


def append(file: Path, generator: np.random.Generator) -> None:
    with file.open("ab") as stream:
        stream.write(generator.bytes(int(generator.integers(1, 100))))


@pytest.mark.slow
def test_500_fuzzed_files_give_a_clear_error_or_the_right_rows(tmp_path, sound) -> None:
    """The right rows: all of them where the change did not matter (a blank in JSON, bytes behind the last flush), or
    all but the last flush where its acknowledgement is what was cut off.
    """
    right = BanditDataset.load(sound)
    files = [file for file in sorted(sound.rglob("*")) if file.is_file() and file.name != ".lock"]
    generator = np.random.Generator(np.random.Philox(5))
    refusals, outcomes = [], {"right": 0, "all but the last flush": 0}
    for i in range(500):
        file = files[i % len(files)].relative_to(sound)
        change = (flip, truncate, scramble, append)[int(generator.integers(4))]
        shutil.rmtree(tmp_path / "d", ignore_errors=True)
        shutil.copytree(sound, tmp_path / "d")
        change(tmp_path / "d" / file, generator)
        try:
            rows = StoredDataset.open(tmp_path / "d").load()
        except ValueError as error:
            refusals.append((str(error), type(error), file, change))
            continue
        kept = len(rows)
        assert kept == len(right) or (kept == len(right) - 100 and file.suffix == ".journal"), (file, change, kept)
        for name, column in right._columns().items():
            np.testing.assert_array_equal(rows._columns()[name], column[:kept], err_msg=f"{file} {change}")
        outcomes["right" if kept == len(right) else "all but the last flush"] += 1
    for said, kind, file, change in refusals:
        assert kind is ValueError, (said, file, change)  # nothing of pyarrow's, no decoding error
        assert str(tmp_path / "d") in said, (said, file, change)
    print(f"{len(refusals)} refused, {outcomes}")
    assert len(refusals) > 350


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("data/part-00000.parquet", truncate, r"part-00000\.parquet: damaged or changed"),
        ("data/part-00001.parquet", flip, r"part-00001\.parquet: damaged or changed"),
        ("oracle/part-00000.parquet", scramble, r"oracle/part-00000\.parquet: damaged or changed"),
        ("meta/info.json", truncate, r"info\.json: damaged"),
        ("tables/actions.parquet", flip, r"actions\.parquet: damaged or changed"),
        ("open/part-00002.arrows", truncate, r"part-00002\.arrows: truncated: .* bytes, of .* that were acknowledged"),
        ("open/part-00002.arrows", flip, r"part-00002\.arrows: damaged: batch \d differs from its checksum"),
        ("open/part-00002.journal", flip, r"part-00002\.(journal|arrows): damaged"),
    ],
)
def test_damage_is_refused_by_name(tmp_path, sound, file, change, message) -> None:
    shutil.copytree(sound, tmp_path / "d")
    change(tmp_path / "d" / file, np.random.Generator(np.random.Philox(6)))
    with pytest.raises(ValueError, match=message):
        BanditDataset.load(tmp_path / "d")


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("data/part-00007.parquet", r"data/part-00007\.parquet: no part of this dataset"),
        ("data/sub/mine.parquet", r"mine\.parquet: no part of this dataset"),
        ("oracle/mine.csv", r"mine\.csv: no part of this dataset"),
        ("open/part-00009.arrows", r"part-00009\.arrows: no part of this dataset"),
    ],
)
def test_foreign_files_are_refused_by_name(tmp_path, sound, file, message) -> None:
    shutil.copytree(sound, tmp_path / "d")
    (tmp_path / "d" / file).parent.mkdir(exist_ok=True)
    shutil.copy(sound / "data/part-00000.parquet", tmp_path / "d" / file)
    with pytest.raises(ValueError, match=message):
        StoredDataset.open(tmp_path / "d")


def test_a_foreign_file_in_the_place_of_the_open_shard_is_refused(tmp_path, sound) -> None:
    shutil.copytree(sound, tmp_path / "d")
    shutil.copy(sound / "data/part-00000.parquet", tmp_path / "d/open/part-00002.arrows")
    with pytest.raises(ValueError, match=r"part-00002\.arrows: (damaged|truncated)"):
        StoredDataset.open(tmp_path / "d")
    (tmp_path / "d/open/part-00002.journal").unlink()
    with pytest.raises(ValueError, match=r"part-00002\.journal: missing"):
        StoredDataset.open(tmp_path / "d")


def test_a_journal_without_its_last_records_is_refused(tmp_path, sound) -> None:
    shutil.copytree(sound, tmp_path / "d")
    journal = tmp_path / "d/open/part-00002.journal"
    journal.write_bytes(b"")
    with pytest.raises(ValueError, match=r"part-00002\.journal: truncated: .* holds 4 batches more than it lists"):
        StoredDataset.open(tmp_path / "d")


def test_a_description_that_reaches_out_of_its_folder_is_refused(tmp_path, sound) -> None:
    shutil.copytree(sound, tmp_path / "d")
    (tmp_path / "secret.parquet").write_bytes((sound / "data/part-00000.parquet").read_bytes())
    file = tmp_path / "d/meta/info.json"
    for name in ("../secret.parquet", str(tmp_path / "secret.parquet"), "data/../../secret.parquet"):
        values = json.loads((sound / "meta/info.json").read_text())
        del values["checksum"]
        files = values["shards"][0]["files"]
        files[name] = files.pop("data/part-00000.parquet")
        values["checksum"] = sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
        file.write_text(json.dumps(values))
        for attempt in (StoredDataset.open, recover, lambda path: DatasetWriter(path, resume=True)):
            with pytest.raises(ValueError, match="names a file outside its folder"):
                attempt(tmp_path / "d")
    (tmp_path / "d/data/link.parquet").symlink_to(tmp_path / "secret.parquet")
    files["data/link.parquet"] = files.pop(name)
    del values["checksum"]
    file.write_text(json.dumps(values | {"checksum": sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()}))
    with pytest.raises(ValueError, match="names a file outside its folder"):
        StoredDataset.open(tmp_path / "d")


def test_salvage_keeps_what_is_whole_and_sets_the_rest_aside(tmp_path, sound) -> None:
    right = BanditDataset.load(sound)
    shutil.copytree(sound, tmp_path / "d")
    generator = np.random.Generator(np.random.Philox(7))
    flip(tmp_path / "d/data/part-00000.parquet", generator)
    stream = tmp_path / "d/open/part-00002.arrows"
    stream.write_bytes(stream.read_bytes()[:-10])
    with pytest.raises(ValueError, match="part-00002"):
        recover(tmp_path / "d")
    found = recover(tmp_path / "d", salvage=True)
    kept = BanditDataset.load(tmp_path / "d")
    assert kept.round_id.tolist() == right.round_id[400:-100].tolist()
    assert found.n_rounds == len(kept)
    assert set(found.set_aside) == {
        "damaged/data/part-00000.parquet",
        "damaged/oracle/part-00000.parquet",
        "damaged/open/part-00002.arrows",
        "damaged/open/part-00002.journal",
    }
    assert "set aside in damaged/" in str(found)
    with DatasetWriter(tmp_path / "d", resume=True) as writer:
        assert writer.keys.missing(0, 0, 1100) == [(0, 400), (1000, 1100)]
        writer.append(right.take(slice(0, 400)))
    assert len(BanditDataset.load(tmp_path / "d")) == 1000


@pytest.mark.parametrize("crash", ["before the manifest", "after the manifest"])
def test_a_crash_around_the_promotion_of_a_shard_neither_loses_nor_doubles(tmp_path, monkeypatch, crash) -> None:
    from prompt_bandits.datasets import writer as module
    from prompt_bandits.datasets.manifest import Manifest

    writer = DatasetWriter(tmp_path / "d", flush_rows=256)
    writer.append(next(writing.play().rows([(0, 600)])))

    def die(*_):
        raise KeyboardInterrupt

    if crash == "before the manifest":
        monkeypatch.setattr(Manifest, "store", die)
    else:
        monkeypatch.setattr(module, "discard_stream", die)
    with pytest.raises(KeyboardInterrupt):
        writer.close()
    monkeypatch.undo()
    writer._lock.release()  # as if it had died there
    assert (tmp_path / "d/data/part-00000.parquet").is_file()
    assert (tmp_path / "d/open/part-00000.arrows").is_file()
    np.testing.assert_array_equal(BanditDataset.load(tmp_path / "d").round_id, np.arange(600))
    assert recover(tmp_path / "d").n_rounds == 600
    np.testing.assert_array_equal(BanditDataset.load(tmp_path / "d").round_id, np.arange(600))


@pytest.mark.parametrize("half", [True, False])
def test_ctrl_c_in_any_write_neither_loses_nor_doubles_flushed_rows(tmp_path, monkeypatch, half) -> None:
    """Interrupted before or behind the end of every single write; the writer goes on."""
    from prompt_bandits.datasets import write_ahead

    real = write_ahead._write_all
    for stop in range(1, 14):
        calls = [0]

        def interrupted(fd, content, calls=calls, stop=stop):
            calls[0] += 1
            real(fd, content[: len(content) // 2] if half and calls[0] == stop else content)
            if calls[0] == stop:
                raise KeyboardInterrupt

        monkeypatch.setattr(write_ahead, "_write_all", interrupted)
        writer = DatasetWriter(tmp_path / str(stop), flush_rows=50, shard_bytes=20_000)
        rows = BanditDataset.concat(list(writing.play().rows([(0, 300)])))
        for begin in range(0, 300, 50):
            try:
                writer.append(rows.take(slice(begin, begin + 50)))
            except KeyboardInterrupt:
                assert len(StoredDataset.open(tmp_path / str(stop)).keys()) in (begin, begin + 50)
        monkeypatch.undo()
        writer.close()
        np.testing.assert_array_equal(BanditDataset.load(tmp_path / str(stop)).round_id, np.arange(300))


def test_a_close_that_failed_can_be_tried_again(tmp_path, monkeypatch) -> None:
    real = os.write

    def full(fd, content):
        raise OSError(28, "No space left on device")

    env = RecordBanditDataset(gym.make("PromptPersonalization-Synthetic-v0", n_actions=10), tmp_path / "d", Uniform())
    env.reset(seed=0)
    for _ in range(10):
        env.act()
        env.reset()
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match=r"0 rows are safe there, 10 are still in memory"):
        env.close()
    monkeypatch.setattr(os, "write", real)
    env.close()
    assert len(env.dataset()) == 10


def test_rows_stay_with_the_wrapper_where_the_folder_cannot_be_begun(tmp_path, monkeypatch) -> None:
    from prompt_bandits.datasets.description import Description

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    env = RecordBanditDataset(gym.make("PromptPersonalization-Synthetic-v0", n_actions=10), tmp_path / "d", Uniform())
    env.reset(seed=0)
    env.act()
    env.reset()
    monkeypatch.setattr(Description, "begin", full)
    with pytest.raises(OSError, match="No space left"):
        env.act()
    monkeypatch.undo()
    env.act()
    env.close()
    assert env.dataset().load().round_id.tolist() == [0, 1]


def test_a_stream_of_another_dataset_is_refused(tmp_path, sound) -> None:
    abandoned(tmp_path / "d")
    for suffix in ("arrows", "journal"):
        shutil.copy(sound / f"open/part-00002.{suffix}", tmp_path / "d/open")
    for attempt in (StoredDataset.open, recover):
        with pytest.raises(ValueError, match=r"part-00002\.arrows: no part of this dataset"):
            attempt(tmp_path / "d")


def test_salvage_of_the_last_sealed_shard_keeps_the_open_one(tmp_path, sound) -> None:
    shutil.copytree(sound, tmp_path / "d")
    flip(tmp_path / "d/data/part-00001.parquet", np.random.Generator(np.random.Philox(9)))
    assert recover(tmp_path / "d", salvage=True).n_rounds == 700
    assert BanditDataset.load(tmp_path / "d").round_id.tolist() == [*range(400), *range(800, 1100)]


def test_a_reader_is_served_while_a_writer_seals_at_every_flush(tmp_path) -> None:
    stop, seen = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            rows = StoredDataset.open(tmp_path / "d").load()
            seen.append(len(rows))
            np.testing.assert_array_equal(rows.round_id, np.arange(len(rows)))

    with DatasetWriter(tmp_path / "d", flush_rows=64, shard_bytes=1) as writer:
        rows = next(writing.play().rows([(0, 1024)]))
        writer.append(rows.take(slice(0, 64)))
        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(read)
            for begin in range(64, 1024, 64):
                writer.append(rows.take(slice(begin, begin + 64)))
                time.sleep(0.01)
            stop.set()
            reading.result()
    assert len(seen) > 3
    assert seen == sorted(seen)
