"""What a model plays while it learns, as a logged dataset with the probabilities that it played with."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback

from prompt_bandits.types import FloatArray
from prompt_bandits.wrappers import RecordBanditDataset, RecordBanditDatasetVector


class RecordingCallback(BaseCallback):
    """Annotates every round of `model.learn` in a recorder with its propensity.

    PPO, A2C, TRPO, MaskablePPO: exp of the log-probability that the rollout kept. DQN: ε/|A| + (1 − ε)·1[greedy],
    with the ε and the network that chose, and 1/|A| before `learning_starts`. Each row also gets `step`, the number of
    the vector step that it belongs to: the policy changes as it learns, and a DQN tosses one coin for all places of a
    step, so that rows of one step explore together.

    ```python
    recorder = RecordBanditDatasetVector(gym.make_vec(..., num_envs=64, flatten_obs=True), path)
    model = PPO("MlpPolicy", to_vec_env(recorder))
    model.learn(100_000, callback=RecordingCallback(recorder))
    recorder.close()
    ```

    Args:
        recorder: around the training environment, without `logging_policy`.

    Raises:
        ValueError: when learning starts: actions that are no list of prompts, an algorithm of unknown probabilities, or
            a recorder that is not around the training environment.
    """

    def __init__(self, recorder: RecordBanditDataset | RecordBanditDatasetVector) -> None:
        super().__init__()
        self.recorder = recorder

    def _on_training_start(self) -> None:
        self._before = self.recorder.n_recorded
        if not isinstance(self.model.action_space, spaces.Discrete):
            raise ValueError(
                f"model: expected Discrete actions (action_mode='index'), got {self.model.action_space}, whose "
                "densities are no probabilities of prompts"
            )
        if not (hasattr(self.model, "rollout_buffer") or hasattr(self.model, "exploration_rate")):
            raise ValueError(f"model: expected PPO, A2C, MaskablePPO or DQN, got {type(self.model).__name__}")

    def _on_step(self) -> bool:
        n = self.model.n_envs
        recorded = self.recorder.n_recorded
        if recorded != self._before + n:
            raise ValueError(
                f"recorder: expected {n} new rounds after a step of {n} places, got {recorded - self._before}; it "
                "has to be around the training environment"
            )
        self._before = recorded
        propensity, step = self._propensity(), self.num_timesteps // n - 1
        if isinstance(self.recorder, RecordBanditDatasetVector):
            self.recorder.annotate(propensity=propensity, step=np.full(n, step))
        else:
            self.recorder.annotate(propensity=float(propensity[0]), step=step)
        return True

    def _propensity(self) -> FloatArray:
        if "log_probs" in self.locals:
            log_prob = self.locals["log_probs"].detach().cpu().numpy().astype(np.float64).reshape(-1)
            return np.asarray(np.minimum(np.exp(log_prob), 1))
        return epsilon_greedy_propensity(self.model, self.locals["actions"])


def epsilon_greedy_propensity(model: Any, action: Any) -> FloatArray:
    """(n,) the probability that a DQN took the actions (n,) with, asked in a callback right after the step."""
    n_actions = int(model.action_space.n)
    if model.num_timesteps - model.n_envs < model.learning_starts:  # as SB3 counts before a step
        return np.full(len(action), 1 / n_actions)
    greedy, _ = model.policy.predict(model._last_obs, deterministic=True)
    epsilon = float(model.exploration_rate)
    return np.asarray(epsilon / n_actions + (1 - epsilon) * (np.asarray(action) == greedy))
