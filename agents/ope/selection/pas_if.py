"""PAS-IF: estimators are tried on pseudo policies inside the log, whose truth the log knows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from prompt_bandits.datasets import BanditDataset
from prompt_bandits.progress import progress_bar
from prompt_bandits.rounds import named_generator
from prompt_bandits.types import Estimate, FloatArray, IntArray

from ..chunk import chunks_of
from ..estimators.base import Estimator
from ..models import Models
from ..policies import PolicyLike, as_policy
from .choices import EstimatorChoice
from .pseudo_policies import PseudoPolicies, Tables, fit_rule, pseudo_policies
from .several import check_candidates

if TYPE_CHECKING:
    from ...reward_training import RewardTraining

_BYTES = 5 * 8  # of tables at a time


def pas_if(
    policy: PolicyLike,
    data: BanditDataset,
    estimators: Sequence[Estimator],
    *,
    models: Models | None = None,
    share: float = 0.2,
    splits: int = 10,
    training: RewardTraining | None = None,
    folds: int = 2,
    seed: int = 0,
    memory_mb: int = 1024,
    progress: bool = True,
) -> EstimatorChoice:
    """The estimator with the least squared error on a pseudo policy that is to its pseudo logger as the policy is to
    the logging policy (policy-adaptive estimator selection by importance fitting, Udagawa et al., 2023).

    Each split draws rounds for the pseudo policy, whose mean reward is the truth, and lets the estimators see the other
    rounds only. Contexts are not drawn alike for the two, so the truth is weighted by (1 − p(x))/p(x). The noise of
    that truth is in every loss, the same for all.

    Args:
        policy: see `evaluate`.
        data: rounds whose logging policy is carried along.
        estimators: of any class.
        models: shared by all splits: quick, but a reward model that has seen the rounds of the truth flatters those
            that rest on it. Fitted to each split's own rounds unless given.
        share: of the rounds that are drawn.
        splits: how many.
        training: of reward models that are fitted.
        folds: of cross-fitting.
        seed: of splits and fits.
        memory_mb: what tables of n × |A| may take.
        progress: show a bar.

    Raises:
        ValueError: no logging policy, no estimators, two of one name, a setting out of range, tables that are too
            large, no overlap of the policies, or no estimator that says something.
    """
    from ..evaluate import evaluate

    check_candidates(estimators)
    if splits < 2:
        raise ValueError(f"splits: expected >= 2, got {splits}")
    tables = _tables(policy, data, memory_mb)
    pseudo = pseudo_policies(tables, fit_rule(tables, share))
    trials: dict[str, list[float]] = {one.name: [] for one in estimators}
    refused: dict[str, str] = {}
    options: dict[str, Any] = {"models": models, "training": training, "folds": folds}
    with progress_bar(splits, "pas-if", progress) as bar:
        for split, trial in enumerate(_trials(data, pseudo, splits, seed)):
            found = evaluate(trial.policy, trial.data, estimators, seed=seed + split, progress=False, **options)
            for one in found.results:
                if one.value is None:
                    refused[one.name] = str(one.refused)
                else:
                    trials[one.name].append((one.value - trial.truth) ** 2)
            bar.update(1)
    losses = {name: Estimate.from_terms(np.array(own)) for name, own in trials.items() if name not in refused}
    if not losses:
        raise ValueError(f"estimators: expected one that is not refused, got {refused}")
    best = min(losses, key=lambda name: losses[name].value)
    return EstimatorChoice(next(one for one in estimators if one.name == best), losses, refused)


def _tables(policy: PolicyLike, data: BanditDataset, memory_mb: int) -> Tables:
    """π and π0 over all rounds."""
    data.require_logging_policies()
    needed = len(data) * data.n_actions * _BYTES >> 20
    if needed > memory_mb:
        raise ValueError(
            f"memory_mb: {len(data):,} rounds of {data.n_actions:,} prompts take {needed} MB, allowed are {memory_mb}; "
            "allow more, or take some of the rounds"
        )
    chunks = list(chunks_of(data, as_policy(policy, len(data), data.n_actions), Models(), memory_mb))
    dist = np.concatenate([np.asarray(chunk.action_dist, np.float64) for chunk in chunks])
    return Tables(dist, np.concatenate([chunk.rows.logging_dist() for chunk in chunks]), data.action)


@dataclass(frozen=True, eq=False)
class _Trial:
    policy: FloatArray  # (k, |A|) π̃ in the rounds that estimators see
    data: BanditDataset  # those k rounds
    truth: float  # the mean reward of π̃ in the others


def _trials(data: BanditDataset, pseudo: PseudoPolicies, splits: int, seed: int) -> Iterator[_Trial]:
    for split in range(splits):
        drawn = named_generator(seed, f"pas-if/{split}").random(len(data)) < pseudo.drawn
        seen, apart = np.flatnonzero(~drawn), np.flatnonzero(drawn)
        if len(seen) < 2 or not len(apart):
            raise ValueError(f"share: expected rounds on both sides, got {len(apart)} drawn of {len(data)}")
        rounds = replace(data.take(seen), propensity=pseudo.propensity[seen], policies=(), policy_id=None)
        yield _Trial(pseudo.target[seen], rounds, _truth(data, pseudo.marginal, apart))


def _truth(data: BanditDataset, marginal: FloatArray, apart: IntArray) -> float:
    """The pseudo policy's mean reward over contexts as estimators see them."""
    weight = (1 - marginal[apart]) / marginal[apart]
    return float((weight * data.reward[apart]).sum() / weight.sum())
