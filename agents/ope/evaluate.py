"""What a policy would have earned: every estimator in one pass over the logged rounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_bandits.datasets import BanditDataset
from prompt_bandits.types import Estimate, FloatArray

from ..protocols import Density, LoggedData, QFunction, SamplesOutputs
from .columns import Column, Columns, Reward, UnsupportedMass, Weight, columns_of
from .diagnostics import Diagnostics, Weights, mean_weight
from .estimators import DM, DR, IPS, Estimator
from .estimators.base import BoundsRoundValues, Weighs
from .models import EstimatedPropensities, Fitter, Models
from .policies import PolicyLike, as_policy, policy_name
from .refusing import Refused
from .results import Evaluation, Result

if TYPE_CHECKING:
    from ..pair_models import OutputReward
    from ..reward_training import RewardTraining
    from .intervals import Interval

DEFAULT: tuple[Estimator, ...] = (IPS(), DM(), DR())


def evaluate(
    policy: PolicyLike,
    data: LoggedData | str | Path,
    estimators: Sequence[Estimator] | None = None,
    *,
    q_hat: QFunction | None = None,
    r_hat: OutputReward | None = None,
    density: Density | None = None,
    simulator: SamplesOutputs | None = None,
    models: Models | None = None,
    propensities: str = "logged",
    training: RewardTraining | None = None,
    folds: int = 5,
    seed: int = 0,
    level: float = 0.95,
    interval: str = "student_t",
    reward_range: tuple[float, float] | None = None,
    memory_mb: int = 256,
    name: str | None = None,
    progress: bool = True,
) -> Evaluation:
    """Estimates a policy's value, with intervals and diagnostics.

    Models that are not given are fitted to the rounds and cross-fitted: each round is judged by one that has not seen
    it. An estimator that can say nothing is refused with its reason; the others go on.

    Args:
        policy: a policy, the folder of one, or an array (n, |A|) or (n, |A|, 1) of its probabilities in the rounds.
        data: logged rounds, or their folder, which is read a part at a time.
        estimators: which; a choice of them unless told.
        q_hat: a reward model by action, which has not seen the rounds.
        r_hat: a reward model by output, likewise.
        density: of outputs under the logging policy.
        simulator: sampling rights on the LLM.
        models: those of another evaluation of the same rounds, `Evaluation.models`, in place of these four.
        propensities: "logged", or "estimated" from the rounds.
        training: of reward models that are fitted.
        folds: of cross-fitting.
        seed: of all that is fitted and drawn.
        level: of the intervals.
        interval: their method, a key of `intervals.METHODS`.
        reward_range: the lowest and highest possible reward, for methods that need bounds.
        memory_mb: about what rounds may take in memory at a time.
        name: of the policy.
        progress: show a bar where it takes long.

    Raises:
        FileNotFoundError: a folder with nothing in it.
        ValueError: fewer than two rounds, two estimators of one name, an array of another shape, rows of probabilities
            that do not sum to 1, rewards that are not finite, propensities outside (0, 1], or a setting out of range.
    """
    rounds = BanditDataset.open(data) if isinstance(data, (str, Path)) else data
    asked = DEFAULT if estimators is None else tuple(estimators)
    _check(rounds, asked, propensities, level)
    judged = as_policy(policy, len(rounds), rounds.n_actions)
    given = models or Models(q_hat=q_hat, r_hat=r_hat, density=density, simulator=simulator)
    fitter = Fitter(rounds, judged, given, folds=folds, seed=seed, memory_mb=memory_mb, training=training)
    if propensities == "estimated" and fitter.models.propensity is None:
        fitter.models = replace(fitter.models, propensity=fitter.get(EstimatedPropensities()))
    refused = {one.name: why for one in asked if (why := _refusal(one, fitter)) is not None}
    wanted = _wanted(asked, refused, fitter)
    columns = columns_of(rounds, judged, wanted, fitter.models, memory_mb=memory_mb, progress=progress)
    told = _Telling(columns, level, interval, reward_range, seed)
    results = [
        Result(one.name, refused=refused[one.name]) if one.name in refused else told.result(one) for one in asked
    ]
    return Evaluation(
        name or policy_name(policy),
        tuple(results),
        columns[Reward()],
        fitter.models.for_other_policies(),
        level,
        interval,
        seed,
    )


def _check(data: LoggedData, estimators: Sequence[Estimator], propensities: str, level: float) -> None:
    if len(data) < 2:
        raise ValueError(f"data: expected at least two rounds, got {len(data)}")
    names = [one.name for one in estimators]
    if not names:
        raise ValueError("estimators: expected at least one, got none")
    if len(set(names)) < len(names):
        raise ValueError(f"estimators: expected one of each name, got {', '.join(names)}")
    if propensities not in ("logged", "estimated"):
        raise ValueError(f"propensities: expected 'logged' or 'estimated', got {propensities!r}")
    if not 0 < level < 1:
        raise ValueError(f"level: expected in (0, 1), got {level}")


def _refusal(estimator: Estimator, fitter: Fitter) -> str | None:
    """Why there is no estimate, whose models are fitted otherwise."""
    columns = estimator.columns().values()
    for column in columns:
        if (why := column.refusal(fitter.data, fitter.models)) is not None:
            return why
    try:
        for column in columns:
            for spec in column.needs:
                fitter.get(spec)
    except ValueError as error:
        return str(error)
    return None


def _wanted(asked: Iterable[Estimator], refused: Mapping[str, str], fitter: Fitter) -> list[Column]:
    """The columns of those that are not refused, and of the diagnostics."""
    beside = [one for one in (Weight(), UnsupportedMass()) if one.refusal(fitter.data, fitter.models) is None]
    own = [column for one in asked if one.name not in refused for column in one.columns().values()]
    return [Reward(), *beside, *own]


class _Telling:
    """Estimates, intervals and diagnostics from columns."""

    def __init__(
        self, columns: Columns, level: float, method: str, reward_range: tuple[float, float] | None, seed: int
    ) -> None:
        self.columns, self.level, self.method = columns, level, method
        self.reward_range, self.seed = reward_range, seed
        unsupported = columns.get(UnsupportedMass())
        self.unsupported = None if unsupported is None else float(unsupported.mean())
        self.unlogged = float(columns.policy_mass[columns.logged_count == 0].sum())

    def result(self, estimator: Estimator) -> Result:
        c = {name: self.columns[column] for name, column in estimator.columns().items()}
        try:
            values = estimator.round_values(c)
            found, within = self._diagnostics(estimator, c, values)
        except Refused as error:
            return Result(estimator.name, refused=str(error))
        assert values.shape == c[next(iter(c))].shape
        estimate = Estimate.from_terms(values)
        return Result(estimator.name, estimate.value, estimate.se, within, found, found.warnings(), round_values=values)

    def _diagnostics(
        self, estimator: Estimator, c: Mapping[str, FloatArray], values: FloatArray
    ) -> tuple[Diagnostics, Interval]:
        weights = mean = inside = None
        if isinstance(estimator, Weighs):
            used = estimator.weights(c)
            if not used.any() and not values.any():
                raise Refused("the policy takes none of the logged actions, so that the log says nothing of it")
            weights = Weights.of(used)
            if "weight" in c:
                mean, inside = mean_weight(c["weight"], self.level)
        found = Diagnostics(len(values), weights, mean, inside, self.unsupported, self.unlogged)
        return found, self._interval(estimator, c, values)

    def _interval(self, estimator: Estimator, c: Mapping[str, FloatArray], values: FloatArray) -> Interval:
        from .intervals import interval

        bounds = None
        if self.reward_range is not None and isinstance(estimator, BoundsRoundValues):
            bounds = estimator.bounds(c, self.reward_range)
        return interval(values, self.method, self.level, bounds, self.seed)
