"""The examples of third parties' agents, small; and what PPO reaches at its default size."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

import prompt_bandits
from prompt_bandits.datasets import StoredDataset

pytest.importorskip("stable_baselines3")
EXAMPLES = Path(__file__).parent.parent / "examples"


def example(name: str):
    """The module of an example."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def optimality_of(out: str, name: str) -> float:
    found = re.search(rf"^{name} +-?\d\.\d{{4}} ± \d\.\d{{4}} +(-?\d\.\d{{3}})", out, re.MULTILINE)
    assert found, out
    return float(found[1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("algorithm", "env"),
    [
        ("ppo", "synthetic"),
        ("a2c", "synthetic"),
        ("dqn", "synthetic"),
        ("maskable_ppo", "synthetic"),
        ("ppo", "movie"),
        ("a2c", "movie"),
        ("dqn", "movie"),
    ],
)
def test_an_sb3_agent_learns_is_judged_and_leaves_its_log(algorithm, env, tmp_path, capsys) -> None:
    if algorithm == "maskable_ppo":
        pytest.importorskip("sb3_contrib")
    agents = example("sb3_agents")
    size = {"rounds": 2048, "num_envs": 64, "n_actions": 4, "n_judged": 200}
    agents.main(agents.Args(algorithm=algorithm, env=env, out=tmp_path, **size))
    out = capsys.readouterr().out
    assert -1 < optimality_of(out, f"{algorithm}, drawn") < 1
    assert re.search(r"^really: -?\d", out, re.MULTILINE)
    folder = tmp_path / f"{algorithm}_{env}"
    log = StoredDataset.open(folder / "log").load()
    assert len(log) >= 2048
    assert (log.obs.action_mask is not None) == (algorithm == "maskable_ppo")
    dist = prompt_bandits.load(folder / "policy").action_dist(log.obs)
    assert dist.shape == (len(log), 4)


@pytest.mark.slow
def test_a_cleanrl_style_ppo_learns_and_records(tmp_path, capsys) -> None:
    ppo = example("cleanrl_ppo")
    ppo.main(ppo.Args(n_actions=4, total_rounds=8192, num_envs=64, record=tmp_path / "log"))
    found = re.findall(r"optimality +(-?\d\.\d{3})", capsys.readouterr().out)
    assert float(found[-1]) > float(found[0])
    log = StoredDataset.open(tmp_path / "log").load()
    assert len(log) == 8192
    assert log.require_propensity().mean() > 0.25


def test_a_classifier_with_propensities_beats_the_policy_of_today(capsys) -> None:
    sklearn = example("sklearn_policy")
    sklearn.main(sklearn.Args(n_actions=4, n=3000))
    out = capsys.readouterr().out
    assert optimality_of(out, "logistic, r/π0") > 0.5 > optimality_of(out, "today")


@pytest.mark.slow
def test_ppo_reaches_95_percent_of_the_oracles_gain(tmp_path) -> None:
    command = [sys.executable, EXAMPLES / "sb3_agents.py", "--out", str(tmp_path)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert optimality_of(out, "ppo, drawn") >= 0.95
    assert optimality_of(out, "ppo, best") >= 0.95


@pytest.mark.slow
def test_the_code_of_the_page_runs(tmp_path) -> None:
    page = (EXAMPLES.parent / "docs/third_party_agents.md").read_text()
    script = tmp_path / "page.py"
    script.write_text("\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)))
    subprocess.run([sys.executable, script], cwd=tmp_path, check=True, capture_output=True, text=True)
