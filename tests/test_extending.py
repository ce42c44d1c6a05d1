"""The page for those who write their own parts names every check that there is (its code runs in test_examples.py)."""

from __future__ import annotations

from pathlib import Path

import agents.testing
import prompt_bandits.testing

PAGE = Path(__file__).parent.parent / "docs/extending.md"
HOMES = {
    agents.testing: ("agents.testing",),
    prompt_bandits.testing: ("prompt_bandits.testing", "prompt_bandits.part_checks"),
}


def test_every_check_is_named_on_the_page() -> None:
    text = PAGE.read_text()
    for module, own in HOMES.items():
        checks = [name for name, one in vars(module).items() if name.startswith("check_") and one.__module__ in own]
        assert len(checks) > 1
        for name in checks:
            assert f"{module.__name__}.{name}" in text, name
