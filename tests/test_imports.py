"""Who may import whom, and what importing loads."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = [*ROOT.glob("prompt_bandits/**/*.py"), *ROOT.glob("agents/**/*.py")]
TORCH_ALLOWED = ("prompt_bandits/synthetic/worlds.py", "prompt_bandits/llms/", "prompt_bandits/movie/")
AGENTS_MAY = {"types", "protocols", "rounds", "datasets", "policies", "collecting", "acting", "progress"}
FREE = ("agents/cli/", "agents/benchmark/", "agents/integrations/", "agents/testing.py")
# imported where they are used
OF_TORCH = ("prompt_bandits/llms/keyed_sampling.py", "prompt_bandits/movie/rewards/nets.py")
HEAVY = {"torch", "transformers", "sentence_transformers", "pandas", "pyarrow", "sklearn", "scipy", "matplotlib"}


def imports(file: Path) -> list[tuple[str, bool]]:
    """(module, at the top of the file?)"""
    tree = ast.parse(file.read_text())
    top = set(map(id, tree.body))
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in top) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [(node.module, id(node) in top)]
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_import_rules(file) -> None:
    name = str(file.relative_to(ROOT))
    for module, top in imports(file):
        package, *rest = module.split(".")
        assert not (package == "agents" and name.startswith("agents/")), f"{name}: import {module} relatively"
        if name.startswith("prompt_bandits/"):
            assert package != "agents", f"{name} imports {module}"
            assert package not in {"torch", "transformers"} or name.startswith(TORCH_ALLOWED), (
                f"{name} imports {module}"
            )
            assert not (top and package in HEAVY and name not in OF_TORCH), f"{name} imports {module} at the top"
        elif package == "prompt_bandits" and not name.startswith(FREE):
            assert {*rest[:1]} <= AGENTS_MAY, f"{name} imports {module}"
        assert package != "pickle", name


def test_what_the_openai_client_imports_is_in_its_extra() -> None:
    files = [*ROOT.glob("prompt_bandits/llms/openai_*.py"), ROOT / "prompt_bandits/llms/in_flight.py"]
    used = {module.split(".")[0] for file in files for module, _ in imports(file)}
    used -= {"prompt_bandits", *sys.stdlib_module_names}
    extra = re.search(r"^openai = \[(.*)\]$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert extra is not None
    assert used == set(re.findall(r'"([\w-]+)', extra[1]))


def test_no_import_of_sentence_transformers_is_deprecated() -> None:
    used = {module for file in FILES for module, _ in imports(file) if module.startswith("sentence_transformers")}
    assert len(used) > 1
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Importing from 'sentence_transformers")
        for module in used:
            importlib.import_module(module)


def loaded(code: str) -> set[str]:
    out = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return {module.split(".")[0] for module in out.stdout.split()}


def test_importing_prompt_bandits_loads_nothing_heavy() -> None:
    assert not loaded("import prompt_bandits") & HEAVY


def test_importing_agents_loads_no_transformers() -> None:
    modules = loaded("import agents, agents.learners, agents.reward_models, agents.density, agents.policies")
    assert not modules & {"transformers", "sentence_transformers"}


def test_making_and_recording_an_environment_needs_no_torch() -> None:
    code = (
        "import prompt_bandits; from prompt_bandits.policies import Uniform;"
        "prompt_bandits.collect('PromptPersonalization-Synthetic-v0', Uniform(), 10)"
    )
    assert not loaded(code) & {"torch", "transformers", "pandas"}


def test_global_generators_are_not_used() -> None:
    for file in FILES:
        text = file.read_text()
        assert not re.search(r"np\.random\.(?!Generator\b|Philox\b|SeedSequence\b)\w+", text), file
        if file.name != "worlds.py":
            assert not re.search(r"torch\.(rand|randn|randint|randperm|normal|multinomial|bernoulli)\(", text), file
        assert "manual_seed" not in text or "fork_rng" in text or file.name == "worlds.py", file


def test_a_foreign_package_named_agents_is_told() -> None:
    code = (
        "import sys, types, pathlib; fake = types.ModuleType('agents');"
        f"fake.__path__ = [{str(ROOT / 'agents')!r}]; fake.__file__ = 'site-packages/agents/__init__.py';"
        "sys.modules['agents'] = fake; import agents.learners"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "another package named agents" in out.stderr
    assert "openai-agents" in out.stderr


def test_registering_twice_changes_nothing() -> None:
    import gymnasium as gym

    from prompt_bandits.registration import SYNTHETIC_ID, register_environments

    before = gym.registry[SYNTHETIC_ID]
    register_environments()
    assert gym.registry[SYNTHETIC_ID] is before
