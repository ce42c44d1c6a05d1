"""What a callback hears of an online run."""

from __future__ import annotations

import numpy as np

from prompt_bandits.types import FloatArray

from ..protocols import Callback
from .protocols import GivesPolicy, OnlineLearner


class Listening:
    """Tells a callback the means since it last heard, about every `every` rounds."""

    def __init__(self, callback: Callback | None, every: int, learner: OnlineLearner) -> None:
        self._callback, self._every, self._learner = callback, every, learner
        self._step = 0
        self._reward, self._regret = list[FloatArray](), list[FloatArray]()

    def add(self, reward: FloatArray, regret: FloatArray | None) -> None:
        """The rounds of a batch."""
        if self._callback is None:
            return
        before, self._step = self._step, self._step + len(reward)
        self._reward.append(reward)
        if regret is not None:
            self._regret.append(regret)
        if self._step // self._every > before // self._every:
            self.flush()

    def flush(self) -> None:
        """Tells what is left."""
        if self._callback is None or not self._reward:
            return
        metrics = {"reward": float(np.concatenate(self._reward).mean())}
        if self._regret:
            metrics["regret"] = float(np.concatenate(self._regret).mean())
        policy = self._learner.policy() if isinstance(self._learner, GivesPolicy) else None
        self._callback(self._step, metrics, policy)
        self._reward, self._regret = [], []
