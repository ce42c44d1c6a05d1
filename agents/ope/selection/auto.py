"""The automatic choice: between the reward model and the weighted rounds, by how much there is of either."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from prompt_bandits.types import FloatArray

from ..columns import Column, QLogged, QPolicy, Reward, Weight
from ..diagnostics import effective_rounds
from ..estimators.base import Named, ratio_terms
from .bias_belief import BiasBelief, believed_bias


@dataclass(frozen=True)
class Auto(Named):
    """A mixture of the direct method and a self-normalised doubly robust estimate, by how far each can be trusted.

    The weighted end, V₁ = β·mean(Σ_a π·q̂) + Σ w·(r − β·q̂) / Σ w, takes as much of the reward model, β in [0, 1], as
    makes it vary least: β = 0 is SNIPS, β = 1 is SNDR. The other end, V₀ = mean(Σ_a π·q̂) + mean(r − q̂), is the direct
    method, moved by the model's mean error on the log. V₁ − V₀ measures what V₀ gets wrong for this policy, with
    variance σ²·(1/m − 1/n), m being the effective rounds and σ² the variance of what the model leaves unexplained.
    Before looking, the error is taken to be about as large as the error of a mean over `model_rounds` rounds of the
    policy itself, with a Student's t shape, so that a bad model is found out. The estimate is V₀ and the part of
    V₁ − V₀ that is believed then: all of it where there are many effective rounds, little where there are few.

    Round values are spread so that their standard error holds what remains unknown of the model's error.

    In the spirit of MAGIC (Thomas and Brunskill, 2016), which mixes by estimated squared errors, and of optimistic
    shrinkage (Su et al., 2020), which shrinks each weight: here all weights are moved towards 1 by one number.

    Args:
        model_rounds: how many rounds of the policy itself the reward model is worth.
        freedom: of the t distribution.

    Raises:
        ValueError: numbers that are not positive.
    """

    model_rounds: float = 1.0
    freedom: float = 5.0
    short: ClassVar[str] = "auto"

    def __post_init__(self) -> None:
        for name in ("model_rounds", "freedom"):
            if not 0 < getattr(self, name) < np.inf:
                raise ValueError(f"{name}: expected a finite number > 0, got {getattr(self, name)}")

    def columns(self) -> Mapping[str, Column]:
        return {"weight": Weight(), "reward": Reward(), "q_logged": QLogged(), "q_policy": QPolicy()}

    def round_values(self, c: Mapping[str, FloatArray]) -> FloatArray:
        model, weighted = _model_terms(c), _weighted_terms(c)
        belief = self.belief(c)
        values = model + belief.share * (weighted - model)
        n = len(values)
        return _spread(values, float(model.var(ddof=1) / n + belief.variance) if n > 1 else 0.0)

    def belief(self, c: Mapping[str, FloatArray]) -> BiasBelief:
        """Which share of V₁ − V₀ is believed, and what remains unknown."""
        gap = float((_weighted_terms(c) - _model_terms(c)).mean())
        left = float((c["reward"] - model_share(c) * c["q_logged"]).var())
        if left == 0:
            return BiasBelief(1.0, 0.0)
        n, m = len(c["weight"]), effective_rounds(c["weight"])
        noise = left * max(1 / m - 1 / n, 1e-12) if m > 0 else np.inf
        return believed_bias(gap, noise, left / self.model_rounds, self.freedom)

    def weights(self, c: Mapping[str, FloatArray]) -> FloatArray:
        """Before anything is done to them: they say how many rounds speak of the policy."""
        return c["weight"]


def model_share(c: Mapping[str, FloatArray]) -> float:
    """β in [0, 1], how much of the reward model makes the self-normalised doubly robust estimate vary least."""
    base = ratio_terms(c["weight"], c["reward"])
    added = c["q_policy"] - ratio_terms(c["weight"], c["q_logged"])
    base, added = base - base.mean(), added - added.mean()
    spread = float((added**2).mean())
    return float(np.clip(-(base * added).mean() / spread, 0.0, 1.0)) if spread > 0 else 1.0


def _weighted_terms(c: Mapping[str, FloatArray]) -> FloatArray:
    """Of V₁, (n,)."""
    beta = model_share(c)
    return beta * c["q_policy"] + ratio_terms(c["weight"], c["reward"] - beta * c["q_logged"])


def _model_terms(c: Mapping[str, FloatArray]) -> FloatArray:
    """Of V₀, (n,)."""
    return c["q_policy"] + c["reward"] - c["q_logged"]


def _spread(values: FloatArray, variance: float) -> FloatArray:
    """The values moved away from their mean, which stays, until the mean's estimated variance is at least this."""
    own = float(values.var(ddof=1) / len(values)) if len(values) > 1 else 0.0
    if not 0 < own < variance:
        return values
    mean = float(values.mean())
    return np.asarray(mean + (values - mean) * np.sqrt(variance / own))
