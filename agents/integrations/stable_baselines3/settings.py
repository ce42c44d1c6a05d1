"""Settings of Stable-Baselines3 that make sense where an episode is one step; docs/third_party_agents.md says why."""

from __future__ import annotations

from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

LOGGED_EVERY = 10_000  # rounds


def one_step_arguments(window: int = 5_000) -> dict[str, Any]:
    """Arguments for the constructor of any SB3 algorithm: `PPO("MlpPolicy", env, **one_step_arguments())`.

    Args:
        window: rounds that `rollout/ep_rew_mean` averages. SB3's 100 are noise: with a reward noise of 1 that mean is
            off by 0.1, which is more than many policies differ by.

    Returns:
        `stats_window_size`, and `gamma=0`, which says what is so anyway: every step ends its episode, so that
        advantages are r − V(s) and Q-targets are r whatever γ and λ are.
    """
    if window < 1:
        raise ValueError(f"window: expected at least 1 round, got {window}")
    return {"gamma": 0.0, "stats_window_size": window}


def log_interval(model: BaseAlgorithm, every: int = LOGGED_EVERY) -> int:
    """The `log_interval` of `model.learn` that logs about every so many rounds.

    SB3 counts iterations of on-policy algorithms and episodes of the others, which by default log every 4 rounds.
    """
    if every < 1:
        raise ValueError(f"every: expected at least 1 round, got {every}")
    if isinstance(model, OnPolicyAlgorithm):
        return max(1, every // (model.n_steps * model.n_envs))
    return every
