"""Trials, and what they come to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from prompt_bandits.types import Estimate, FloatArray

from . import metrics
from .trials import Trial, numbers, said


class Cell(NamedTuple):
    """One estimator's judgement of one policy from so many rounds."""

    n: int
    n_actions: int
    policy: str
    estimator: str


@dataclass(frozen=True)
class Errors:
    """Of an estimator in a cell, over datasets; `se` of each is over datasets, or over worlds where there are several.

    None where it always refused.
    """

    cell: Cell
    n_said: int  # datasets from which it gave an estimate
    n_refused: int
    mse: Estimate | None
    bias: Estimate | None  # mean error
    variance: float | None  # of the errors: mse − bias²
    relative_error: Estimate | None
    coverage: Estimate | None  # of the intervals
    width: Estimate | None
    believed: float | None  # share of the estimates that nothing grave spoke against


class Field(NamedTuple):
    """All policies as one estimator sees them from so many rounds."""

    n: int
    n_actions: int
    estimator: str


@dataclass(frozen=True)
class Choices:
    """What choosing among the policies by an estimator comes to, mean ± s.e. as of `Errors`; None where it is not
    defined in any dataset.
    """

    field: Field
    k: int
    threshold: float | None  # of a safe policy; None: the logging policy's value
    n_said: int  # datasets in which it gave an estimate of every policy
    rank_correlation: Estimate | None
    regret_sum: Estimate | None
    regret_best: Estimate | None
    sharpe_ratio: Estimate | None
    type_1: Estimate | None  # safe policies that its estimates call unsafe
    type_2: Estimate | None  # unsafe policies that its estimates call safe


@dataclass(frozen=True, eq=False)
class Judgement:
    """What estimators said beside what is true; a table when printed."""

    trials: tuple[Trial, ...]

    def __add__(self, other: Judgement) -> Judgement:
        """Both together, say of several worlds."""
        return Judgement((*self.trials, *other.trials))

    def errors(self) -> list[Errors]:
        """A row a (n, |A|, policy, estimator), in the order in which they first came."""
        groups = defaultdict[Cell, list[Trial]](list)
        for one in self.trials:
            groups[Cell(one.n, one.n_actions, one.policy, one.estimator)].append(one)
        return [_errors(cell, own) for cell, own in groups.items()]

    def choices(self, k: int = 1, threshold: float | None = None) -> list[Choices]:
        """A row a (n, |A|, estimator).

        Args:
            k: policies that are chosen.
            threshold: the least value of a safe policy; the logging policy's value unless given.

        Raises:
            ValueError: k is not in 1 … number of policies.
        """
        groups = defaultdict[Field, dict[tuple[int, int], list[Trial]]](lambda: defaultdict(list))
        for one in self.trials:
            groups[Field(one.n, one.n_actions, one.estimator)][one.world, one.dataset].append(one)
        return [_choices(field, list(own.values()), k, threshold) for field, own in groups.items()]

    def __str__(self) -> str:
        from .tables import errors_text

        return errors_text(self.errors())


def _errors(cell: Cell, trials: Sequence[Trial]) -> Errors:
    own = said(trials)
    refused = len(trials) - len(own)
    if not own:
        return Errors(cell, 0, refused, None, None, None, None, None, None, None)
    value, truth = numbers(own, "value"), numbers(own, "truth")
    worlds = [one.world for one in own]
    error = value - truth
    within = [one for one in own if one.covers is not None]
    return Errors(
        cell,
        len(own),
        refused,
        mse=mean_over_worlds(metrics.squared_errors(value, truth), worlds),
        bias=mean_over_worlds(error, worlds),
        variance=float(error.var()),
        relative_error=mean_over_worlds(metrics.relative_errors(value, truth), worlds),
        coverage=_mean(within, lambda one: float(bool(one.covers))),
        width=_mean(within, lambda one: float(one.high or 0.0) - float(one.low or 0.0)),
        believed=float(np.mean([bool(one.believable) for one in own])),
    )


def _mean(trials: Sequence[Trial], number: Callable[[Trial], float]) -> Estimate | None:
    if not trials:
        return None
    return mean_over_worlds(np.array([number(one) for one in trials]), [one.world for one in trials])


def _choices(field: Field, datasets: Sequence[Sequence[Trial]], k: int, threshold: float | None) -> Choices:
    whole = [own for own in datasets if len(said(own)) == len(own)]
    found = defaultdict[str, list[tuple[int, float]]](list)
    for own in whole:
        for name, number in _of_dataset(own, k, threshold).items():
            if number is not None:
                found[name].append((own[0].world, number))
    means = {name: _mean_of_pairs(found[name]) for name in _MEASURES}
    return Choices(field, k, threshold, len(whole), **means)


_MEASURES = ("rank_correlation", "regret_sum", "regret_best", "sharpe_ratio", "type_1", "type_2")


def _of_dataset(own: Sequence[Trial], k: int, threshold: float | None) -> dict[str, float | None]:
    """The measures of one estimator in one dataset."""
    value, truth, logged = numbers(own, "value"), numbers(own, "truth"), own[0].logged
    least = logged if threshold is None else threshold
    return {
        "rank_correlation": metrics.rank_correlation(value, truth),
        "regret_sum": metrics.regret_sum(value, truth, k),
        "regret_best": metrics.regret_best(value, truth, k),
        "sharpe_ratio": metrics.sharpe_ratio(value, truth, logged, k),
        "type_1": metrics.false_alarms(value, truth, least),
        "type_2": metrics.missed_alarms(value, truth, least),
    }


def _mean_of_pairs(pairs: Sequence[tuple[int, float]]) -> Estimate | None:
    if not pairs:
        return None
    return mean_over_worlds(np.array([number for _, number in pairs]), [world for world, _ in pairs])


def mean_over_worlds(values: FloatArray, worlds: Iterable[int]) -> Estimate:
    """The mean of (m,) and its standard error over datasets, which are independent in one world; over the worlds' means
    where there are several, whose datasets share what is particular to a world.
    """
    groups = defaultdict[int, list[float]](list)
    for value, world in zip(values, worlds, strict=True):
        groups[world].append(float(value))
    if len(groups) == 1:
        return Estimate.from_terms(np.asarray(values, np.float64))
    return Estimate.from_terms(np.array([np.mean(own) for own in groups.values()]))
