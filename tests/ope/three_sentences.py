"""Three rounds with sentences, small enough to work out every estimate by hand."""

from __future__ import annotations

import numpy as np

from agents.ope.policies import ActionDist
from agents.output_model import OutputModel
from prompt_bandits import BanditDataset
from prompt_bandits.types import FloatArray, Output, Prompts

POLICY = np.tile([0.2, 0.3, 0.5], (3, 1))
"""π in each of the rounds."""
LOGGING = np.array([[0.5, 0.25, 0.25], [0.2, 0.2, 0.6], [0.1, 0.4, 0.5]])
"""π0, likewise."""
WRITES = np.array([0.0, 1.0, 3.0])
"""What the LLM writes for a prompt, a number, always the same."""


class ByContext:
    """The policy of these rows, by the number that the context is."""

    def __init__(self, dist: FloatArray) -> None:
        self.dist = dist

    def action_dist(self, obs) -> FloatArray:
        return self.dist[obs.context[:, 0].astype(int)]


def three_sentences(written: FloatArray = WRITES) -> BanditDataset:
    """round   a   e_a   r   π0(a)   π(a)   w    q̂ = a   φ(s)
    0       0   0     1   0.5     0.2    0.4  0       0
    1       1   0     2   0.2     0.3    1.5  1       1
    2       2   1     5   0.5     0.5    1    2       3
    """
    return BanditDataset.from_arrays(
        np.arange(3.0)[:, None],
        np.array([0, 1, 2]),
        np.array([1.0, 2.0, 5.0]),
        prompts=Prompts.from_embedding(np.array([[0.0], [0.0], [1.0]])),
        propensity=np.array([0.5, 0.2, 0.5]),
        output=np.asarray(written, dtype=np.float32)[:, None],
        policies=(ByContext(LOGGING),),
    )


def with_all(policy: FloatArray) -> ActionDist:
    """The policy of these probabilities, in every round."""
    return ActionDist(np.tile(policy, (3, 1)))


class Writes:
    """An LLM whose sentences tell the prompt."""

    def respond(self, obs, action, rounds) -> Output:
        return Output(WRITES[action][:, None].astype(np.float32))


def model_of_outputs() -> OutputModel:
    """φ = WRITES[a] ± 1."""
    return OutputModel(
        shift=np.zeros((1, 1)),
        effect=WRITES[:, None],
        interaction=np.zeros((1, 0, 1)),
        center=np.zeros(1),
        prompts=np.array([[0.0], [0.0], [1.0]], dtype=np.float32),
        residuals=np.array([[1.0], [-1.0]]),
        r_squared=0.9,
        known=np.zeros((0, 1)),
        deviation=np.zeros((0, 3, 1)),
    )


class Likes:
    """r̂(x, s) = 2·φ(s)_1 + 1, or with other numbers."""

    def __init__(self, slope: float = 2.0, intercept: float = 1.0, dim: int = 1) -> None:
        self.slope, self.intercept, self.dim = slope, intercept, dim

    def predict(self, obs, output) -> FloatArray:
        return self.slope * output[:, 0].astype(float) + self.intercept

    def affine(self, obs) -> tuple[FloatArray, FloatArray]:
        slope = np.zeros((len(obs), self.dim))
        slope[:, 0] = self.slope
        return np.full(len(obs), self.intercept), slope
