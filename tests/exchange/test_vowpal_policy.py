"""Vowpal Wabbit's models as policies and scores."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from prompt_bandits import Rounds, act, load, save
from prompt_bandits.exchange import export_dataset
from prompt_bandits.exchange.vowpal_policy import VowpalPolicy, VowpalScore
from prompt_bandits.policies import EpsilonGreedy
from prompt_bandits.saving import register_saved
from prompt_bandits.testing import check_policy

vw = pytest.importorskip("vowpalwabbit")
ROOT = Path(__file__).parents[2]


def learn(folder: Path, data, arguments: str, features: str = "both") -> Path:
    log = export_dataset(data, "vw-adf", folder / "log", overwrite=True, prompt_features=features)
    workspace = vw.Workspace(f"{arguments} --quiet -d {log} -f {folder / 'model'}")
    workspace.finish()
    return folder / "model"


@pytest.fixture(scope="module")
def model(tmp_path_factory, logged) -> Path:
    return learn(tmp_path_factory.mktemp("vw"), logged, "--cb_explore_adf --epsilon 0.2 -q xa -q qa")


def test_epsilon_is_shared_among_all_prompts_and_the_rest_is_the_best_ones(model, logged) -> None:
    dist = VowpalPolicy.load_model(model).action_dist(logged.obs)
    np.testing.assert_allclose(np.sort(dist, axis=1)[:, :-1], 0.02, rtol=1e-5)
    np.testing.assert_allclose(dist.max(axis=1), 0.82, rtol=1e-5)
    np.testing.assert_allclose(dist.sum(axis=1), 1, atol=1e-12)
    assert len(np.unique(dist.argmax(axis=1))) > 1


@pytest.mark.parametrize("exploration", ["--softmax --lambda 3", "--squarecb", "--bag 3", "--cover 2"])
def test_each_exploration_gives_probabilities_of_its_own(exploration, tmp_path, logged) -> None:
    policy = VowpalPolicy.load_model(learn(tmp_path, logged, f"--cb_explore_adf {exploration} -q xa"))
    obs = logged.obs.take(slice(0, 50))
    check_policy(policy, obs)
    _, propensity = act(policy, obs, Rounds(0, 0, 50))
    assert propensity.min() > 0


def test_a_prompt_that_is_masked_is_not_asked_about(model, logged) -> None:
    mask = np.random.default_rng(0).random((len(logged), 10)) < 0.4
    mask[np.arange(len(mask)), logged.action] = True
    obs = replace(logged.obs, action_mask=mask)
    policy = VowpalPolicy.load_model(model)
    check_policy(policy, obs)
    dist = policy.action_dist(obs)
    np.testing.assert_allclose(dist[mask].min(), 0.2 / mask.sum(axis=1).max(), rtol=1e-5)
    alone = policy.action_dist(replace(obs, action_mask=np.eye(10, dtype=bool)[logged.action]))
    np.testing.assert_array_equal(alone, np.eye(10)[logged.action])


def test_asking_teaches_the_model_nothing(model, logged) -> None:
    policy = VowpalPolicy.load_model(model)
    first = policy.action_dist(logged.obs)
    np.testing.assert_array_equal(policy.action_dist(logged.obs), first)
    np.testing.assert_array_equal(
        VowpalPolicy.load_model(model).action_dist(logged.obs.take(slice(99, 100))), first[99:100]
    )


def test_scores_are_what_vowpal_wabbit_expects_of_a_known_reward(tmp_path, logged) -> None:
    pays = replace(logged, reward=(logged.action == 3).astype(float))
    score = VowpalScore.load_model(learn(tmp_path, pays, "--cb_adf --cb_type mtr", "id"), prompt_features="id")
    scores = score.scores(logged.obs)
    assert (scores.argmax(axis=1) == 3).all()
    assert scores[0, 3] == pytest.approx(1, abs=0.15)
    dist = EpsilonGreedy(score, 0.5).action_dist(logged.obs)
    np.testing.assert_allclose(dist[:, 3], 0.55)


def test_a_model_of_another_kind_is_refused(model, tmp_path, logged) -> None:
    with pytest.raises(ValueError, match=r"expected one learnt with --cb_adf \(VowpalPolicy takes those of --cb_expl"):
        VowpalScore.load_model(model).scores(logged.obs)
    other = learn(tmp_path, logged, "--cb_adf")
    with pytest.raises(ValueError, match="model: expected one learnt with --cb_explore_adf"):
        VowpalPolicy.load_model(other).action_dist(logged.obs)


def test_a_policy_is_saved_with_its_model(model, tmp_path, logged) -> None:
    register_saved(VowpalPolicy)
    policy = VowpalPolicy.load_model(model)
    again = load(save(policy, tmp_path / "policy"))
    model_bytes = model.read_bytes()
    assert again.model.tobytes() == model_bytes
    np.testing.assert_array_equal(again.action_dist(logged.obs), policy.action_dist(logged.obs))


def test_without_vowpal_wabbit_the_message_says_what_to_install(model, logged, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "vowpalwabbit", None)
    with pytest.raises(ImportError, match=r'needs vowpalwabbit: pip install "prompt_bandits\[vw\]"'):
        VowpalPolicy.load_model(model).action_dist(logged.obs)


@pytest.mark.slow
def test_the_example_ends_with_a_policy_that_beats_todays(tmp_path) -> None:
    sizes = ["--n", "4000", "--n-fresh", "1500", "--n-truth", "500", "--steps", "100", "--out", str(tmp_path)]
    example = [sys.executable, ROOT / "examples/vowpal_wabbit.py", *sizes]
    done = subprocess.run(example, capture_output=True, text=True, check=True)
    out = done.stdout
    assert "Exception" not in done.stderr
    assert "Vowpal Wabbit read 4,000 rounds" in out
    values = re.search(r"today (-?[\d.]+) .* Vowpal Wabbit (-?[\d.]+) .* optimal (-?[\d.]+) ", out)
    assert values is not None, out
    today, learned, best = map(float, values.groups())
    assert today + 0.3 * (best - today) < learned < best
    assert re.search(r"^ +dr +", out, re.MULTILINE), out
    assert (tmp_path / "policy/policy.json").is_file()
