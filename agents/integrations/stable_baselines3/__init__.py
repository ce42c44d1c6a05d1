"""Stable-Baselines3: our environments as a `VecEnv`, its models as our policies and ours as its, recorded training.

See docs/third_party_agents.md.
"""

try:
    import stable_baselines3 as _  # noqa: F401
except ImportError as _error:
    raise ImportError(
        'agents.integrations.stable_baselines3 needs stable-baselines3: pip install "prompt_bandits[sb3]"'
    ) from _error

from .evaluating import PolicyValueCallback, eval_callback
from .policy import SB3Policy
from .predicts import Predicts
from .recording import RecordingCallback
from .settings import LOGGED_EVERY, log_interval, one_step_arguments
from .vec_env import PromptBanditVecEnv, SameRounds, to_vec_env

__all__ = [
    "LOGGED_EVERY",
    "PolicyValueCallback",
    "Predicts",
    "PromptBanditVecEnv",
    "RecordingCallback",
    "SB3Policy",
    "SameRounds",
    "eval_callback",
    "log_interval",
    "one_step_arguments",
    "to_vec_env",
]
