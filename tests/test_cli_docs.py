"""What help and docs/command_line.md say of the commands is so."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from agents.cli.commands import COMMANDS, STAGES, module_of
from agents.cli.main import main
from agents.cli.parsing import parse
from prompt_bandits import BanditDataset

PAGE = (Path(__file__).parent.parent / "docs/command_line.md").read_text()


def fences(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_the_table_has_every_command() -> None:
    first_cells = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    assert [name for cell in first_cells for name in re.findall(r"`([\w-]+)`", cell)] == list(COMMANDS)


@pytest.mark.parametrize("command", sorted({*COMMANDS} - {*STAGES}))
def test_the_examples_in_help_are_legal(command) -> None:
    about = str(module_of(command).__doc__).replace("\\\n", " ")
    examples = re.findall(r"^  prompt-bandits (.*)$", about, flags=re.MULTILINE)
    assert examples
    for example in examples:
        name, *arguments = shlex.split(example.partition(" > ")[0])
        assert name == command
        if "--config" not in arguments:  # whose file is not here
            parse(module_of(command).Args, arguments, command, "", "")


@pytest.mark.slow
def test_the_walk_works(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    for line in "".join(fences("bash")).splitlines():
        assert main(shlex.split(line)[1:]) == 0, line
    capsys.readouterr()
    hashes = {BanditDataset.open(f"runs/{name}").content_hash() for name in ("log", "the-same-log")}
    assert len(hashes) == 1


def test_the_config_on_the_page_is_one(tmp_path) -> None:
    (text,) = fences("yaml")
    (tmp_path / "a.yaml").write_text(text)
    args = parse(module_of("train").Args, ["--config", str(tmp_path / "a.yaml"), "--out", "x"], "train", "", "")
    assert args.settings == ("steps=2000", "lr=5e-4", "reward_training.steps=500")


def test_the_code_on_the_page_runs(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    for code in fences("python"):
        exec(code, {})
