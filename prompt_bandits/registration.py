"""The environment ids, registered by string entry points so that importing stays light."""

from __future__ import annotations

from gymnasium.envs.registration import register, registry

SYNTHETIC_ID = "PromptPersonalization-Synthetic-v0"


def register_environments() -> None:
    """Registers what is not registered yet; a second import changes nothing."""
    if SYNTHETIC_ID in registry:
        return
    register(
        id=SYNTHETIC_ID,
        entry_point="prompt_bandits.synthetic.make:make_env",
        vector_entry_point="prompt_bandits.synthetic.make:make_vector_env",
        order_enforce=False,  # the environment itself refuses a step without a reset, at every round
    )
