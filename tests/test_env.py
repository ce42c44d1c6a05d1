"""The single environment: Gymnasium's rules and ours."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings

import gymnasium as gym
import numpy as np
import pytest
from conftest import SYNTHETIC
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

import prompt_bandits
from prompt_bandits.env import PromptBanditEnv
from prompt_bandits.policies import Uniform
from prompt_bandits.synthetic import SyntheticConfig, synthetic_simulator
from prompt_bandits.types import Output

VARIANTS = [
    {},
    {"flatten_obs": True},
    {"action_mode": "embedding"},
    {"reward_type": "binary"},
    {"world": "published"},
    {"split": "test", "context_shift": 1.0},
    {"mapping": "rational", "n_confounded": 2, "n_relevant": 3, "prompts": "mixture"},
]


@pytest.fixture
def env() -> gym.Env:
    return gym.make(SYNTHETIC, n_actions=10)


@pytest.mark.parametrize("kwargs", VARIANTS, ids=str)
def test_gymnasium_finds_nothing_to_warn_of(kwargs) -> None:
    env = gym.make(SYNTHETIC, **kwargs).unwrapped
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*Box observation space.*infinity.*")
        warnings.filterwarnings("ignore", message=".*Box action spaces.*symmetric and normalized.*")
        check_env(env)


@pytest.mark.parametrize(
    "kwargs", [{"flatten_obs": True}, {}, {"action_mode": "embedding", "flatten_obs": True}], ids=str
)
def test_stable_baselines_finds_nothing_wrong(kwargs) -> None:
    sb3 = pytest.importorskip("stable_baselines3.common.env_checker")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*symmetric and normalized Box action space.*")
        sb3.check_env(gym.make(SYNTHETIC, **kwargs).unwrapped)


def test_defaults_are_the_documented_ones() -> None:
    env = gym.make(SYNTHETIC)
    assert env.action_space == gym.spaces.Discrete(1000)
    assert {name: box.shape for name, box in env.observation_space.items()} == {"context": (5,), "query": (5,)}
    assert SyntheticConfig().output_gain == 2.0
    assert (SyntheticConfig().output_noise, SyntheticConfig().reward_std) == (1.0, 1.0)
    assert (SyntheticConfig().mapping, SyntheticConfig().world) == ("trigonometric", "independent")


def test_the_module_prefix_imports_us() -> None:
    code = f"import gymnasium; print(gymnasium.make('prompt_bandits:{SYNTHETIC}').reset(seed=0)[1])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "{'seed': 0, 'round_id': 0}"


def test_an_episode_is_one_step_and_a_second_one_raises(env) -> None:
    with pytest.raises(ResetNeeded):
        env.step(0)
    env.reset(seed=0)
    _, reward, terminated, truncated, _ = env.step(0)
    assert (terminated, truncated) == (True, False)
    assert type(reward) is float
    with pytest.raises(ResetNeeded, match="call reset"):
        env.step(0)


def test_the_terminal_observation_is_the_rounds_own(env) -> None:
    before, _ = env.reset(seed=0)
    after, *_ = env.step(0)
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])
        assert not np.shares_memory(before[name], after[name])


def test_info_tells_the_round(env) -> None:
    _, info = env.reset(seed=4)
    assert info == {"seed": 4, "round_id": 0}
    *_, info = env.step(3)
    assert set(info) == {"seed", "round_id", "action", "prompt_id", "expected_reward", "output"}
    assert (info["action"], info["prompt_id"]) == (3, 3)


def test_every_reset_consumes_a_round_stepped_or_not(env) -> None:
    ids = [env.reset(seed=0)[1]["round_id"], env.reset()[1]["round_id"]]
    env.step(0)
    ids.append(env.reset()[1]["round_id"])
    assert ids == [0, 1, 2]
    assert env.reset(seed=0)[1]["round_id"] == 0


def test_the_round_option_seeks_and_others_are_ignored(env) -> None:
    env.reset(seed=0)
    there, info = env.reset(options={"round": 1500, "colour": "red"})
    assert info["round_id"] == 1500
    assert env.reset()[1]["round_id"] == 1501
    for _ in range(2):
        again, _ = env.reset(seed=0, options={"round": 1500})
        np.testing.assert_array_equal(there["context"], again["context"])
    with pytest.raises(ValueError, match="expected a round id >= 0, got -1"):
        env.reset(options={"round": -1})


def test_rows_equal_those_of_collect(env) -> None:
    data = prompt_bandits.collect(env, Uniform(), 1030, seed=5)
    env.reset(seed=5)
    for row in range(1030):
        obs, reward, _, _, info = env.step(int(data.action[row]))
        np.testing.assert_array_equal(obs["context"], data.obs.context[row])
        np.testing.assert_array_equal(obs["query"], data.obs.query[row])
        np.testing.assert_array_equal(info["output"], data.output.embedding[row])
        assert reward == data.reward[row]
        assert info["expected_reward"] == data.oracle["expected_reward"][row]
        env.reset()


def test_the_first_unseeded_reset_draws_a_seed_and_passes_it_on() -> None:
    a, b = gym.make(SYNTHETIC, n_actions=10), gym.make(SYNTHETIC, n_actions=10)
    seed = a.reset()[1]["seed"]
    assert a.unwrapped.np_random_seed == seed
    assert 0 <= seed < 2**63
    assert b.reset()[1]["seed"] != seed
    np.testing.assert_array_equal(a.reset()[0]["context"], _second(b.reset(seed=seed), b))


def _second(_, env):
    return env.reset()[0]["context"]


def test_np_random_is_not_advanced(env) -> None:
    env.reset(seed=3)
    before = env.unwrapped.np_random.bit_generator.state
    env.step(0)
    env.reset()
    assert env.unwrapped.np_random.bit_generator.state == before


def test_an_np_random_set_by_hand_is_asked_for_a_seed(env) -> None:
    seeds = []
    for _ in range(2):
        env.unwrapped.np_random = np.random.default_rng(8)
        first = env.reset()[1]
        assert first["round_id"] == 0
        assert env.reset()[1] == {"seed": first["seed"], "round_id": 1}
        seeds.append(first["seed"])
    assert seeds[0] == seeds[1]


@pytest.mark.parametrize("touch", [lambda env: env.np_random, lambda env: env.np_random_seed])
def test_an_np_random_made_before_the_first_reset_does_no_harm(env, touch) -> None:
    touch(env.unwrapped)
    first = env.reset()[1]
    assert 0 <= first["seed"] < 2**63
    assert env.reset()[1] == {"seed": first["seed"], "round_id": 1}


def test_a_seed_of_another_size_is_refused(env) -> None:
    with pytest.raises(ValueError, match="seed: expected 0"):
        env.reset(seed=2**63)
    assert env.reset()[1]["round_id"] == 0


@pytest.mark.parametrize("action", [-1, 10, 1.5, "3", None, True, np.array([1, 2]), np.nan])
def test_wrong_actions_are_named_and_cost_nothing(env, action) -> None:
    env.reset(seed=0)
    with pytest.raises(ValueError, match="action: expected an integer in 0 … 9, got"):
        env.step(action)
    assert env.step(2)[4]["round_id"] == 0


@pytest.mark.parametrize("action", [3, np.int64(3), np.int32(3), np.array(3), np.array([3])])
def test_integers_of_all_kinds_are_actions(env, action) -> None:
    env.reset(seed=0)
    assert env.step(action)[4]["action"] == 3


def test_a_masked_prompt_is_refused() -> None:
    env = gym.make(SYNTHETIC, n_actions=20, mask_rate=0.5)
    _, info = env.reset(seed=0)
    mask = env.unwrapped.action_masks()
    np.testing.assert_array_equal(info["action_mask"], mask)
    assert info["action_mask"].dtype == np.int8
    with pytest.raises(ValueError, match="this round's action_mask allows"):
        env.step(int(np.flatnonzero(~mask)[0]))
    assert env.step(int(env.action_space.sample(info["action_mask"])))[2]


def test_a_point_in_embedding_space_takes_the_nearest_prompt() -> None:
    env = gym.make(SYNTHETIC, n_actions=50, action_mode="embedding")
    embedding = env.unwrapped.simulator.prompts.embedding
    env.reset(seed=0)
    assert env.step(embedding[17] + 1e-4)[4]["action"] == 17
    env.reset()
    with pytest.raises(ValueError, match="expected 5 finite numbers"):
        env.step(np.full(5, np.nan))
    with pytest.raises(ValueError, match="expected 5 finite numbers"):
        env.step(np.zeros(4))


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"n_action": 5}, TypeError, "did you mean 'n_actions'"),
        ({"action_mode": "text"}, ValueError, "action_mode: expected 'index' or 'embedding', got 'text'"),
        ({"world_seed": -1}, ValueError, "world_seed: expected an integer >= 0, got -1"),
    ],
)
def test_wrong_arguments_are_named(kwargs, error, message) -> None:
    with pytest.raises(error, match=message):
        gym.make(SYNTHETIC, **kwargs)


def test_the_spec_survives_json() -> None:
    env = gym.make(SYNTHETIC, n_actions=7, world="published", world_seed=2, flatten_obs=True)
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    for one, other in zip(_play(env), _play(again), strict=True):
        np.testing.assert_array_equal(one, other)
    assert json.loads(env.spec.to_json())["kwargs"]["world_seed"] == 2


def _play(env):
    obs, _ = env.reset(seed=1)
    final, reward, *_ = env.step(3)
    return obs, final, reward


def test_the_card_shows_the_round(capsys) -> None:
    env = gym.make(SYNTHETIC, n_actions=7, render_mode="ansi")
    env.reset(seed=0)
    assert "7 candidates" in env.render()
    assert "reward" not in env.render()
    _, reward, _, _, info = env.step(4)
    assert f"{reward:+.3f}  (expected {info['expected_reward']:+.3f})" in env.render()
    human = gym.make(SYNTHETIC, n_actions=7, render_mode="human")
    human.reset(seed=0)
    human.step(4)
    assert f"{reward:+.3f}" in capsys.readouterr().out
    assert human.render() is None
    with pytest.raises(ValueError, match="render_mode"):
        PromptBanditEnv(env.unwrapped.simulator, render_mode="rgb_array")


def test_a_failed_generation_leaves_the_round_open() -> None:
    class Flaky:
        failures = 1

        def generate(self, obs, action, rounds):
            if rounds.scope != "probe" and Flaky.failures:
                Flaky.failures -= 1
                raise ConnectionError("no answer")
            return Output(rounds.normal("output", 5).astype(np.float32))

    env = PromptBanditEnv(synthetic_simulator(SyntheticConfig(n_actions=3), llm=Flaky()))
    env.reset(seed=0)
    with pytest.raises(ConnectionError):
        env.step(1)
    assert env.step(1)[4]["round_id"] == 0


def test_masks_without_masking_allow_everything(env) -> None:
    env.reset(seed=0)
    assert env.unwrapped.action_masks().all()


def test_two_environments_do_not_share_state() -> None:
    a, b = gym.make(SYNTHETIC, n_actions=5), gym.make(SYNTHETIC, n_actions=5)
    a.reset(seed=0)
    b.reset(seed=1)
    x, y = a.step(1), b.step(1)
    a.reset(seed=0)
    assert a.step(1)[1] == x[1] != y[1]
