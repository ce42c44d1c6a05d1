"""`prompt-bandits train`: the learner that was asked for, its curve, its config, and what is left when it fails."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from interrupting import interruptible

import prompt_bandits
from agents.cli.learner_argument import NAMES, named_learner
from agents.cli.main import main
from agents.configs import read_values
from agents.learners import DSO, IPS
from prompt_bandits import BanditDataset
from prompt_bandits.policies import Uniform
from prompt_bandits.registration import SYNTHETIC_ID
from prompt_bandits.saving import fingerprint

SHORT = ("--settings", "steps=20", "log_every=10")


@pytest.fixture(scope="module")
def log(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("train") / "log"
    prompt_bandits.collect(SYNTHETIC_ID, Uniform(), 500, seed=0, path=folder, n_actions=5, progress=False)
    return folder


def train(log: Path, out: Path, *options: str) -> int:
    return main(["train", "--data", str(log), "--out", str(out), *options])


def test_the_policy_is_what_the_learner_gives(log, tmp_path, capsys) -> None:
    assert train(log, tmp_path / "ips", "--learner", "ips", *SHORT, "--seed", "3") == 0
    own = IPS(steps=20, log_every=10).fit(BanditDataset.open(log), seed=3)
    assert fingerprint(prompt_bandits.load(tmp_path / "ips")) == fingerprint(own)
    assert f"ips: a policy in {tmp_path / 'ips'}, learnt in " in capsys.readouterr().out
    names = ["arrays.safetensors", "config.yaml", "curve.jsonl", "curve.png", "policy.json", "training.json"]
    assert sorted(file.name for file in (tmp_path / "ips").iterdir()) == names
    lines = [json.loads(line) for line in (tmp_path / "ips/curve.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [10, 20]
    assert (tmp_path / "ips/curve.png").read_bytes().startswith(b"\x89PNG")
    assert read_values(tmp_path / "ips/training.json")["fields"]["log_every"] == 10


def test_a_folders_config_makes_it_again(log, tmp_path) -> None:
    assert train(log, tmp_path / "a", "--learner", "snips", *SHORT) == 0
    again = ["train", "--config", str(tmp_path / "a/config.yaml"), "--out", str(tmp_path / "b")]
    assert main(again) == 0
    assert fingerprint(prompt_bandits.load(tmp_path / "a")) == fingerprint(prompt_bandits.load(tmp_path / "b"))
    assert main([*again[:-1], str(tmp_path / "c"), "--seed", "1"]) == 0
    assert fingerprint(prompt_bandits.load(tmp_path / "a")) != fingerprint(prompt_bandits.load(tmp_path / "c"))


def test_a_config_may_be_written_by_hand(log, tmp_path) -> None:
    (tmp_path / "mine.yaml").write_text(
        f"data: {log}\nlearner: dr\nsettings:\n  steps: 20\n  reward_training: {{steps: 30}}\n"
    )
    assert main(["train", "--config", str(tmp_path / "mine.yaml"), "--out", str(tmp_path / "dr")]) == 0
    values = read_values(tmp_path / "dr/training.json")
    assert values["fields"]["steps"] == 20
    assert values["fields"]["reward_training"]["steps"] == 30


def test_the_true_value_is_in_the_curve_and_the_answer(log, tmp_path, capsys) -> None:
    out = tmp_path / "ips"
    assert train(log, out, "--learner", "ips", *SHORT, "--true-value", "300", "--json") == 0
    said = json.loads(capsys.readouterr().out)["true_value"]
    simulator = prompt_bandits.synthetic.SyntheticConfig(n_actions=5).build()  # type: ignore[attr-defined]
    assert said["value"] == pytest.approx(simulator.policy_value(prompt_bandits.load(out), 300).value)
    assert said["uniform"] == pytest.approx(simulator.uniform_value(300).value)
    last = json.loads((out / "curve.jsonl").read_text().splitlines()[-1])
    assert last["policy_value"] == pytest.approx(said["value"])


def test_trackers_hear_of_every_log(log, tmp_path, capsys) -> None:
    pytest.importorskip("tensorboard")
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    assert train(log, tmp_path / "ips", "--learner", "ips", *SHORT, "--track", "tensorboard") == 0
    assert f"`tensorboard --logdir {tmp_path / 'tensorboard'}`" in capsys.readouterr().out
    events = event_accumulator.EventAccumulator(str(tmp_path / "tensorboard/ips"))
    events.Reload()
    lines = [json.loads(line) for line in (tmp_path / "ips/curve.jsonl").read_text().splitlines()]
    assert [(one.step, one.value) for one in events.Scalars("loss")] == [
        (line["step"], pytest.approx(line["loss"])) for line in lines
    ]


def test_an_online_learner_plays_the_environment_of_the_data(log, tmp_path) -> None:
    assert train(log, tmp_path / "online", "--learner", "online_reinforce", *SHORT) == 0
    own = BanditDataset.from_arrays([[0.0]] * 9, [0] * 9, [1.0] * 9, prompts=2, propensity=[0.5] * 9)
    own.save(tmp_path / "own")
    assert train(tmp_path / "own", tmp_path / "no", "--learner", "online_reinforce", *SHORT) == 2


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_a_learner(name) -> None:
    assert hasattr(named_learner(name)[0], "fit")
    assert hasattr(named_learner(name, quick=True)[0], "fit")


def test_settings_go_before_all_else_and_reach_parts() -> None:
    learner, method = named_learner("dso[tau=2,kernel=uniform]", ["steps=7", "density_training.steps=9"], quick=True)
    assert method.name == "dso"
    quick = DSO.quick(tau=2.0, kernel="uniform", steps=7)
    assert learner.steps == 7
    assert learner.density_training.steps == 9
    assert (learner.tau, learner.kernel, learner.batch_size) == (2.0, "uniform", quick.batch_size)
    assert named_learner("snips")[0].self_normalised


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        (["--learner", "dzo"], 2, "learner: unknown learner 'dzo'; did you mean 'dso'?"),
        (["--learner", "uniform"], 2, "learner: unknown learner 'uniform'; expected one of "),
        (["--settings", "stps=3"], 2, "stps: DR has no such field; did you mean 'steps'?"),
        (["--settings", "steps=x"], 2, "steps: expected int, got 'x'"),
        (["--settings", "steps"], 2, "expected name=value, got 'steps'"),
        (["--settings", "reward_trainin.steps=3"], 2, "reward_trainin: DR has no such part"),
        (["--settings", "reward_training.stps=3"], 2, "stps: RewardTraining has no such field"),
        (["--settings", "optimizer=Adem"], 2, "optimizer: expected the name of a class in torch.optim"),
        (["--data", "nowhere"], 1, "nowhere"),
    ],
)
def test_wrong_arguments_are_a_line_and_write_nothing(log, options, status, says, capsys, tmp_path) -> None:
    assert train(log, tmp_path / "x", *options) == status
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_policy_is_replaced_only_where_asked_and_whole(log, tmp_path, monkeypatch, capsys) -> None:
    out = tmp_path / "ips"
    assert train(log, out, "--learner", "ips", *SHORT) == 0
    former = fingerprint(prompt_bandits.load(out))
    assert train(log, out, "--learner", "ips", *SHORT, "--seed", "1") == 1
    assert "something is at" in capsys.readouterr().err
    monkeypatch.setattr(IPS, "fit", lambda *args, **options: (_ for _ in ()).throw(KeyboardInterrupt))
    assert train(log, out, "--learner", "ips", *SHORT, "--seed", "1", "--overwrite") == 130
    assert f"stopped; {out} is as it was" in capsys.readouterr().err
    assert fingerprint(prompt_bandits.load(out)) == former
    monkeypatch.undo()
    assert train(log, out, "--learner", "ips", *SHORT, "--seed", "1", "--overwrite") == 0
    assert fingerprint(prompt_bandits.load(out)) != former
    assert [file.name for file in tmp_path.iterdir()] == ["ips"]
    (out / "notes.txt").write_text("mine")
    assert train(log, out, "--learner", "ips", *SHORT, "--overwrite") == 1


@pytest.mark.slow
def test_ctrl_c_leaves_nothing(log, tmp_path) -> None:
    command = [sys.executable, "-m", "agents.cli.main", "train", "--learner", "ips", "--settings", "steps=10000000"]
    with interruptible([*command, "--data", str(log), "--out", str(tmp_path / "ips")]) as process:
        while not list(tmp_path.rglob("curve.jsonl")):
            assert process.poll() is None
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGINT)
        assert process.communicate(timeout=60)[1].strip().endswith("stopped; nothing was written")
    assert process.returncode == 130
    assert not list(tmp_path.iterdir())
