"""Rounds of several logging policies, those counted more whose rounds say more of the policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from prompt_bandits.types import FloatArray, IntArray

from ..columns import Column, Logger
from .doubly_robust import SNDR
from .weighting import SNIPS, Weighting


@dataclass(frozen=True)
class WeightedLoggers:
    """The estimates from each logger's rounds, averaged by the inverse of their variances (weighted IPS of
    Agarwal et al., 2017).

    Of the estimators here that are plain means: those that normalise themselves are refused.

    Raises:
        ValueError: a self-normalised estimator, or none of this family.
    """

    base: Weighting

    def __post_init__(self) -> None:
        if not isinstance(self.base, Weighting) or isinstance(self.base, (SNIPS, SNDR)):
            raise ValueError(f"base: expected IPS, DR or a relative that does not normalise itself, got {self.base!r}")

    @property
    def name(self) -> str:
        return f"weighted-loggers[{self.base.name}]"

    def columns(self) -> Mapping[str, Column]:
        return {**self.base.columns(), "logger": Logger()}

    def weights(self, c: Mapping[str, FloatArray]) -> FloatArray:
        return self.base.weights(c) * self._share(c)

    def round_values(self, c: Mapping[str, FloatArray]) -> FloatArray:
        terms, share = self.base.round_values(c), self._share(c)
        value = float((share * terms).mean())
        return np.asarray(value + share * (terms - value))

    def _share(self, c: Mapping[str, FloatArray]) -> FloatArray:
        return precision_shares(self.base.round_values(c), c["logger"].astype(np.int64))


def precision_shares(terms: FloatArray, logger: IntArray) -> FloatArray:
    """How much each round counts, (n,) with mean 1: 1 / Var(terms of its logger), normalised.

    A logger whose terms are all the same gets the variance of all rounds: that its rounds happen to say 0 is no
    certainty.
    """
    assert terms.shape == logger.shape
    count = np.bincount(logger)
    known = np.maximum(count, 1)
    mean = np.bincount(logger, terms) / known
    variance = np.bincount(logger, (terms - mean[logger]) ** 2) / known
    variance = np.where(variance > 0, variance, terms.var())
    if not (variance[count > 0] > 0).all():
        return np.ones(len(terms))
    precision = 1 / np.where(variance > 0, variance, 1)
    return np.asarray(precision[logger] * len(terms) / (count * precision).sum())
