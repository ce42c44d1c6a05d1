"""Environments as commands name them: an id or a short name, and arguments as `name=value`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Annotated, Any, TypeAlias

import gymnasium as gym
import tyro

from prompt_bandits.mapping import simulator_of
from prompt_bandits.registration import MOVIE_ID, SYNTHETIC_ID
from prompt_bandits.simulator import PromptSimulator

EnvArgument: TypeAlias = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="ENV")]
ENVIRONMENTS = {"synthetic": SYNTHETIC_ID, "movie": MOVIE_ID}
"""Short names."""
_GYMNASIUM_ADDS = " was raised from the environment creator"
_CONSTANTS = {"none": None, "true": True, "false": False}


def made_env(name: str, env_args: Iterable[str] = (), **more: Any) -> gym.Env[Any, Any]:
    """The environment of this id or short name.

    Args:
        name: `synthetic`, `movie`, or whatever `gym.make` takes, such as `my_package:MyEnv-v0`.
        env_args: `name=value` texts; values are JSON, or else texts.
        more: further arguments of `gym.make`.

    Raises:
        ValueError: no such environment, or arguments that it does not take.
    """
    import prompt_bandits  # noqa: F401  (registers the ids)

    arguments = parsed(env_args, "env_args")
    try:
        return gym.make(ENVIRONMENTS.get(name, name), **{**arguments, **more})
    except gym.error.UnregisteredEnv as error:
        close = get_close_matches(name, [*ENVIRONMENTS, *ENVIRONMENTS.values()], n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"expected {', '.join(ENVIRONMENTS)} or an id of Gymnasium"
        raise ValueError(f"env: unknown environment {name!r}; {hint}") from error
    except ModuleNotFoundError as error:
        raise ValueError(f"env: {name!r}: {error}") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"env_args: {str(error).partition(_GYMNASIUM_ADDS)[0]}") from error


def simulator_in(env: gym.Env[Any, Any], why: str) -> PromptSimulator:
    """The simulator in an environment of ours.

    Raises:
        ValueError: it is none of ours; `why` one is needed.
    """
    simulator = simulator_of(env)
    if simulator is None:
        raise ValueError(f"env: expected an environment of this package for {why}, got {env.unwrapped}")
    return simulator


def parsed(pairs: Iterable[str], argument: str) -> dict[str, Any]:
    """`name=value` texts as values by name.

    Raises:
        ValueError: not name=value, or a name given twice.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = (part.strip() for part in pair.partition("="))
        if not equals or not name:
            raise ValueError(f"{argument}: expected name=value, got {pair!r}")
        if name in found:
            raise ValueError(f"{argument}: {name} is given twice")
        found[name] = _value(text)
    return found


def _value(text: str) -> Any:
    """JSON, or none, true and false in any case, or else the text."""
    if text.lower() in _CONSTANTS:
        return _CONSTANTS[text.lower()]
    try:
        return json.loads(text)
    except ValueError:
        return text
