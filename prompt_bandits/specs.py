"""What a dataset says of the environment that it came from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec

from prompt_bandits import saving
from prompt_bandits.mapping import simulator_of
from prompt_bandits.simulator import PARTS, PromptSimulator

_VECTOR_KWARGS = ("num_envs", "vectorization_mode", "vector_kwargs", "wrappers")


def stored_spec(env: Any) -> dict[str, Any]:
    """The single environment's spec as JSON values; parts that no spec describes by fingerprint."""
    spec = env.unwrapped.spec
    simulator = simulator_of(env)
    if spec is not None:
        try:
            values: dict[str, Any] = json.loads(single_spec(spec).to_json())
            return values
        except (ValueError, TypeError):
            return {"id": spec.id}
    return {"id": None} if simulator is None else simulator_spec(simulator)


def single_spec(spec: EnvSpec) -> EnvSpec:
    """The spec of one environment, without wrappers, from that of a wrapped or vector one."""
    kwargs = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in spec.kwargs.items()
        if name not in _VECTOR_KWARGS
    }
    return replace(spec, kwargs=kwargs, additional_wrappers=(), disable_env_checker=False)


def simulator_spec(simulator: PromptSimulator) -> dict[str, Any]:
    """What is known of a simulator that no id names: the values that rebuild it, else its parts by fingerprint."""
    if simulator.recipe is not None:
        return {"id": None, "recipe": saving.to_json(simulator.recipe)}
    parts = {name: part_fingerprint(getattr(simulator, name)) for name in PARTS}
    return {"id": None, "split": simulator.split, "parts": parts}


def simulator_from(spec: Mapping[str, Any]) -> PromptSimulator:
    """The simulator that a stored spec describes, made anew.

    Raises:
        ValueError: the spec names its parts but does not say how to make them.
    """
    if spec.get("recipe") is not None:
        recipe: Any = saving.from_json(spec["recipe"])
        built: PromptSimulator = recipe.build()
        return built
    simulator = simulator_of(env_from(spec))
    if simulator is None:
        raise ValueError(f"environment: expected one of ours, got {spec['id']}")
    return simulator


def env_from(spec: Mapping[str, Any]) -> gym.Env[Any, Any]:
    """The environment that a stored spec describes, made anew.

    Raises:
        ValueError: it has no id, or arguments that could not be stored.
    """
    if "entry_point" not in spec:
        raise ValueError(
            f"environment: expected one that can be made from its id and plain arguments, got {dict(spec)}"
        )
    return gym.make(EnvSpec.from_json(json.dumps(dict(spec))))


def part_fingerprint(part: Any) -> str:
    """The class of a part and a hash of its attributes: values, arrays, functions by name, and objects by theirs."""
    return f"{type(part).__module__}.{type(part).__qualname__}:{sha256(_content(part, 0).encode()).hexdigest()[:16]}"


_DEEPEST = 5


def _content(value: Any, depth: int) -> str:
    if isinstance(value, np.ndarray):
        content = repr(value.tolist()).encode() if value.dtype == object else np.ascontiguousarray(value).tobytes()
        return f"{value.dtype} {value.shape} {sha256(content).hexdigest()}"
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes, np.generic)):
        return repr(value)
    if depth >= _DEEPEST:
        return type(value).__qualname__
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_content(item, depth + 1) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key!r}: {_content(item, depth + 1)}' for key, item in value.items())}}}"
    name = getattr(value, "__qualname__", type(value).__qualname__)
    public = {k: v for k, v in getattr(value, "__dict__", {}).items() if not k.startswith("_")}
    return name if isinstance(value, type) or not public else f"{name}{_content(public, depth)}"
