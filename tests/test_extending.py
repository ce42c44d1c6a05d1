"""The code of the pages for those who write their own parts runs, and prints what the pages say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "printed"),
    [
        (
            "extending",
            r"non-negative numbers, got -10\.2 in row \d+; a softmax(.|\n)*half-dr\[0\.5\](.|\n)*LinUCB \d",
        ),
        ("tracking", r'"step": 50(.|\n)*policy_value(.|\n)*200 \{(.|\n)*done'),
    ],
)
def test_the_code_of_the_page_runs(page, printed, tmp_path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / f"docs/{page}.md").read_text(), re.DOTALL)
    script = tmp_path / "page.py"
    script.write_text("\n".join(blocks))
    out = subprocess.run([sys.executable, script], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    assert re.search(printed, out.stdout), out.stdout


def test_every_check_is_named_on_the_page() -> None:
    import agents.testing
    import prompt_bandits.testing

    text = (ROOT / "docs/extending.md").read_text()
    homes = {
        agents.testing: ("agents.testing",),
        prompt_bandits.testing: ("prompt_bandits.testing", "prompt_bandits.part_checks"),
    }
    for module, own in homes.items():
        checks = [name for name, one in vars(module).items() if name.startswith("check_") and one.__module__ in own]
        assert len(checks) > 1
        for name in checks:
            assert f"{module.__name__}.{name}" in text, name
