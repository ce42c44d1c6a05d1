"""The `prompt-bandits` command: what it says, what it refuses, and small runs of it."""

from __future__ import annotations

import json
import subprocess
import sys
import typing
from pathlib import Path

import gymnasium as gym
import pytest

import prompt_bandits
from agents.benchmark import SETTINGS, Evaluation, benchmark_config
from agents.benchmark.results import read_cells
from agents.benchmark.run_folder import stored_config, write_config
from agents.cli import ope_benchmark, recover
from agents.cli.benchmark import Args
from agents.cli.commands import COMMANDS, STAGES
from agents.cli.common import Answer
from agents.cli.main import main
from agents.cli.ope_benchmark import settings_of
from agents.cli.parsing import parse
from agents.cli.run_arguments import RunArgs, SettingName, config_of
from agents.cli.run_configs import benchmark_options, ope_options
from agents.configs import write_values

EXAMPLES = sorted((Path(__file__).parent.parent / "examples/synthetic").glob("0*.py"))
TINY = ["--n", "200", "--n-actions", "10", "--steps-scale", "0.0015"]


def test_help_names_every_command(capsys) -> None:
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_its_options(command, capsys) -> None:
    assert main([command, "--help"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: prompt-bandits {command} ")
    assert all(option in said for option in ("--config PATH", "--json", "--debug"))
    assert command in STAGES or f"\nexamples:\n  prompt-bandits {command}" in said


def test_help_of_a_command_has_two_spellings(capsys) -> None:
    assert main(["record", "--help"]) == 0
    said = capsys.readouterr().out
    assert main(["help", "record"]) == 0
    assert capsys.readouterr().out == said


def test_the_version_is_that_of_the_package(capsys) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"prompt-bandits {prompt_bandits.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "expected a command: make, play, record, "),
        (["benchmrk"], "did you mean 'benchmark'?"),
        (["benchmark"], "--out PATH"),
        (["benchmark", "--setting", "nothing"], "invalid choice 'nothing' for argument '--setting'"),
        (["benchmark", "--bogus", "3"], "Unrecognized options: --bogus"),
        (["benchmark", "--n", "many"], "many"),
        (["benchmark", "--methods", "dzo"], "did you mean 'dso'?"),
        (["benchmark", "--methods", "dso[clip=x]"], "clip: expected none or float"),
        (["benchmark", "--methods", "ips", "--seeds", "all"], "seeds: expected such as 0:20"),
        (["benchmark", "--methods", "ips", "--n", "1"], "n: expected at least 2"),
        (["benchmark", "--methods", "ips", "--steps-scale", "0"], "steps_scale: expected > 0"),
        (["benchmark", "--methods", "ips", "--workers", "0"], "workers: expected >= 1"),
        (["benchmark", "--methods", "ips", "--values", "3"], "values: the setting default sweeps nothing"),
        (["benchmark", "--setting", "data_size", "--n", "300"], "n: the setting data_size sweeps it"),
        (["benchmark", "--setting", "data_size", "--values", "0.5"], "values: expected integers for n"),
        (["benchmark", "--setting", "data_size", "--values", "inf"], "values: expected integers for n, got inf"),
        (["benchmark", "--beta", "nan"], "beta: expected a finite number, got nan"),
        (["benchmark", "--environment", "mappin=linear"], "did you mean 'mapping'?"),
        (["report"], "--out PATH"),
        (["help", "recrod"], "did you mean 'record'?"),
    ],
)
def test_wrong_arguments_give_one_line(arguments, says, capsys, tmp_path) -> None:
    out = [] if len(arguments) < 2 or arguments[0] == "help" else ["--out", str(tmp_path / "x")]
    assert main([*arguments, *out]) == 2
    said = capsys.readouterr()
    assert says in said.err
    assert said.err.startswith("prompt-bandits")
    assert said.err.count("\n") == 1
    assert not (tmp_path / "x/run.json").exists()


