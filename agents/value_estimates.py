"""What a policy would have earned, estimated from logged rounds: the few estimates that model selection uses."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from prompt_bandits.acting import predicted_value, prob
from prompt_bandits.datasets import BanditDataset
from prompt_bandits.protocols import Policy
from prompt_bandits.types import Estimate, FloatArray

from .all_rounds import in_parts
from .cross_fitting import logged_predictions, unseen_models
from .protocols import LoggedData, QFunction
from .weights import check_clip


def ips_value(policy: Policy, data: LoggedData, clip: float | None = None) -> Estimate:
    """mean(w·r) with w = π(a_i|x_i) / π0(a_i|x_i), at most `clip` (Horvitz and Thompson, 1952).

    Unbiased without a clip, where the logging policy takes every prompt that the policy takes.

    Raises:
        ValueError: the propensities are unknown, or a clip that leaves no weight.
    """
    return Estimate.from_terms(_joined(_weight(policy, rows, clip) * rows.reward for rows in in_parts(data)))


def snips_value(policy: Policy, data: LoggedData, clip: float | None = None) -> Estimate:
    """Σ w·r / Σ w, whose error does not grow with the level of the rewards (Swaminathan and Joachims, 2015).

    The standard error is the delta method's, that of mean(w·(r − v) / mean(w)). It is too small where few rounds bear
    most of the weight: look at `effective_rounds` too.

    Raises:
        ValueError: the policy takes none of the logged actions, or as `ips_value`.
    """
    weight = _joined(_weight(policy, rows, clip) for rows in in_parts(data))
    reward = _joined(rows.reward for rows in in_parts(data))
    if not weight.any():
        raise ValueError("weight: expected a policy that takes some of the logged actions, got 0 in every round")
    weight = weight / weight.mean()
    value = float((weight * reward).mean())
    return Estimate(value, Estimate.from_terms(weight * (reward - value)).se, len(weight))


def dm_value(policy: Policy, data: LoggedData, q_hat: QFunction) -> Estimate:
    """mean_i Σ_a π(a|x_i)·q̂(x_i, a), the direct method: as good as the reward model, which its error does not know.

    Needs neither propensities nor rewards. Of a cross-fitted model, each round gets the one that has not seen it.
    """
    return Estimate.from_terms(_joined(_predicted(policy, rows, q_hat) for rows in in_parts(data)))


def dr_value(policy: Policy, data: LoggedData, q_hat: QFunction, clip: float | None = None) -> Estimate:
    """The direct method plus mean(w·(r − q̂(x_i, a_i))), doubly robust (Dudík et al., 2011).

    Without a clip it is unbiased if the propensities or the reward model are true, given a model that has not seen
    the rounds: one fitted on others, or a cross-fitted one.

    Raises:
        ValueError: as `ips_value`.
    """

    def terms(rows: BanditDataset) -> FloatArray:
        residual = rows.reward - logged_predictions(q_hat, rows)
        return _predicted(policy, rows, q_hat) + _weight(policy, rows, clip) * residual

    return Estimate.from_terms(_joined(terms(rows) for rows in in_parts(data)))


def effective_rounds(policy: Policy, data: LoggedData) -> float:
    """(Σw)² / Σw², how many rounds an importance-weighted estimate rests on; 0 where all weights are.

    Raises:
        ValueError: the propensities are unknown.
    """
    weight = _joined(_weight(policy, rows, None) for rows in in_parts(data))
    return float(weight.sum() ** 2 / (weight**2).sum()) if weight.any() else 0.0


def _weight(policy: Policy, rows: BanditDataset, clip: float | None) -> FloatArray:
    """π(a_i|x_i) / π0(a_i|x_i), (n,)."""
    check_clip(clip)
    propensity = rows.require_propensity()
    weight = prob(policy, rows.obs, rows.action) / propensity
    return weight if clip is None else np.minimum(weight, clip)


def _predicted(policy: Policy, rows: BanditDataset, q_hat: QFunction) -> FloatArray:
    """Σ_a π(a|x_i)·q̂(x_i, a), (n,)."""
    out = np.empty(len(rows))
    for index, model in unseen_models(q_hat, rows):
        out[index] = predicted_value(policy, rows.obs.take(index), model)
    return out


def _joined(parts: Iterator[FloatArray]) -> FloatArray:
    return np.concatenate([np.asarray(part, dtype=np.float64) for part in parts])
