"""Trackers: what is logged is there, under its own name, with the config; closed also after an exception."""

from __future__ import annotations

import json
import math
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from made_up_runs import made_up_cell, write_run

from agents.callbacks import Chain, History
from agents.integrations.tracking import (
    Prefixed,
    RunFolder,
    Several,
    TensorBoard,
    Tracker,
    Trackio,
    WeightsAndBiases,
    plain_config,
    track_benchmark,
)
from agents.learners import IPS
from agents.online import LinUCB, play_online
from agents.reward_models import RewardTraining

LEARNER = IPS(steps=40, log_every=20, batch_size=16)


def events(folder: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder))
    read.Reload()
    return read


def scalars(read) -> dict[str, list[tuple[int, float]]]:
    return {name: [(one.step, one.value) for one in read.Scalars(name)] for name in read.Tags()["scalars"]}


def text(read, name: str) -> str:
    return read.Tensors(f"{name}/text_summary")[0].tensor_proto.string_val[0].decode()


def lines(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_folder_holds_config_metrics_and_how_it_ended(logged, tmp_path) -> None:
    history = History()
    with RunFolder(tmp_path / "run", LEARNER) as tracker:
        assert json.loads((tmp_path / "run/config.json").read_text())["status"] == "running"
        LEARNER.fit(logged, seed=0, callback=Chain([history, tracker]))
    told = json.loads((tmp_path / "run/config.json").read_text())
    assert told["status"] == "finished"
    assert told["config"]["class"] == "IPS"
    assert IPS(**{name: value for name, value in told["config"].items() if name != "class"}) == LEARNER
    assert lines(tmp_path / "run") == history.logs
    assert [log["step"] for log in history.logs] == [20, 40]
    with pytest.raises(FileExistsError, match="a run is there already"):
        RunFolder(tmp_path / "run")
    with RunFolder(tmp_path / "run", overwrite=True) as tracker:
        tracker(3, {"loss": math.nan}, None)
        assert lines(tmp_path / "run") == [{"step": 3, "loss": None}]


def test_tensorboard_has_every_metric_by_its_name_and_the_config(logged, tmp_path) -> None:
    pytest.importorskip("tensorboard")
    history = History()
    with TensorBoard(tmp_path, LEARNER) as tracker:
        LEARNER.fit(logged, seed=0, callback=Chain([history, tracker]))
    read = events(tmp_path)
    for name in ("loss", "weight", "logged_action_prob"):
        expected = [(log["step"], pytest.approx(log[name], rel=1e-6)) for log in history.logs]
        assert scalars(read)[name] == expected
    assert '"class": "IPS"' in text(read, "config")
    assert text(read, "status") == "finished"


def test_an_exception_closes_every_tracker_and_goes_on(logged, tmp_path) -> None:
    pytest.importorskip("tensorboard")

    class Unclosable(Tracker):
        def log(self, step, metrics):
            pass

        def _close(self, failed):
            raise OSError("no space left")

    def stop(step, metrics, policy):
        raise FloatingPointError("the loss is nan")

    several = Several(Unclosable(), RunFolder(tmp_path / "lines"), TensorBoard(tmp_path / "board"))
    with (
        pytest.warns(UserWarning, match="Several: cannot be closed: OSError"),
        pytest.raises(FloatingPointError, match="the loss is nan"),
        several as tracker,
    ):
        LEARNER.fit(logged, seed=0, callback=Chain([tracker, stop]))
    with pytest.raises(OSError, match="no space left"), Unclosable():
        pass
    assert json.loads((tmp_path / "lines/config.json").read_text())["status"] == "failed"
    assert len(lines(tmp_path / "lines")) == 1
    assert text(events(tmp_path / "board"), "status") == "failed"
    with pytest.raises(ValueError, match="expected a tracker that is open"):
        several(1, {}, None)
    several.close()


@pytest.mark.slow
def test_metrics_that_were_logged_are_there_where_nobody_closes(tmp_path) -> None:
    pytest.importorskip("tensorboard")
    code = (
        "from agents.integrations.tracking import RunFolder, TensorBoard; import sys\n"
        f"one, two = RunFolder({str(tmp_path / 'a')!r}), TensorBoard({str(tmp_path / 'b')!r})\n"
        "one(1, {'loss': 2.0}, None); two(1, {'loss': 2.0}, None); sys.exit(3)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 3
    assert lines(tmp_path / "a") == [{"step": 1, "loss": 2.0}]
    assert scalars(events(tmp_path / "b")) == {"loss": [(1, 2.0)]}


def test_prefixes_tell_learners_apart_and_online_runs_are_tracked(simulator, tmp_path) -> None:
    with RunFolder(tmp_path, {"n": 40}) as tracker:
        play_online(simulator, LinUCB(), 40, callback=Prefixed(tracker, "LinUCB"), log_every=20)
    assert [set(line) for line in lines(tmp_path)] == [{"step", "LinUCB/reward", "LinUCB/regret"}] * 2


def test_configs_become_plain_values() -> None:
    @dataclass
    class Own:
        path: Path
        sizes: tuple[int, ...]
        reward: RewardTraining

    plain = plain_config(Own(Path("a/b"), (1, 2), RewardTraining(steps=3)))
    assert plain["class"] == "Own"
    assert (plain["path"], plain["sizes"], plain["reward"]["steps"]) == ("a/b", [1, 2], 3)
    odd = {"learner": IPS(steps=3), "array": np.arange(2), "number": np.float32(0.5), "thing": len, "none": None}
    plain = plain_config(odd)
    assert plain["learner"]["class"] == "IPS"
    assert (plain["array"], plain["number"], plain["none"]) == ([0, 1], 0.5, None)
    assert plain["thing"] == "<built-in function len>"
    json.dumps(plain)
    with pytest.raises(TypeError, match="config: expected a mapping or a dataclass, got 3"):
        plain_config(3)


@pytest.mark.parametrize(
    ("tracker", "module", "name"),
    [
        (TensorBoard, "torch.utils.tensorboard", "TensorBoard"),
        (WeightsAndBiases, "wandb", "Weights & Biases"),
        (Trackio, "trackio", "Trackio"),
    ],
)
def test_a_missing_library_is_told_with_its_extra(tracker, module, name, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf'tracking needs {name}: pip install "prompt_bandits\[tracking\]"'):
        tracker("x")


FAILS = """
from agents.integrations.tracking import {tracker}
with {make} as tracker:
    tracker(20, {{"loss": 0.5, "weight": 2.0}}, None)
    tracker(10, {{"loss": 0.25}}, None)  # another model's steps
    raise RuntimeError("out of memory")
"""


def fail_in(folder: Path, tracker: str, make: str, **environment: str) -> None:
    """A process of its own, which ends by an exception."""
    values = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "HF_HUB_OFFLINE": "1", **environment}
    values["PYTHONPATH"] = str(Path(__file__).parent.parent)
    code = FAILS.format(tracker=tracker, make=make)
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=values, cwd=folder, check=False
    )
    assert out.returncode == 1
    assert "RuntimeError: out of memory" in out.stderr


