"""`prompt-bandits record`, `inspect`, `recover`, `export` and `import`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from interrupting import interruptible

import prompt_bandits
from agents.cli.main import main
from agents.cli.policy_argument import named_policy
from agents.configs import read_values
from prompt_bandits import BanditDataset
from prompt_bandits.policies import EpsilonGreedy, OracleScore, Softmax, Uniform
from prompt_bandits.registration import SYNTHETIC_ID
from prompt_bandits.synthetic import SyntheticConfig

MANY = 200_000  # so many that Ctrl-C comes before the last
FIVE = ("synthetic", "--env-args", "n_actions=5")


def record(out: Path, *options: str) -> int:
    return main(["record", *FIVE, "--out", str(out), *options])


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("record") / "log"
    assert record(folder, "--n", "2000", "--policy", "softmax", "--beta", "0.5") == 0
    return folder


def test_the_rounds_are_those_of_collect(folder) -> None:
    simulator = SyntheticConfig(n_actions=5).build()
    policy = Softmax(OracleScore(simulator), 0.5)
    same = prompt_bandits.collect(SYNTHETIC_ID, policy, 2000, seed=0, n_actions=5)
    data = BanditDataset.load(folder)
    assert np.array_equal(data.action, same.action)
    assert np.array_equal(data.reward, same.reward)
    assert np.array_equal(data.require_propensity(), same.require_propensity())


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_folders_config_makes_it_again(folder, workers, tmp_path, capsys) -> None:
    config = ["--config", str(folder / "config.yaml"), "--workers", workers]
    assert main(["record", *config, "--out", str(tmp_path / "again"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["n"] == 2000
    again = BanditDataset.open(tmp_path / "again")
    assert again.content_hash() == BanditDataset.open(folder).content_hash()
    former, now = read_values(folder / "config.yaml"), read_values(tmp_path / "again/config.yaml")
    differing = {name for name in now if now[name] != former[name]}
    assert differing <= {"out", "workers"}


def test_resuming_plays_what_is_missing_and_the_config_says_all_of_it(folder, tmp_path, capsys) -> None:
    out, same = tmp_path / "log", ("--policy", "softmax", "--beta", "0.5", "--resume")
    for n in ("500", "2000", "700"):
        assert record(out, "--n", n, *same) == 0
    assert BanditDataset.open(out).content_hash() == BanditDataset.open(folder).content_hash()
    assert read_values(out / "config.yaml")["n"] == 2000
    assert record(out, "--n", "2000", *same, "--seed", "1") == 2
    assert f"seed: expected 0 as in {out / 'config.yaml'}, got 1" in capsys.readouterr().err
    assert record(out, "--n", "2000", "--resume") == 2  # another policy


def test_a_folder_is_replaced_only_where_asked(folder, tmp_path, capsys) -> None:
    out = tmp_path / "log"
    assert record(out, "--n", "100") == 0
    assert record(out, "--n", "200") == 1
    assert f"out: something is at {out} already; --resume goes on with a dataset; --over" in capsys.readouterr().err
    assert record(out, "--n", "200", "--overwrite") == 0
    assert len(BanditDataset.open(out)) == 200
    assert read_values(out / "config.yaml")["n"] == 200


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        (["--policy", "sofmax"], 2, "policy: neither a name nor a folder: 'sofmax'; did you mean 'softmax'?"),
        (["--policy", "runs/nowhere"], 1, "policy: expected uniform, softmax, epsilon-greedy, optimal or a folder"),
        (["--beta", "2"], 2, "beta: expected only with the policy softmax, got 2 with uniform"),
        (["--policy", "softmax", "--epsilon", "0.1"], 2, "epsilon: expected only with the policy epsilon-greedy"),
        (["--policy", "epsilon-greedy", "--epsilon", "2"], 2, "epsilon: expected in [0, 1], got 2.0"),
        (["--n", "0"], 2, "expected n >= 1"),
        (["--workers", "0"], 2, "workers >= 1"),
        (["--engine", "spark"], 2, "invalid choice 'spark' for argument '--engine'"),
    ],
)
def test_wrong_arguments_are_a_line_and_write_nothing(options, status, says, capsys, tmp_path) -> None:
    assert record(tmp_path / "log", *options) == status
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert not (tmp_path / "log").exists()


def test_policies_are_named_or_folders(tmp_path) -> None:
    env = prompt_bandits.PromptBanditEnv(SyntheticConfig(n_actions=5).build())
    assert named_policy("uniform", env) == Uniform()
    soft, greedy, best = (named_policy(name, env) for name in ("softmax", "epsilon-greedy", "optimal"))
    assert isinstance(soft, Softmax)
    assert soft.beta == 1.0
    assert isinstance(greedy, EpsilonGreedy)
    assert isinstance(best, EpsilonGreedy)
    assert (greedy.epsilon, best.epsilon) == (0.1, 0.0)
    prompt_bandits.save(Softmax(soft.score, 3.0), tmp_path / "mine")
    loaded = named_policy(str(tmp_path / "mine"), env)
    assert isinstance(loaded, Softmax)
    assert loaded.beta == 3.0


def test_environments_of_others_are_recorded(tmp_path) -> None:
    assert main(["record", "CartPole-v1", "--n", "50", "--out", str(tmp_path / "log")]) == 0
    assert len(BanditDataset.open(tmp_path / "log")) == 50
    assert main(["record", "CartPole-v1", "--n", "50", "--policy", "softmax", "--out", str(tmp_path / "no")]) == 2


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_keeps_what_was_played_and_the_same_command_goes_on(workers, tmp_path, capsys) -> None:
    out = tmp_path / "log"
    options = ["--n", str(MANY), "--workers", workers, "--out", str(out)]
    command = [sys.executable, "-m", "agents.cli.main", "record", *FIVE, *options, "--json"]
    with interruptible(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        while sum(file.stat().st_size for file in out.rglob("open/*.arrows")) < 100_000:
            assert process.poll() is None
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to all of them
        printed, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert json.loads(printed)["status"] == 130
    n = len(BanditDataset.open(out))
    assert 0 < n < MANY
    assert f"stopped; {n:,} rounds are safe in {out}; the same command with --resume plays the rest" in said
    assert "Traceback" not in said
    assert main(["inspect", str(out), "--rounds", "0"]) == 0
    assert record(out, "--n", str(MANY), "--resume") == 0
    assert record(tmp_path / "whole", "--n", str(MANY)) == 0
    hashes = [BanditDataset.open(one).content_hash() for one in (out, tmp_path / "whole")]
    assert hashes[0] == hashes[1]


def test_stopping_before_the_first_round_or_over_another_dataset_changes_nothing(monkeypatch, capsys, tmp_path) -> None:
    def stop(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    assert record(tmp_path / "there", "--n", "10") == 0
    before = BanditDataset.open(tmp_path / "there").content_hash()
    monkeypatch.setattr("prompt_bandits.playing.Play.rows", stop)
    assert record(tmp_path / "new", "--n", "10") == 130
    assert "stopped; nothing was written" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    assert record(tmp_path / "there", "--n", "20", "--overwrite") == 130
    assert f"stopped; {tmp_path / 'there'} is as it was" in capsys.readouterr().err
    assert BanditDataset.open(tmp_path / "there").content_hash() == before


def test_inspect_says_what_is_there_and_checks_it(folder, tmp_path, capsys) -> None:
    assert main(["inspect", str(folder), "--rounds", "2", "--plots", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    for part in (
        "2,000 rounds",
        "n_actions=5",
        "columns",
        "summary",
        "round 1 of seed 0",
        "checks",
        "all 5 were shown",
    ):
        assert part in said
    assert "failed" not in said
    names = ["mean_reward.png", "prompts.png", "propensities.png", "rewards.png"]
    assert sorted(file.name for file in tmp_path.iterdir()) == names
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in tmp_path.iterdir())


def test_inspect_answers_machines(folder, capsys) -> None:
    assert main(["inspect", str(folder), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["summary"]["n"] == 2000
    assert said["environment"]["kwargs"] == {"n_actions": 5}
    assert said["policies"] == ["Softmax"]
    assert [check["status"] for check in said["checks"]] == ["ok"] * 5


def test_wrong_propensities_are_noticed(folder, tmp_path, capsys) -> None:
    rows = BanditDataset.load(folder)
    replace(rows, propensity=rows.require_propensity() * 0.5).save(tmp_path / "wrong")
    assert main(["inspect", str(tmp_path / "wrong"), "--json"]) == 1
    says = {check["status"]: check["says"] for check in json.loads(capsys.readouterr().out)["checks"]}
    assert "in place of 1: propensities are wrong" in says["note"]
    assert says["failed"].endswith("to 1")  # π0/p − 1


def test_a_flipped_bit_is_noticed_and_salvaged(folder, tmp_path, capsys) -> None:
    BanditDataset.load(folder).save(tmp_path / "log")
    (part,) = (tmp_path / "log/data").glob("*.parquet")
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    assert main(["inspect", str(tmp_path / "log")]) == 1
    said = capsys.readouterr().out
    assert "failed  files" in said
    assert "prompt-bandits recover --salvage" in said
    assert main(["recover", str(tmp_path / "log"), "--salvage"]) == 0
    assert "set aside in damaged/" in capsys.readouterr().out


def test_recover_seals_what_a_dead_writer_left(tmp_path, capsys) -> None:
    code = (
        "import os, prompt_bandits; from prompt_bandits.datasets import DatasetWriter\n"
        f"rows = prompt_bandits.collect({SYNTHETIC_ID!r}, prompt_bandits.policies.Uniform(), 100, n_actions=5)\n"
        f"writer = DatasetWriter({str(tmp_path / 'log')!r}); writer.append(rows); writer.flush(); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", f"import prompt_bandits.policies\n{code}"], check=False)
    assert main(["inspect", str(tmp_path / "log"), "--rounds", "0"]) == 0
    assert "note    open shard    100 rounds" in capsys.readouterr().out
    assert main(["recover", str(tmp_path / "log"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["n_rounds"], said["from_open_shard"]) == (100, 100)
    assert main(["recover", str(tmp_path / "nowhere")]) == 1


@pytest.mark.parametrize(("format", "name"), [("csv", "log.csv"), ("vw-dsjson", "log.json"), ("obp", "log.npz")])
def test_rounds_come_back_from_other_formats(folder, format, name, tmp_path, capsys) -> None:
    there, back = tmp_path / name, tmp_path / "back"
    assert main(["export", "--data", str(folder), "--format", format, "--out", str(there)]) == 0
    assert main(["import", "--source", str(there), "--format", format, "--out", str(back)]) == 0
    data, former = BanditDataset.load(back), BanditDataset.load(folder)
    assert np.array_equal(data.action, former.action)
    assert np.allclose(data.reward, former.reward, rtol=1e-6)
    assert np.allclose(data.require_propensity(), former.require_propensity(), rtol=1e-6)
    for command, source, out in (("export", "--data", there), ("import", "--source", back)):
        given = [command, source, str(folder if command == "export" else there), "--format", format, "--out", str(out)]
        assert main(given) == 1
        assert f"out: something is at {out} already; --overwrite" in capsys.readouterr().err


def test_an_evaluation_is_made_again_by_its_config(folder, tmp_path, capsys) -> None:
    prompt_bandits.save(Uniform(), tmp_path / "uniform")
    given = ["--data", str(folder), "--policy", str(tmp_path / "uniform"), "--estimators", "snips", "--level", "0.9"]
    assert main(["evaluate", *given, "--out", str(tmp_path / "a")]) == 0
    config = str(tmp_path / "a/config.yaml")
    assert main(["evaluate", "--config", config, "--out", str(tmp_path / "b")]) == 0
    assert (tmp_path / "a/evaluation.json").read_bytes() == (tmp_path / "b/evaluation.json").read_bytes()


def test_formats_are_listed(capsys) -> None:
    assert main(["export"]) == 0
    assert "vw-dsjson    Vowpal Wabbit's JSON lines" in capsys.readouterr().out
    assert main(["import", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)["formats"]
    assert said["minari"]["extra"] == "minari"
    assert "pandas" not in said


def test_a_log_of_ones_own_is_imported_by_its_columns(tmp_path, capsys) -> None:
    file, out = tmp_path / "clicks.csv", tmp_path / "log"
    file.write_text("age,income,shown,clicked,p,day\n3,1,a,1,0.5,7\n4,2,b,0,0.25,8\nx,3,a,1,0.5,9\n")
    columns = ["context=age,income", "action=shown", "reward=clicked", "propensity=p", "extras=day"]
    given = ["import", "--source", str(file), "--out", str(out), "--columns", *columns]
    assert main(given) == 2
    assert "row 2: age: expected a finite number, got 'x'" in capsys.readouterr().err
    with pytest.warns(UserWarning, match="bad rows are left out"):
        assert main([*given, "--bad-rows", "drop"]) == 0
    assert capsys.readouterr().out == f"2 rounds of 2 prompts in {out}\n"
    data = BanditDataset.load(out)
    assert data.obs.context.tolist() == [[3, 1], [4, 2]]
    assert data.extras["day"].tolist() == [7, 8]


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["export", "--format", "csv"], 2, "expected --data, --format and --out"),
        (["export", "--format", "cvs", "--data", "LOG", "--out", "x"], 2, "format: expected one of obp, "),
        (["export", "--format", "csv", "--data", "LOG", "--out", "x", "--options", "a=1"], 2, "csv has no 'a' here"),
        (["export", "--format", "csv", "--data", "nowhere", "--out", "x"], 1, "nowhere: expected a dataset folder"),
        (["import", "--source", "c.csv", "--out", "x"], 2, "one of --format and --columns"),
        (["import", "--source", "nowhere", "--format", "csv", "--out", "x"], 1, "source: nothing is at nowhere"),
        (["import", "--source", "c.csv", "--columns", "contxt=a", "--out", "x"], 2, "did you mean 'context'?"),
        (
            ["import", "--source", "c.csv", "--columns", "context=a", "--out", "x"],
            2,
            "columns: expected action=… among",
        ),
        (["import", "--source", "c.csv", "--columns", "context", "--out", "x"], 2, "columns: expected such as reward"),
    ],
)
def test_wrong_exchanges_are_a_line(folder, arguments, status, says, monkeypatch, capsys, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.csv").write_text("a,b\n1,2\n")
    assert main([str(folder) if one == "LOG" else one for one in arguments]) == status
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert not (tmp_path / "x").exists()
