"""The logging policy of the published experiments."""

from __future__ import annotations

from typing import Any

from prompt_bandits.collecting import collect
from prompt_bandits.policies import Softmax, Uniform
from prompt_bandits.rounds import named_generator

from .reward_models import RewardTraining, fit_action_reward_model


def published_logging_policy(
    env: Any,
    *,
    beta: float = 1.0,
    n: int = 10_000,
    seed: int = 0,
    training: RewardTraining | None = None,
    **kwargs: Any,
) -> Softmax:
    """Softmax(β) over a reward model fitted on `n` rounds of the uniform policy (Kiyohara et al., 2025, section on
    synthetic data).

    Args:
        env: an id (with its arguments), an environment or a simulator, as for `collect`.
        beta: inverse temperature; at 1 the policy is close to uniform.
        n: uniform rounds.
        seed: of those rounds, which are apart from those that `collect` plays with the same seed.
        training: of the reward model; `RewardTraining.published()` unless given.
    """
    own_seed = int(named_generator(seed, "published logging policy").integers(2**62))
    data = collect(env, Uniform(), n, own_seed, **kwargs)
    return Softmax(fit_action_reward_model(data, training or RewardTraining.published(), seed=seed), beta)
