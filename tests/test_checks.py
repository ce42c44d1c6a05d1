"""The checks for third parties: one broken part a mistake, and the words that say so."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

from prompt_bandits.policies import Softmax, Uniform
from prompt_bandits.rounds import Rounds
from prompt_bandits.simulator import BernoulliNoise, PromptSimulator
from prompt_bandits.synthetic import SyntheticConfig
from prompt_bandits.testing import check_llm, check_policy, check_reward_model, check_simulator, check_source
from prompt_bandits.types import Observation, Output, Prompts, text_array

PROMPTS = Prompts.from_embedding(np.arange(8.0).reshape(4, 2))
GOOD = SyntheticConfig(n_actions=4).build()


def observed(n: int = 5, mask: bool = False) -> Observation:
    rounds = Rounds(0, 0, n, "test")
    allowed = np.ones((n, 4), dtype=bool)
    allowed[1, 2] = False
    return Observation(
        rounds.normal("context", 3).astype(np.float32),
        PROMPTS,
        rounds.normal("query", 2).astype(np.float32),
        action_mask=allowed if mask else None,
    )


def globally(*shape):
    """What nobody should do."""
    return np.random.rand(*shape)  # noqa: NPY002


@dataclass
class Dist:
    """A policy that is one function."""

    function: Any

    def action_dist(self, obs):
        return self.function(obs)


def logits(obs):
    return obs.context[:, :1] * np.arange(4)[None, :]


def softmax(values):
    exp = np.exp(values - values.max(axis=1, keepdims=True))
    return exp / exp.sum(axis=1, keepdims=True)


def nan_row(obs):
    dist = np.full((len(obs), 4), 0.25)
    dist[2 % len(obs)] = np.nan
    return dist


def standardised(obs):
    return softmax(logits(obs) - logits(obs).mean(axis=0) if len(obs) > 1 else logits(obs))


def writes(obs):
    obs.context[:] /= 2
    return softmax(logits(obs))


def draws_globally(obs):
    return softmax(logits(obs) + 0 * globally(len(obs), 4))


def drops_out(obs):
    return softmax(logits(obs) + torch.nn.functional.dropout(torch.ones(len(obs), 4)).numpy())


def unseeded(obs):
    return softmax(np.random.default_rng().normal(size=(len(obs), 4)))


POLICIES = {
    "no method": (object(), "policy: expected an object with `action_dist"),
    "a class": (Uniform, "policy: expected an object, got the class Uniform"),
    "a list": (Dist(lambda obs: [[0.25] * 4] * len(obs)), "expected a NumPy array of shape .* got list"),
    "a tensor": (Dist(lambda obs: torch.full((len(obs), 4), 0.25)), r"got Tensor; `.detach\(\).cpu\(\).numpy\(\)`"),
    "too few columns": (Dist(lambda obs: np.full((len(obs), 3), 1 / 3)), r"expected shape \(5, 4\), got \(5, 3\)"),
    "transposed": (Dist(lambda obs: np.full((4, len(obs)), 0.25)), "it looks transposed"),
    "objects": (Dist(lambda obs: np.full((len(obs), 4), 0.25, object)), "expected numbers, got an array of object"),
    "NaN": (Dist(nan_row), "expected finite numbers, got .*nan.* in row 2"),
    "logits": (Dist(lambda obs: logits(obs) - 1), "non-negative numbers, got -.* a softmax makes probabilities"),
    "off by a tenth": (Dist(lambda obs: softmax(logits(obs)) * 1.1), "rows that sum to 1, row 0 sums to 1.1"),
    "on masked prompts": (Dist(lambda obs: softmax(logits(obs))), "expected 0 on masked prompts, .* in row 1"),
    "batch statistics": (Dist(standardised), "a row that does not depend on the other rows"),
    "writes to its input": (Dist(writes), "input that is left alone, obs.context was written to"),
    "NumPy's generator": (Dist(draws_globally), "draws from the global generator of NumPy, or seeds it"),
    "PyTorch's generator": (Dist(drops_out), "draws from the global generator of PyTorch, or seeds it"),
    "a generator of the day": (Dist(unseeded), "the same probabilities each time it is asked"),
}


@pytest.mark.parametrize("name", POLICIES)
def test_check_policy_says_what_is_wrong_with(name) -> None:
    policy, said = POLICIES[name]
    with pytest.raises(ValueError, match=said):
        check_policy(policy, observed(mask=name == "on masked prompts"))


class Samples(Uniform):
    def __init__(self, draw):
        self.__dict__["draw"] = draw

    def sample(self, obs, rounds):
        return self.draw(obs, rounds)


def ones(obs, value=0.25):
    return np.full(len(obs), value)


SAMPLES = {
    "no pair": (lambda obs, rounds: rounds.integers("action", 4), "a pair, actions"),
    "columns": (lambda obs, rounds: (rounds.integers("action", 4)[:, None], ones(obs)), r"`\[:, 0\]` drops"),
    "unknown actions": (lambda obs, rounds: (rounds.integers("action", 4) + 4, ones(obs)), "integer actions in 0 … 3"),
    "fractions": (lambda obs, rounds: (rounds.uniform("action"), ones(obs)), "integer actions in 0 … 3"),
    "other rows each time": (
        lambda obs, rounds: (np.random.default_rng().integers(4, size=len(obs)), ones(obs)),
        "the same actions for the same rounds",
    ),
    "other probabilities": (
        lambda obs, rounds: (rounds.integers("action", 4), ones(obs, 0.5)),
        "0.25 in row 0, got 0.5",
    ),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_check_policy_says_what_is_wrong_with_samples(name) -> None:
    draw, said = SAMPLES[name]
    with pytest.raises(ValueError, match=f"sample.*{said}"):
        check_policy(Samples(draw), observed(40))


def test_good_policies_pass() -> None:
    for mask in (False, True):
        check_policy(Uniform(), observed(mask=mask))
    check_policy(Dist(lambda obs: softmax(logits(obs)).astype(np.float32)), observed())
    check_policy(Softmax(Scores(), 2.0), observed(mask=True))


class Scores:
    def scores(self, obs):
        return logits(obs)


@dataclass
class Arrives:
    function: Any

    def observe(self, rounds, prompts):
        return self.function(rounds, prompts)


def normal(rounds, d=3):
    return rounds.normal("context", d).astype(np.float32)


def own_generator(rounds, prompts):
    return Observation(np.random.default_rng(0).normal(size=(len(rounds), 3)), prompts)


SOURCES = {
    "no method": (object(), r"source: expected an object with `observe\(rounds, prompts\)`"),
    "an array": (lambda rounds, prompts: normal(rounds), "expected an Observation, got ndarray"),
    "one row too many": (
        lambda rounds, prompts: Observation(np.zeros((len(rounds) + 1, 3)), prompts),
        r"context: expected shape \(2, d\), got \(3, 3\)",
    ),
    "a flat query": (
        lambda rounds, prompts: Observation(normal(rounds), prompts, rounds.normal("query")),
        r"query: expected shape \(2, d\), got \(2,\)",
    ),
    "infinity": (
        lambda rounds, prompts: Observation(normal(rounds) / 0, prompts),
        "context: expected finite numbers, got .*inf.* in row 0",
    ),
    "other prompts": (
        lambda rounds, prompts: Observation(normal(rounds), PROMPTS),
        "with the prompts that it was given",
    ),
    "a mask of numbers": (
        lambda rounds, prompts: Observation(normal(rounds), prompts, action_mask=np.ones((len(rounds), 4))),
        "expected action_mask of shape .* and booleans, got .* of float64",
    ),
    "a mask that allows nothing": (
        lambda rounds, prompts: Observation(normal(rounds), prompts, action_mask=np.eye(4, dtype=bool)[:2] & False),
        "allows at least one prompt, row 0 allows none",
    ),
    "position in the batch": (own_generator, "the same whichever rounds are asked for together"),
    "the global generator": (
        lambda rounds, prompts: Observation(globally(len(rounds), 3), prompts),
        "draws from the global generator of NumPy",
    ),
    "a generator of the day": (
        lambda rounds, prompts: Observation(np.random.default_rng().normal(size=(len(rounds), 3)), prompts),
        "the same contexts for the same rounds; draw from `rounds` only",
    ),
}


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("name", SOURCES)
def test_check_source_says_what_is_wrong_with(name) -> None:
    function, said = SOURCES[name]
    with pytest.raises(ValueError, match=said):
        check_source(function if name == "no method" else Arrives(function), GOOD.prompts)


@dataclass
class Writes:
    function: Any

    def generate(self, obs, action, rounds):
        return self.function(obs, action, rounds)


def numbers(obs, action, rounds):
    return (0 if action is None else action[:, None]) + rounds.normal("output", 2)


def needs_prompts(obs, action, rounds):
    return Output(action[:, None] + rounds.normal("output", 2))


def upper_case(obs, action, rounds):
    obs.context[:] = 0
    return Output(numbers(obs, action, rounds))


def centred(obs, action, rounds):
    embedding = numbers(obs, action, rounds)
    return Output(embedding - embedding.mean(axis=0))


LLMS = {
    "no method": (object(), "llm: expected an object with `generate"),
    "an array": (numbers, "llm.generate: expected an Output, got ndarray"),
    "neither": (lambda obs, action, rounds: Output(), "with an embedding or a text, got neither"),
    "too few rows": (lambda obs, action, rounds: Output(np.zeros((1, 2))), r"embedding: expected shape \(5, d\)"),
    "a flat embedding": (
        lambda obs, action, rounds: Output(np.zeros(5)),
        r"embedding: expected shape \(5, d\), got \(5,\)",
    ),
    "a list of texts": (lambda obs, action, rounds: Output(text=["a"] * len(obs)), "text_array makes one"),
    "texts that are none": (
        lambda obs, action, rounds: Output(text=np.array([None] * len(obs), dtype=object)),
        "expected texts, got None",
    ),
    "NaN": (lambda obs, action, rounds: Output(np.full((len(obs), 2), np.nan)), "finite numbers, got .* in row 0"),
    "the global generator": (
        lambda obs, action, rounds: Output(globally(len(obs), 2)),
        "llm.generate: draws from the global generator of NumPy",
    ),
    "a generator of the day": (
        lambda obs, action, rounds: Output(np.random.default_rng().normal(size=(len(obs), 2))),
        "the same outputs for the same rounds; draw from `rounds` only, and put a cache",
    ),
    "other texts each time": (
        lambda obs, action, rounds: Output(text=text_array(map(str, np.random.default_rng().normal(size=len(obs))))),
        "the same outputs for the same rounds",
    ),
    "batch statistics": (centred, "the same whichever rounds are asked for together"),
    "writes to its input": (upper_case, "obs.context was written to"),
    "no prompt": (needs_prompts, r"fails without a prompt \(action=None\).*TypeError"),
    "a bug": (lambda obs, action, rounds: Output(obs.query_text[0]), "fails for queries .* TypeError: 'NoneType'"),
}


@pytest.mark.parametrize("name", LLMS)
def test_check_llm_says_what_is_wrong_with(name) -> None:
    function, said = LLMS[name]
    with pytest.raises(ValueError, match=said):
        check_llm(function if name == "no method" else Writes(function), observed())


@dataclass
class Likes:
    function: Any

    def expected(self, obs, output):
        return self.function(obs, output)


class LikesBaseline(Likes):
    def baseline(self, obs):
        return np.zeros(3)


class LikesPrompts(Likes):
    def expected_given(self, obs, action, output):
        return np.zeros((len(obs), 1))


def good_reward(obs, output):
    return np.einsum("nd,nd->n", obs.query, output.embedding)


def scaled(obs, output):
    output.embedding[:] *= 2
    return good_reward(obs, output)


REWARDS = {
    "no method": (object(), "reward_model: expected an object with `expected"),
    "a column": (Likes(lambda obs, output: good_reward(obs, output)[:, None]), r"\(5,\), got \(5, 1\); `\[:, 0\]`"),
    "a tensor": (Likes(lambda obs, output: torch.zeros(len(obs))), "expected a NumPy array"),
    "NaN": (Likes(lambda obs, output: good_reward(obs, output) * np.nan), "expected finite numbers, got nan in row 0"),
    "noise": (
        Likes(lambda obs, output: good_reward(obs, output) + np.random.default_rng().normal(size=len(obs))),
        "the same mean reward each time it is asked; noise is the reward noise's",
    ),
    "the global generator": (
        Likes(lambda obs, output: good_reward(obs, output) + globally(len(obs))),
        "global generator of NumPy, or seeds it; noise is the reward noise's",
    ),
    "ranks in the batch": (
        Likes(lambda obs, output: good_reward(obs, output).argsort().argsort() * 1.0),
        "the same whoever else is in the batch",
    ),
    "writes to its input": (Likes(scaled), "output.embedding was written to"),
    "a bug": (Likes(lambda obs, output: obs.user_id + 1.0), "fails for outputs .* and contexts .*: TypeError"),
    "a baseline of three": (LikesBaseline(good_reward), r"reward_model.baseline: expected shape \(5,\), got \(3,\)"),
    "a column given prompts": (LikesPrompts(good_reward), r"reward_model.expected_given: expected shape \(5,\)"),
}


@pytest.mark.parametrize("name", REWARDS)
def test_check_reward_model_says_what_is_wrong_with(name) -> None:
    model, said = REWARDS[name]
    output = Output(Rounds(0, 0, 5).normal("output", 2).copy())
    with pytest.raises(ValueError, match=said):
        check_reward_model(model, observed(), output)


def test_good_parts_pass() -> None:
    check_simulator(GOOD)
    check_source(GOOD.source, GOOD.prompts, 6)
    obs = GOOD.observe(Rounds(0, 0, 6))
    check_llm(GOOD.llm, obs)
    check_reward_model(GOOD.reward_model, obs, GOOD.respond(obs, np.zeros(6, np.int64), Rounds(0, 0, 6)))
    check_llm(Writes(lambda obs, action, rounds: Output(numbers(obs, action, rounds))), observed())


@dataclass
class Noise:
    function: Any

    def sample(self, expected, rounds):
        return self.function(expected, rounds)


def test_check_simulator_says_which_part_does_not_fit() -> None:
    for part, broken, said in [
        ("source", Arrives(own_generator), "source.observe: expected who arrives in a round"),
        ("llm", Writes(numbers), "llm.generate: expected an Output, got ndarray"),
        ("reward_model", Likes(lambda obs, output: 1.0), "reward_model.expected: expected a NumPy array .* got float"),
        ("reward_noise", BernoulliNoise(), "reward_noise.sample: fails for what reward_model.expected gives"),
        ("reward_noise", Noise(lambda expected, rounds: expected[:1]), r"reward_noise.sample: expected shape \(2,\)"),
        (
            "reward_noise",
            Noise(lambda expected, rounds: expected + np.random.default_rng().normal()),
            "the same rewards for the same rounds",
        ),
        (
            "reward_noise",
            Noise(lambda expected, rounds: expected + globally()),
            "reward_noise.sample: draws from the global",
        ),
    ]:
        simulator: PromptSimulator = replace(GOOD, **{part: broken})
        with pytest.raises(ValueError, match=said):
            check_simulator(simulator)
