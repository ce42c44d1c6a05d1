"""Judging a model while it learns: SB3's `EvalCallback` with settings for one-step episodes, and the exact oracle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gymnasium.vector import VectorEnv
from stable_baselines3.common.callbacks import BaseCallback, EvalCallback
from stable_baselines3.common.vec_env import VecMonitor

from prompt_bandits.types import optimality

from ...protocols import Judge
from .policy import SB3Policy
from .vec_env import SameRounds, to_vec_env


def eval_callback(
    vector_env: VectorEnv[Any, Any, Any],
    *,
    num_envs: int,
    every: int = 20_000,
    rounds: int = 2_000,
    seed: int = 1_000_003,
    deterministic: bool = True,
    path: str | Path | None = None,
) -> EvalCallback:
    """SB3's `EvalCallback` over the same `rounds` each time, so that evaluations compare in pairs.

    Args:
        vector_env: to evaluate in, another one than that of training; 1000 places do `rounds=2000` in two steps.
        num_envs: of the training environment: SB3 counts its steps, `every` counts rounds.
        every: rounds of training between evaluations.
        rounds: played each time. The mean has a standard error of about reward_std/√rounds; SB3's 5 say nothing.
        seed: of those rounds; another one than that of training.
        deterministic: the model's best action, as SB3 has it by default, or what it draws.
        path: a folder for the best model and `evaluations.npz`; None: neither is kept.

    Raises:
        ValueError: a number below 1, or as `to_vec_env`.
    """
    for name, value in {"num_envs": num_envs, "every": every, "rounds": rounds}.items():
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, got {value}")
    folder = None if path is None else str(path)
    return EvalCallback(
        VecMonitor(SameRounds(to_vec_env(vector_env), seed)),
        n_eval_episodes=rounds,
        eval_freq=max(1, every // num_envs),
        deterministic=deterministic,
        best_model_save_path=folder,
        log_path=folder,
        verbose=0,
    )


class PolicyValueCallback(BaseCallback):
    """Logs the true value of what the model does, exactly, where `EvalCallback` plays rounds: `eval/policy_value` and
    `eval/optimality`. For plots, not for choosing: a learner has no oracle.

    Args:
        judge: a simulator.
        every: rounds of training between values.
        n: contexts that values are averaged over.
        told: also called with (rounds so far, policy value, optimality).
    """

    def __init__(
        self,
        judge: Judge,
        every: int = 20_000,
        n: int = 2_000,
        told: Callable[[int, float, float], None] | None = None,
    ) -> None:
        super().__init__()
        if every < 1 or n < 2:
            raise ValueError(f"every, n: expected at least 1 and 2, got {every} and {n}")
        self.judge, self.every, self.n, self.told = judge, every, n, told
        self._next = 0

    def _on_training_start(self) -> None:
        self._uniform = self.judge.uniform_value(self.n, 0).value
        self._optimal = self.judge.optimal_value(self.n, 0).value
        self._next = self.num_timesteps + self.every

    def _on_step(self) -> bool:
        if self.num_timesteps >= self._next:
            self._next = self.num_timesteps + self.every
            self._judge()
        return True

    def _judge(self) -> None:
        value = float(self.judge.value_terms(SB3Policy.of(self.model), self.n, 0).mean())
        gain = optimality(value, self._uniform, self._optimal)
        self.logger.record("eval/policy_value", value)
        self.logger.record("eval/optimality", gain)
        if self.told is not None:
            self.told(self.num_timesteps, value, gain)