@pytest.mark.slow
def test_trackio_keeps_metrics_and_config_on_this_machine(tmp_path) -> None:
    pytest.importorskip("trackio")
    make = "Trackio('project', {'learner': 'IPS', 'steps': 3}, options={'name': 'one'})"
    fail_in(tmp_path, "Trackio", make, TRACKIO_DIR=str(tmp_path / "store"))
    read = (
        "import json; from trackio.sqlite_storage import SQLiteStorage as store\n"
        "print(json.dumps([store.get_logs('project', 'one'), store.get_run_config('project', 'one')], default=str))"
    )
    values = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TRACKIO_DIR": str(tmp_path / "store")}
    told = subprocess.run([sys.executable, "-c", read], capture_output=True, text=True, check=True, env=values).stdout
    logs, config = json.loads(told)
    seen = [{name: log[name] for name in ("step", "loss", "weight", "failed") if name in log} for log in logs]
    assert {"step": 20, "loss": 0.5, "weight": 2.0} in seen
    assert {"step": 10, "loss": 0.25} in seen
    assert sum(log.get("failed", 0) for log in seen) == 1
    assert (config["learner"], config["steps"]) == ("IPS", 3)


def offline_records(file: Path):
    """The records of a file of Weights & Biases: LevelDB's log format behind seven bytes, protocol buffers within."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, parts = file.read_bytes(), 7, b""
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield Record.FromString(parts)
            parts = b""


@pytest.mark.slow
def test_weights_and_biases_offline_keeps_every_step_and_the_config(tmp_path) -> None:
    pytest.importorskip("wandb")
    folder = str(tmp_path / "w")
    fail_in(tmp_path, "WeightsAndBiases", f"WeightsAndBiases('p', {{'steps': 3}}, mode='offline', folder={folder!r})")
    (file,) = (tmp_path / "w").glob("wandb/offline-run-*/run-*.wandb")
    records = list(offline_records(file))
    logs = []
    for record in records:
        items = {"/".join(item.nested_key) or item.key: item.value_json for item in record.history.item}
        logs += (
            [{name: json.loads(value) for name, value in items.items() if not name.startswith("_")}] if items else []
        )
    assert logs == [{"loss": 0.5, "weight": 2.0, "step": 20}, {"loss": 0.25, "step": 10}]
    config = {item.key: item.value_json for record in records for item in record.run.config.update}
    assert config["steps"] == "3"
    assert [record.exit.exit_code for record in records if record.HasField("exit")] == [1]


def test_a_benchmark_is_tracked_as_mean_curves(tmp_path) -> None:
    cells = [made_up_cell("default", None, seed, method) for seed in (0, 1) for method in ("ips", "dso")]
    write_run(tmp_path / "bench", "default", cells)
    history = History()
    assert track_benchmark(tmp_path / "bench", history) == 2
    last = [log for log in history.logs if "dso/optimality" in log][-1]
    curves = [dict(cell.curve)[last["step"]] for cell in cells if cell.method == "dso"]
    spans = [(cell.uniform_value, cell.optimal_value) for cell in cells if cell.method == "dso"]
    reached = [(value - low) / (high - low) for value, (low, high) in zip(curves, spans, strict=True)]
    assert last["dso/optimality"] == pytest.approx(np.mean(reached))
