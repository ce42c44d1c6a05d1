"""A table small enough to work out every estimate by hand."""

from __future__ import annotations

import numpy as np

from prompt_bandits import BanditDataset
from prompt_bandits.policies import Logits, Softmax
from prompt_bandits.types import FloatArray

POLICY = Softmax(Logits(np.log([0.2, 0.8])))
"""π = (0.2, 0.8), whatever the context."""


def three_rounds() -> BanditDataset:
    """round   a   r   π0(a)   w under POLICY   q̂ = a
    0       0   1   0.5     0.4              0
    1       1   2   0.5     1.6              1
    2       1   5   0.2     4                1
    """
    return BanditDataset.from_arrays(
        np.zeros((3, 1)),
        np.array([0, 1, 1]),
        np.array([1.0, 2.0, 5.0]),
        prompts=2,
        propensity=np.array([0.5, 0.5, 0.2]),
    )


class ByPrompt:
    """q̂(x, a) = a: Σ_a π·q̂ = 0.8 under POLICY."""

    def scores(self, obs) -> FloatArray:
        return np.tile(np.arange(obs.n_actions, dtype=float), (len(obs), 1))

    def predict(self, obs, action) -> FloatArray:
        return action.astype(float)


class Zero(ByPrompt):
    """q̂ = 0."""

    def scores(self, obs) -> FloatArray:
        return np.zeros((len(obs), obs.n_actions))
