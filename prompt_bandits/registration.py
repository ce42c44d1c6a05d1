"""The environment ids, registered by string entry points so that importing stays light."""

from __future__ import annotations

from gymnasium.envs.registration import register, registry

SYNTHETIC_ID = "PromptPersonalization-Synthetic-v0"
MOVIE_ID = "MovieDescription-v0"
_ENTRY_POINTS = {SYNTHETIC_ID: "prompt_bandits.synthetic.make", MOVIE_ID: "prompt_bandits.movie.make"}


def register_environments() -> None:
    """Registers what is not registered yet; a second import changes nothing."""
    for name, module in _ENTRY_POINTS.items():
        if name not in registry:
            register(
                id=name,
                entry_point=f"{module}:make_env",
                vector_entry_point=f"{module}:make_vector_env",
                order_enforce=False,  # the environment itself refuses a step without a reset, at every round
            )