def test_a_report_needs_cells(capsys, tmp_path) -> None:
    assert main(["report", "--out", str(tmp_path)]) == 2
    assert "with cells.jsonl" in capsys.readouterr().err


def test_help_loads_no_torch() -> None:
    commands = "[[], ['--help'], *([name, '--help'] for name in COMMANDS), ['completion', 'bash']]"
    code = (
        "import sys; from agents.cli.commands import COMMANDS; from agents.cli.main import main\n"
        f"for given in {commands}: main(given)\n"
        "assert not {'torch', 'transformers', 'pandas', 'matplotlib'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_command_knows_every_setting() -> None:
    assert set(typing.get_args(SettingName)) == set(SETTINGS)


def test_what_is_not_given_is_as_published() -> None:
    for setting in SETTINGS:
        assert config_of(RunArgs(Path("x"), setting=setting), None) == benchmark_config(setting)


def test_arguments_reach_the_run() -> None:
    args = RunArgs(
        Path("x"),
        setting="reward_noise",
        values=(0, 2),
        methods=("ips,dr", "dso[tau=2]"),
        seeds="0:2,7",
        world="independent",
        n=300,
        n_actions=20,
        environment=("mapping=linear", "dim_output=3"),
        q_hat="pessimistic",
        kernel="uniform",
    )
    config = config_of(args, None)
    assert config.methods == ("ips", "dr[q_hat=pessimistic]", "dso[kernel=uniform,tau=2]")
    assert config.values == (0.0, 2.0)
    assert config.seeds == (0, 1, 7)
    experiment = config.experiment(2.0, 7)
    assert experiment.n == 300
    environment = experiment.environment
    assert (environment.world, environment.n_actions, environment.reward_std) == ("independent", 20, 2.0)
    assert (environment.mapping, environment.dim_output) == ("linear", 3)


def test_a_quick_run_is_small_where_nothing_else_is_said() -> None:
    config = config_of(RunArgs(Path("x"), setting="data_size", quick=True, n_actions=7), None)
    assert (config.steps_scale, config.seeds, config.world_config, config.base) == (0.01, (0,), {"n_actions": 7}, {})
    assert config_of(RunArgs(Path("x"), quick=True), None).base == {"n": 500}


def test_a_folder_remembers_what_it_was_asked_for(tmp_path) -> None:
    config = benchmark_config(
        "data_size",
        values=(200, 300),
        methods=("ips", "dso[kernel=uniform]"),
        seeds=(3,),
        world_config={"n_actions": 10},
        base={"beta": 2.0},
        steps_scale=0.5,
        evaluation=Evaluation(10, 10, 10),
    )
    write_config(tmp_path, config)
    assert stored_config(tmp_path) == config
    assert config_of(RunArgs(tmp_path), stored_config(tmp_path)) == config
    more = config_of(RunArgs(tmp_path, seeds="4", methods=("snips",)), stored_config(tmp_path))
    assert (more.seeds, more.methods, more.values, more.base) == ((4,), ("snips",), (200, 300), {"beta": 2.0})


def test_a_run_fills_its_folder(capsys, tmp_path) -> None:
    out = ["--out", str(tmp_path)]
    assert main(["benchmark", *TINY, "--methods", "uniform", "ips", "--seeds", "0", "--workers", "1", *out]) == 0
    assert [cell.method for cell in read_cells(tmp_path / "cells.jsonl")] == ["uniform", "ips"]
    values = json.loads((tmp_path / "run.json").read_text())
    assert values["setting"] == "default"
    assert values["parameter"] == ""
    assert values["world_config"] == {"n_actions": 10}
    assert (tmp_path / "results.parquet").is_file()
    assert (tmp_path / "results.csv").is_file()
    (tmp_path / "results.csv").unlink()
    assert main(["report", *out]) == 0
    assert (tmp_path / "results.csv").is_file()
    again = parse(Args, ["--config", str(tmp_path / "config.yaml")], "benchmark", "", "")
    assert config_of(again, None) == stored_config(tmp_path)
    capsys.readouterr()
    assert main(["report", "--json", *out]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == ["report.html", "table.csv", "results.parquet"]
    assert main(["benchmark", *out]) == 0
    assert main(["benchmark", "--n-actions", "20", *out]) == 2
    assert "world_config: expected {'n_actions': 10}" in capsys.readouterr().err


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("setting", ["default", "data_size", "movie"])
def test_a_benchmark_is_made_again_by_its_options(setting, quick, tmp_path) -> None:
    given = RunArgs(tmp_path, setting=setting, methods=("ips", "dso[tau=2]"), seeds="0:2", beta=2.0, quick=quick)
    config = config_of(given, None)
    write_values({"out": "x", **benchmark_options(config)}, tmp_path / "config.yaml")
    assert config_of(parse(Args, ["--config", str(tmp_path / "config.yaml")], "benchmark", "", ""), None) == config


def test_an_ope_benchmark_is_made_again_by_its_options(tmp_path) -> None:
    settings = settings_of(ope_benchmark.Args(tmp_path, quick=True, environment=("reward_std=2",), worlds="0,3"))
    write_values({"out": str(tmp_path), **ope_options(settings)}, tmp_path / "config.yaml")
    args = parse(ope_benchmark.Args, ["--config", str(tmp_path / "config.yaml")], "ope-benchmark", "", "")
    assert settings_of(args) == settings


def test_a_run_with_failures_says_so_and_ends_with_status_1(capsys, tmp_path) -> None:
    methods = ["uniform", "online_reinforce[kl_to_logging=1]"]
    arguments = [*TINY, "--methods", *methods, "--seeds", "0", "--workers", "1", "--out", str(tmp_path)]
    assert main(["benchmark", *arguments]) == 1
    said = capsys.readouterr().err
    assert "failed: online_reinforce[kl_to_logging=1] (world 0): ValueError: kl_to_logging" in said
    assert "1 of 2 cells failed; the same command tries them again" in said


def test_a_stage_alone_says_what_is_there(capsys, tmp_path) -> None:
    arguments = [*TINY, "--methods", "ips", "--seeds", "0", "--workers", "1", "--out", str(tmp_path)]
    assert main(["logging-policy", *arguments]) == 0
    (made,) = tmp_path.rglob("artefact.json")
    assert made.parts[-3] == "logging_policy"
    assert capsys.readouterr().out.splitlines()[-1] == str(made.parent)
    assert main(["density", *arguments]) == 0
    assert capsys.readouterr().out == "nothing to do: the stage density makes nothing for ips\n"


def test_a_stopped_stage_says_how_to_go_on(monkeypatch, capsys, tmp_path) -> None:
    def stop(*args: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("agents.cli.stage_command.run", stop)
    for again, says in (([], "the same command goes on"), (["--again"], "the same command, now without --again, goes")):
        assert main(["policy", "--out", str(tmp_path), *again]) == 130
        assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (ValueError("n: expected\n more"), 2, "prompt-bandits recover: n: expected more (see prompt-bandits recover -"),
        (gym.error.InvalidAction("bad"), 2, "prompt-bandits recover: bad (see prompt-bandits recover --help)"),
        (FileNotFoundError("no file"), 1, "prompt-bandits recover: no file"),
        (ImportError("pip install"), 1, "prompt-bandits recover: pip install"),
        (KeyError("x"), 1, "prompt-bandits recover: KeyError: 'x' (unexpected; --debug shows where)"),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
def test_every_error_is_a_line_and_a_status(error, status, says, monkeypatch, capsys) -> None:
    def fail(args: object) -> None:
        raise error

    monkeypatch.setattr("agents.cli.recover.run", fail)
    assert main(["recover", "x"]) == status
    said = capsys.readouterr()
    assert said.err.strip().startswith(says)
    assert said.err.strip().count("\n") == 0
    assert said.out == ""
    assert main(["recover", "x", "--json"]) == status
    told = json.loads(capsys.readouterr().out)
    assert told["status"] == status
    assert told["error"].startswith(says)


def test_debug_shows_where_an_error_came_from(capsys, tmp_path) -> None:
    assert main(["recover", str(tmp_path), "--debug"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("Traceback")
    assert said.splitlines()[-1].startswith("prompt-bandits recover: ")


def test_what_is_printed_meanwhile_is_not_in_the_json(monkeypatch, capfd) -> None:
    def run(args: object) -> Answer:
        print("noise")
        subprocess.run(["echo", "noise of another process"], check=True)
        return Answer("text", {"value": float("inf"), "path": Path("a")})

    monkeypatch.setattr("agents.cli.recover.run", run)
    assert main(["recover", "x", "--json"]) == 0
    assert capfd.readouterr().out == '{"value": null, "path": "a"}\n'


def test_a_wrong_config_file_is_named(capsys, tmp_path) -> None:
    file = tmp_path / "config.yaml"
    for text, says in (
        ("command: train\n", "command: expected recover, got 'train'"),
        ("salvge: true\n", "salvge: no such field; did you mean 'salvage'?"),
        ("json: true\n", "json: no such field"),
        ("salvage: 3\n", "salvage: expected true or false, got 3"),
    ):
        file.write_text(text)
        assert main(["recover", "x", "--config", str(file)]) == 2
        said = capsys.readouterr().err
        assert f"{file}: {says}" in said
        assert said.count("\n") == 1
    assert main(["recover", "--config", str(tmp_path / "none.yaml")]) == 1


def test_the_command_line_wins_over_the_file(tmp_path) -> None:
    (tmp_path / "a.json").write_text('{"command": "recover", "data": "there", "salvage": true}')
    for given, data, salvage in (
        ([], "there", True),
        (["here"], "here", True),
        (["--no-salvage"], "there", False),
        (["--salvage"], "there", True),
    ):
        args = parse(recover.Args, [*given, f"--config={tmp_path / 'a.json'}"], "recover", "", "")
        assert (args.data, args.salvage) == (Path(data), salvage)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_knows_every_command(shell, capsys) -> None:
    assert main(["completion", shell]) == 0
    said = capsys.readouterr().out
    assert all(command in said for command in COMMANDS)


def test_bash_completes_commands_options_and_choices(tmp_path, capsys) -> None:
    assert main(["completion", "bash"]) == 0
    (tmp_path / "script").write_text(capsys.readouterr().out)
    for words, expected in (
        ("rec", "record recover"),
        ("record synthetic --en", "--env-args --engine"),
        ("record synthetic --engine r", "ray"),
    ):
        code = (
            f"source {tmp_path / 'script'}; COMP_WORDS=(prompt-bandits {words})\n"
            "COMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n"
            "_tyro_prompt_bandits prompt-bandits; echo ${COMPREPLY[@]}"
        )
        assert subprocess.run(["bash", "-c", code], capture_output=True, text=True).stdout.strip() == expected


@pytest.mark.slow
def test_the_examples_are_the_stages_in_order(tmp_path) -> None:
    assert [file.stem for file in EXAMPLES] == [
        "01_logging_policy",
        "02_logged_data",
        "03_density",
        "04_policy",
        "05_evaluate",
    ]
    said = ""
    for file in EXAMPLES:
        command = [sys.executable, str(file), *TINY, "--out", str(tmp_path)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert [line.split()[0] for line in said.splitlines()] == ["method", "uniform", "logging", "dso", "optimal"]
    stages = sorted(file.parts[-3] for file in tmp_path.rglob("artefact.json"))
    assert stages == ["dataset", "density", "logging_policy", "policies", "q_hat", "r_hat", "references"]


def test_what_has_a_place_of_its_own_may_be_named_too(tmp_path, capsys) -> None:
    assert main(["recover", "--data", str(tmp_path)]) == main(["recover", str(tmp_path)]) != 0
    named, placed = capsys.readouterr().err.strip().splitlines()
    assert named == placed
    assert str(tmp_path) in named
