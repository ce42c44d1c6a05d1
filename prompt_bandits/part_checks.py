"""What is wrong with a context source, a frozen LLM or a reward model, in plain words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from prompt_bandits.probing import check_array, left_alone, no_global_draws, require_method
from prompt_bandits.protocols import BaselineReward, ContextQuerySource, FrozenLLM, PromptReward, RewardModel
from prompt_bandits.rounds import Rounds
from prompt_bandits.types import FloatArray, IntArray, Observation, Output, Prompts

_SCOPE = "probe"
_DRAW = "draw from `rounds` only"


def check_source(source: ContextQuerySource, prompts: Prompts, n: int = 2) -> None:
    """Asks a source who arrives in `n` rounds, twice, and in one of them alone.

    Raises:
        ValueError: no observation, columns of wrong shape or not finite, other prompts than the given ones, a mask that
            allows nothing, users that depend on anything but the round, or global randomness.
    """
    who = "source.observe"
    require_method("source", source, "observe", "observe(rounds, prompts)")
    with no_global_draws(who, _DRAW):
        obs = source.observe(Rounds(0, 0, n, _SCOPE), prompts)
    _check_observation(who, obs, prompts, n)
    again = source.observe(Rounds(0, 0, n, _SCOPE), prompts)
    if not _equal(obs, again):
        raise ValueError(f"{who}: expected the same contexts for the same rounds; {_DRAW}")
    last = source.observe(Rounds(0, n - 1, 1, _SCOPE), prompts)
    if not _close(obs.take(slice(n - 1, n)), last):
        raise ValueError(
            f"{who}: expected who arrives in a round to be the same whichever rounds are asked for together; draw "
            "by round, such as rounds.normal('context', d), not by position in the batch"
        )


def _check_observation(who: str, obs: object, prompts: Prompts, n: int) -> None:
    if not isinstance(obs, Observation):
        raise ValueError(f"{who}: expected an Observation, got {type(obs).__name__}")
    check_array(f"{who}: context", obs.context, (n, "d"))
    if obs.query is not None:
        check_array(f"{who}: query", obs.query, (n, "d"))
    if not obs.prompts.same_as(prompts):
        raise ValueError(f"{who}: expected an Observation with the prompts that it was given, got other ones")
    mask = obs.action_mask
    if mask is None:
        return
    if mask.shape != (n, len(prompts)) or mask.dtype != bool:
        raise ValueError(
            f"{who}: expected action_mask of shape {(n, len(prompts))} and booleans, got {mask.shape} of {mask.dtype}"
        )
    if not mask.any(axis=1).all():
        row = int((~mask.any(axis=1)).argmax())
        raise ValueError(f"{who}: expected an action_mask that allows at least one prompt, row {row} allows none")


def check_llm(llm: FrozenLLM, obs: Observation) -> None:
    """Asks for outputs of all rounds of `obs`, twice, of the last round alone, and without a prompt: of a live LLM
    3·n + 1 generations.

    Raises:
        ValueError: no output, arrays of wrong shape or not finite, texts that are none, outputs that depend on
            anything but round, query and prompt, input that was written to, or global randomness.
    """
    who, n = "llm.generate", len(obs)
    action = np.arange(n) % obs.n_actions
    output = checked_output(llm, obs, action)
    alone = llm.generate(obs.take(slice(n - 1, n)), action[n - 1 :], Rounds(0, n - 1, 1, _SCOPE))
    if not _close(output.take(slice(n - 1, n)), alone):
        raise ValueError(
            f"{who}: expected a round's output to be the same whichever rounds are asked for together; draw by round, "
            "such as rounds.normal('output', d), and use no statistics of the batch"
        )
    with _told(f"{who}: fails without a prompt (action=None), which is how the value of no prompt is found"):
        bare = llm.generate(obs, None, Rounds(0, 0, n, _SCOPE))
    _check_output(f"{who} without a prompt", bare, n)


def checked_output(llm: FrozenLLM, obs: Observation, action: IntArray) -> Output:
    """The outputs of all rounds of `obs`. Raises as `check_llm`."""
    who, n = "llm.generate", len(obs)
    require_method("llm", llm, "generate", "generate(obs, action, rounds)")
    query = None if obs.query is None else obs.query.shape
    fails = f"{who}: fails for queries {query} and prompts {obs.prompts.embedding.shape}"
    with no_global_draws(who, _DRAW), left_alone(who, obs=obs, action=action), _told(fails):
        output = llm.generate(obs, action, Rounds(0, 0, n, _SCOPE))
    _check_output(who, output, n)
    if not _equal(output, llm.generate(obs, action, Rounds(0, 0, n, _SCOPE))):
        raise ValueError(
            f"{who}: expected the same outputs for the same rounds; {_DRAW}, and put a cache before a live model"
        )
    return output


def _check_output(who: str, output: object, n: int) -> None:
    if not isinstance(output, Output):
        raise ValueError(f"{who}: expected an Output, got {type(output).__name__}")
    if output.embedding is None and output.text is None:
        raise ValueError(f"{who}: expected an output with an embedding or a text, got neither")
    if output.embedding is not None:
        check_array(f"{who}: embedding", output.embedding, (n, "d"))
    text = output.text
    if text is not None:
        if not isinstance(text, np.ndarray) or text.shape != (n,):
            got = f"{len(text)} rows of {type(text).__name__}"
            raise ValueError(
                f"{who}: expected text as an array of {n} rows, got {got}; prompt_bandits.types.text_array makes one"
            )
        wrong = [one for one in text.tolist() if not isinstance(one, str)]
        if wrong:
            raise ValueError(f"{who}: expected texts, got {wrong[0]!r}")


def check_reward_model(model: RewardModel, obs: Observation, output: Output) -> None:
    """Asks what the users of `obs` think of the outputs, twice, and the last of them alone.

    Raises:
        ValueError: no numbers (n,), rewards that depend on anything but user and output, input that was written to,
            or global randomness.
    """
    require_method("reward_model", model, "expected", "expected(obs, output)")
    n = len(obs)
    last = slice(n - 1, n)
    given: dict[str, Any] = {
        "reward_model.expected": (model.expected, (obs, output), (obs.take(last), output.take(last)))
    }
    if isinstance(model, PromptReward):
        action = np.arange(n) % obs.n_actions
        whole, alone = (obs, action, output), (obs.take(last), action[last], output.take(last))
        given = {"reward_model.expected_given": (model.expected_given, whole, alone)}
    if isinstance(model, BaselineReward):
        given["reward_model.baseline"] = (model.baseline, (obs,), (obs.take(last),))
    for who, (ask, whole, alone) in given.items():
        _check_reward(who, ask, whole, alone, obs, output)


def _check_reward(
    who: str, ask: Any, whole: tuple[Any, ...], alone: tuple[Any, ...], obs: Observation, output: Output
) -> None:
    shape = "text only" if output.embedding is None else output.embedding.shape
    told = _told(f"{who}: fails for outputs {shape} and contexts {obs.context.shape}")
    with no_global_draws(who, "noise is the reward noise's"), left_alone(who, obs=obs, output=output), told:
        expected: FloatArray = ask(*whole)
    check_array(who, expected, (len(obs),))
    if not np.array_equal(expected, ask(*whole)):
        raise ValueError(f"{who}: expected the same mean reward each time it is asked; noise is the reward noise's")
    if not np.allclose(ask(*alone), expected[-1:], rtol=1e-4, atol=1e-5):
        raise ValueError(
            f"{who}: expected a user's reward to be the same whoever else is in the batch; use no statistics of it"
        )


@contextmanager
def _told(what: str) -> Iterator[None]:
    """An error that says where it comes from."""
    try:
        yield
    except (ValueError, IndexError, TypeError, AttributeError, KeyError) as error:
        said = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise ValueError(f"{what}: {said}") from error


def _pairs(one: Observation | Output, other: Observation | Output) -> list[tuple[Any, Any]]:
    return [(getattr(one, name), getattr(other, name, None)) for name in one.row_fields]


def _equal(one: Observation | Output, other: Observation | Output) -> bool:
    return all(
        left is right or (left is not None and right is not None and np.array_equal(left, right))
        for left, right in _pairs(one, other)
    )


def _close(one: Observation | Output, other: Observation | Output) -> bool:
    """Equal to what another batch does to floating point numbers."""

    def close(left: Any, right: Any) -> bool:
        if left is None or right is None or not np.issubdtype(left.dtype, np.floating):
            return left is right or (left is not None and right is not None and np.array_equal(left, right))
        return left.shape == right.shape and np.allclose(left, right, rtol=1e-4, atol=1e-5)

    return all(close(left, right) for left, right in _pairs(one, other))
