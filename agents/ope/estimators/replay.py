"""Rounds in which the logging policy did what the policy would have done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from prompt_bandits.types import FloatArray

from ..columns import Column, KnownPropensity, MostLikely, PolicyProb, Reward
from ..refusing import Refused
from .base import Named, ratio_terms

_CERTAIN = 1 - 1e-6
_APART = 1.01  # of the largest to the smallest propensity


@dataclass(frozen=True)
class Replay(Named):
    """The mean reward of rounds whose action is the policy's, which has to be deterministic (Li et al., 2011).

    Right only where the logging policy was uniform over the same number of prompts in every round. Needs no
    propensities.
    """

    short: ClassVar[str] = "replay"

    def columns(self) -> Mapping[str, Column]:
        return {
            "prob": PolicyProb(),
            "most_likely": MostLikely(),
            "reward": Reward(),
            "propensity": KnownPropensity(),
        }

    def weights(self, c: Mapping[str, FloatArray]) -> FloatArray:
        return np.where(c["prob"] >= _CERTAIN, 1.0, 0.0)

    def round_values(self, c: Mapping[str, FloatArray]) -> FloatArray:
        """Raises:
        Refused: a policy that is not deterministic.
        """
        least = float(c["most_likely"].min())
        if least < _CERTAIN:
            raise Refused(
                "replay needs a policy that takes one prompt with certainty; in some round the likeliest of this one "
                f"has probability {least:.3g}. Take IPS or SNIPS"
            )
        return ratio_terms(self.weights(c), c["reward"])

    def doubts(self, c: Mapping[str, FloatArray]) -> tuple[str, ...]:
        known = c["propensity"]
        if not known.all() or known.max() <= _APART * known.min():
            return ()
        return (
            "Replay counts every round alike, which is right only where the logging policy chose uniformly; these "
            f"propensities go from {known.min():.3g} to {known.max():.3g}. Take IPS or SNIPS.",
        )
