"""Policies to folders and back."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

import prompt_bandits
from agents.clustering import kmeans
from agents.density import DensityModel
from agents.policies import NeuralPolicy, RewardTwoStage, TwoStage
from agents.reward_models import ActionRewardModel
from prompt_bandits.policies import EpsilonGreedy, Logits, Mixture, OracleScore, Restricted, Softmax, Uniform
from prompt_bandits.saving import fingerprint, register_saved
from prompt_bandits.synthetic import SyntheticConfig, synthetic_simulator

DIMS = {"dim_features": 10, "dim_other": 5, "hidden": 8}
CONFIG = SyntheticConfig(n_actions=10, covariance=np.eye(10).tolist())
SIMULATOR = CONFIG.build()
OBS = SIMULATOR.observe(SIMULATOR.rounds(0, 0, 7))


def neural(kind: str) -> NeuralPolicy:
    return NeuralPolicy.initial(kind, OBS, hidden=8, seed=1)


def clustering():
    return kmeans(OBS.prompts.embedding, 3)


def reward_two_stage() -> RewardTwoStage:
    return RewardTwoStage(EpsilonGreedy(OracleScore(SIMULATOR)), OracleScore(SIMULATOR), clustering(), 5.0)


POLICIES = {
    "uniform": lambda: Uniform(),
    "softmax of a reward model": lambda: Softmax(ActionRewardModel(DIMS), 0.3),
    "epsilon greedy of logits": lambda: EpsilonGreedy(Logits(np.arange(10.0)), 0.1),
    "mixture": lambda: Mixture([Uniform(), Mixture([neural("mlp"), Uniform()], (1, 2))], [0.3, 0.7]),
    "restricted": lambda: Restricted(Uniform(), np.arange(10) > 3),
    "oracle": lambda: Softmax(OracleScore(SIMULATOR)),
    "mlp": lambda: neural("mlp"),
    "scorer": lambda: neural("scorer"),
    "pairwise": lambda: neural("pairwise"),
    "two stage": lambda: TwoStage(Uniform(), EpsilonGreedy(OracleScore(SIMULATOR)), clustering()),
    "two stages by reward": reward_two_stage,
}


@pytest.mark.parametrize("make", POLICIES.values(), ids=POLICIES)
def test_a_saved_policy_acts_the_same(tmp_path, make) -> None:
    policy = make()
    back = prompt_bandits.load(prompt_bandits.save(policy, tmp_path / "p"))
    assert type(back) is type(policy)
    np.testing.assert_array_equal(back.action_dist(OBS), policy.action_dist(OBS))
    assert fingerprint(back) == fingerprint(policy)
    assert {file.name for file in (tmp_path / "p").iterdir()} == {"policy.json", "arrays.safetensors"}


def test_a_saved_density_model_is_the_same(tmp_path) -> None:
    model = DensityModel(DIMS)
    back = prompt_bandits.load(prompt_bandits.save(model, tmp_path / "p"))
    output = np.ones((7, 5), np.float32)
    np.testing.assert_array_equal(back.density(OBS, output), model.density(OBS, output))


def test_fingerprints_tell_contents_apart() -> None:
    ids = {fingerprint(make()) for make in POLICIES.values()} | {
        fingerprint(Softmax(Logits(np.arange(10.0)), b)) for b in (1, 2)
    }
    assert len(ids) == len(POLICIES) + 2


def test_a_third_partys_policy_registers_itself(tmp_path) -> None:
    @register_saved
    @dataclass(frozen=True)
    class Always:
        action: int
        saved_as: ClassVar[str] = "test_always"

        def action_dist(self, obs):
            return np.eye(obs.n_actions)[[self.action] * len(obs)]

    back = prompt_bandits.load(prompt_bandits.save(Always(4), tmp_path / "p"))
    assert back == Always(4)


def test_what_cannot_be_saved_is_told(tmp_path) -> None:
    class Anonymous:
        def action_dist(self, obs):
            return Uniform().action_dist(obs)

    with pytest.raises(TypeError, match="Anonymous cannot be saved"):
        prompt_bandits.save(Mixture([Anonymous()], [1]), tmp_path / "p")
    injected = synthetic_simulator(CONFIG, llm=SIMULATOR.llm)
    with pytest.raises(ValueError, match="injected parts cannot be saved"):
        prompt_bandits.save(Softmax(OracleScore(injected)), tmp_path / "p")
    assert not (tmp_path / "p").exists()


def test_a_changed_simulator_has_no_recipe() -> None:
    """Else a saved oracle would come back for the world that it was before the change."""
    changed = replace(SIMULATOR, reward_model=SyntheticConfig(n_actions=10, world_seed=5).build().reward_model)
    assert SIMULATOR.recipe == CONFIG
    assert changed.recipe is None


def test_foreign_and_damaged_folders_are_told(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="expected a saved policy"):
        prompt_bandits.load(tmp_path)
    folder = prompt_bandits.save(neural("mlp"), tmp_path / "p")
    values = json.loads((folder / "policy.json").read_text())

    def written(content: object) -> None:
        (folder / "policy.json").write_text(content if isinstance(content, str) else json.dumps(content))

    for content, message in [
        ("{", "damaged policy files"),
        ({"version": 99}, "expected format version 1, got 99"),
        ([1], "expected format version 1"),
        ({"version": 1}, "damaged policy files"),
        (
            {"version": 1, "saved": {"$saved": "os_system", "state": {}}},
            "saved as 'os_system': expected a class of that name",
        ),
        (values | {"saved": {"$saved": "neural_policy", "state": {}}}, "damaged policy files"),
    ]:
        written(content)
        with pytest.raises(ValueError, match=message):
            prompt_bandits.load(folder)
    written(values)
    (folder / "arrays.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="damaged policy files"):
        prompt_bandits.load(folder)
