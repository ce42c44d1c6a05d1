"""What a dataset says of the environment that it came from."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np
from gymnasium.envs.registration import EnvSpec

from prompt_bandits.mapping import simulator_of
from prompt_bandits.simulator import PromptSimulator

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
    kwargs = {name: value for name, value in spec.kwargs.items() if name not in _VECTOR_KWARGS}
    return replace(spec, kwargs=kwargs, additional_wrappers=(), disable_env_checker=False)


def simulator_spec(simulator: PromptSimulator) -> dict[str, Any]:
    """What is known of a simulator that no id names."""
    parts = {
        name: part_fingerprint(getattr(simulator, name))
        for name in ("source", "prompts", "llm", "reward_model", "reward_noise")
    }
    return {"id": None, "split": simulator.split, "parts": parts}


def part_fingerprint(part: Any) -> str:
    """The class of a part and a hash of its plain values and arrays."""
    digest = sha256()
    for name, value in sorted(vars(part).items()) if hasattr(part, "__dict__") else []:
        if isinstance(value, np.ndarray):
            digest.update(
                f"{name} {value.dtype} {value.shape}".encode()
                + (value.tobytes() if value.dtype != object else repr(value.tolist()).encode())
            )
        elif isinstance(value, (bool, int, float, str)) and not name.startswith("_"):
            digest.update(f"{name}={value!r}".encode())
        elif hasattr(value, "__dict__") and not name.startswith("_") and not callable(value):
            digest.update(f"{name}={part_fingerprint(value)}".encode())
    return f"{type(part).__module__}.{type(part).__qualname__}:{digest.hexdigest()[:16]}"
