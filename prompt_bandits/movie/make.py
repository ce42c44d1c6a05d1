"""Entry points of `MovieDescription-v0`: plain keyword arguments in, an environment out."""

from __future__ import annotations

from typing import Any

from prompt_bandits.env import PromptBanditEnv, PromptBanditVectorEnv
from prompt_bandits.interface import config_and_interface
from prompt_bandits.movie.config import MovieConfig


def make_env(**kwargs: Any) -> PromptBanditEnv:
    """The environment of a `MovieConfig` and of the arguments of `PromptBanditEnv`, by keyword."""
    config, interface = config_and_interface(MovieConfig, kwargs)
    return PromptBanditEnv(config.build(), **interface)


def make_vector_env(num_envs: int = 1, **kwargs: Any) -> PromptBanditVectorEnv:
    """`num_envs` rounds a step of the same environment."""
    config, interface = config_and_interface(MovieConfig, kwargs)
    return PromptBanditVectorEnv(config.build(), num_envs, **interface)
