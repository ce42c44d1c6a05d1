"""The examples run, at a small size; the README's commands are those of CI and its code runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def commands(text: str) -> list[str]:
    return [
        line
        for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
        for line in block.splitlines()
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


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        *(
            f"docs/{name}.md"
            for name in ("architecture", "datasets", "environments", "learners", "llms", "movie", "ope")
        ),
    ],
)
def test_the_code_of_the_documentation_runs(page, tmp_path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    assert blocks
    script = tmp_path / "page.py"
    script.write_text("\n".join(blocks))
    subprocess.run([sys.executable, script], cwd=tmp_path, check=True, capture_output=True, text=True)


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("docs/*.md")), ids=lambda page: page.name)
def test_links_and_named_files_exist(page) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), f"{page.name}: {target}"
    for file in re.findall(r"`((?:prompt_bandits|agents|tests|examples|benchmarks|docs)/[\w/.]+)`", text):
        assert (ROOT / file).exists(), f"{page.name}: {file}"
    for file, test in re.findall(r"`(tests/\w+\.py)::(\w+)`", text):
        assert f"def {test}(" in (ROOT / file).read_text(), f"{page.name}: {file}::{test}"
