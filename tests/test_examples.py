"""The examples run, at a small size; the README's commands are those of CI; code and commands of pages are sound."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from agents.cli.main import main as prompt_bandits_command

ROOT = Path(__file__).parent.parent
PAGES = sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("docs/**/*.md"))


def code(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def commands(text: str) -> list[str]:
    """Lines of the bash blocks; those that end in a backslash go on."""
    return [
        line
        for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
        for line in block.replace("\\\n", " ").splitlines()
        if line.strip()
    ]


def test_quickstart_ends_with_a_table_and_a_picture(tmp_path) -> None:
    arguments = ["--n-actions", "20", "--n", "300", "--steps", "20", "--out", str(tmp_path)]
    out = subprocess.run(
        [sys.executable, ROOT / "examples/quickstart.py", *arguments], capture_output=True, text=True, check=True
    ).stdout
    learners = ("behaviour cloning", "direct method", "IPS", "DSO", "SentenceDM")
    for name in ("uniform", "logging policy", *learners, "optimal"):
        assert re.search(rf"^{name} +-?\d\.\d{{4}} ± \d\.\d{{4}} +-?\d\.\d{{3}}", out, re.MULTILINE), out
    assert (tmp_path / "policy_values.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "dataset/meta/info.json").is_file()
    assert (tmp_path / "policy/policy.json").is_file()


def test_evaluate_policy_ends_in_verdicts_the_truth_and_pages(tmp_path) -> None:
    arguments = ["--n-actions", "10", "--n", "300", "--n-fresh", "600", "--steps", "20", "--out", str(tmp_path)]
    out = subprocess.run(
        [sys.executable, ROOT / "examples/evaluate_policy.py", *arguments], capture_output=True, text=True, check=True
    ).stdout
    assert len(re.findall(r"^(?:Ship it|Don't ship|The log cannot tell):", out, re.MULTILINE)) == 2
    assert len(re.findall(r"^Really it gains [+-]\d\.\d{4}\.", out, re.MULTILINE)) == 2
    for name in ("IPS", "SentenceDM"):
        assert (tmp_path / name / "policy.json").is_file()
        assert "<h1>Is " + name in (tmp_path / f"{name}.html").read_text()


def test_ci_runs_exactly_the_two_commands_of_the_readme() -> None:
    main, tests = commands((ROOT / "README.md").read_text())[:2]
    script = (ROOT / ".ci/run").read_text()
    assert script.count(main) == 1
    assert script.count(tests) == 1
    assert main.endswith("python examples/quickstart.py")
    assert tests.endswith("python -m pytest")


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if code(page)], ids=name_of)
def test_the_code_of_a_page_runs_from_top_to_bottom(page: Path, tmp_path) -> None:
    script = tmp_path / "page.py"
    script.write_text("\n".join(code(page)))
    ended = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


@cache
def help_of(command: str) -> str:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert prompt_bandits_command([command, "--help"]) == 0, command
    return said.getvalue()


def wrong_in(command: str) -> str | None:
    """What our command, or a script of ours, would not understand of this line; None: nothing."""
    words = shlex.split(command, comments=True)
    flags = {word.partition("=")[0] for word in words if word.startswith("--") and word != "--help"}
    if words[:1] == ["prompt-bandits"] and len(words) > 1 and words[1] not in ("--version", "--help", "COMMAND"):
        known = set(re.findall(r"--[a-z][a-z0-9-]*", help_of(words[1])))
        return f"{sorted(flags - known)}: no options of {words[1]}" if flags - known else None
    if words[:1] == ["python"] and len(words) > 1 and words[1].endswith(".py"):
        if not (ROOT / words[1]).is_file():
            return f"{words[1]}: no such file"
        source = (ROOT / words[1]).read_text()
        unknown = [flag for flag in flags if not re.search(rf"\b{flag[2:].replace('-', '[-_]')}\b", source)]
        return f"{unknown}: no options of {words[1]}" if unknown else None
    return None


def test_a_wrong_command_is_found() -> None:
    assert wrong_in("prompt-bandits evaluate --data runs/log --policy runs/policy  # a comment") is None
    assert wrong_in("prompt-bandits evaluate --date runs/log") == "['--date']: no options of evaluate"
    assert wrong_in("python examples/no_such.py") == "examples/no_such.py: no such file"
    assert (
        wrong_in("python examples/quickstart.py --n-action 3") == "['--n-action']: no options of examples/quickstart.py"
    )


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_commands_of_a_page_are_understood(page: Path) -> None:
    text = page.read_text()
    inline = [one for one in re.findall(r"`((?:prompt-bandits|python) [^`]+)`", text) if "…" not in one]
    for line in commands(text) + inline:
        for command in re.split(r"&&|\|", line):
            assert wrong_in(command) is None, f"{line}: {wrong_in(command)}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_named_files_exist(page) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), f"{page.name}: {target}"
    for file in re.findall(r"`((?:prompt_bandits|agents|tests|examples|benchmarks|docs)/[\w/.]+)`", text):
        assert (ROOT / file).exists(), f"{page.name}: {file}"
    for file, test in re.findall(r"`(tests/\w+\.py)::(\w+)`", text):
        assert f"def {test}(" in (ROOT / file).read_text(), f"{page.name}: {file}::{test}"
