"""Entry points of `PromptPersonalization-Synthetic-v0`: plain keyword arguments in, an environment out."""

from __future__ import annotations

from typing import Any

from prompt_bandits.env import PromptBanditEnv, PromptBanditVectorEnv
from prompt_bandits.synthetic.build import config_from, synthetic_simulator


def make_env(
    *, flatten_obs: bool = False, action_mode: str = "index", render_mode: str | None = None, **kwargs: Any
) -> PromptBanditEnv:
    """The environment of a `SyntheticConfig` given as keyword arguments."""
    simulator = synthetic_simulator(config_from(kwargs))
    return PromptBanditEnv(simulator, flatten_obs=flatten_obs, action_mode=action_mode, render_mode=render_mode)


def make_vector_env(
    num_envs: int = 1,
    *,
    flatten_obs: bool = False,
    action_mode: str = "index",
    render_mode: str | None = None,
    **kwargs: Any,
) -> PromptBanditVectorEnv:
    """`num_envs` rounds a step of the same environment."""
    simulator = synthetic_simulator(config_from(kwargs))
    return PromptBanditVectorEnv(
        simulator, num_envs, flatten_obs=flatten_obs, action_mode=action_mode, render_mode=render_mode
    )
