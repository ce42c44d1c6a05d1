"""What a policy would have earned: every estimator in one pass over the logged rounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_bandits.datasets import BanditDataset

from ..protocols import Density, LoggedData, QFunction, SamplesOutputs
from .columns import Column, QLogged, QPolicy, Reward, UnsupportedMass, Weight, columns_of
from .estimators import DM, DR, IPS, SNIPS, Estimator
from .models import EstimatedPropensities, Fitter, Models
from .policies import PolicyLike, as_policy, policy_name
from .propensity_check import check_propensities
from .results import Evaluation, Result
from .telling import Asked, Telling

if TYPE_CHECKING:
    from ..pair_models import OutputReward
    from ..propensity import PropensityTraining
    from ..reward_training import RewardTraining

DEFAULT: tuple[Estimator, ...] = (IPS(), SNIPS(), DM(), DR())


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
    propensity_training: PropensityTraining | None = None,
    folds: int = 5,
    seed: int = 0,
    level: float = 0.95,
    interval: str = "student_t",
    reward_range: tuple[float, float] | None = None,
    largest_weight: float | None = None,
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
        propensity_training: of propensities that are estimated.
        folds: of cross-fitting.
        seed: of all that is fitted and drawn.
        level: of the intervals.
        interval: their method, a key of `intervals.METHODS`.
        reward_range: the lowest and highest possible reward, for methods that need bounds.
        largest_weight: the largest possible importance weight, 1 over the logging policy's smallest probability, for
            methods that need bounds.
        memory_mb: about what rounds may take in memory at a time.
        name: of the policy.
        progress: show a bar where it takes long.

    Raises:
        FileNotFoundError: a folder with nothing in it.
        ValueError: fewer than two rounds, two estimators of one name, an array of another shape, rows of probabilities
            that do not sum to 1, rewards that are not finite, propensities outside (0, 1], or a setting out of range.
    """
    rounds = BanditDataset.open(data) if isinstance(data, (str, Path)) else data
    chosen = DEFAULT if estimators is None else tuple(estimators)
    asked = Asked(level, interval, reward_range, largest_weight, seed)
    asked.check()
    _check(rounds, chosen, propensities)
    judged = as_policy(policy, len(rounds), rounds.n_actions)
    given = models or Models(q_hat=q_hat, r_hat=r_hat, density=density, simulator=simulator)
    fitter = Fitter(
        rounds,
        judged,
        given,
        folds=folds,
        seed=seed,
        memory_mb=memory_mb,
        training=training,
        propensity_training=propensity_training,
    )
    _set_propensities(fitter, propensities)
    refused = {one.name: why for one in chosen if (why := _refusal(one, fitter)) is not None}
    wanted = _wanted([one for one in chosen if one.name not in refused], fitter)
    columns = columns_of(rounds, judged, wanted, fitter.models, memory_mb=memory_mb, progress=progress)
    check = check_propensities(rounds, fitter.models, seed)
    told = Telling(columns, asked, check, propensities == "estimated")
    results = [
        Result(one.name, refused=refused[one.name]) if one.name in refused else told.result(one) for one in chosen
    ]
    title = name or policy_name(policy)
    kept = fitter.models.for_other_policies()
    return Evaluation(title, tuple(results), columns[Reward()], kept, level, interval, seed, asked.reward_range)


def _set_propensities(fitter: Fitter, propensities: str) -> None:
    """Estimates them, or sees to it that the logged ones are used."""
    model = None
    if propensities == "estimated":
        model = fitter.models.propensity or fitter.get(EstimatedPropensities())
    fitter.models = replace(fitter.models, propensity=model)


def _check(data: LoggedData, estimators: Sequence[Estimator], propensities: str) -> None:
    if len(data) < 2:
        raise ValueError(f"data: expected at least two rounds, got {len(data)}")
    for one in estimators:
        if isinstance(one, type):
            raise ValueError(f"estimators: expected one such as {one.__name__}(), got the class {one.__name__}")
    names = [one.name for one in estimators]
    if not names:
        raise ValueError("estimators: expected at least one, got none")
    if len(set(names)) < len(names):
        raise ValueError(f"estimators: expected one of each name, got {', '.join(names)}")
    if propensities not in ("logged", "estimated"):
        raise ValueError(f"propensities: expected 'logged' or 'estimated', got {propensities!r}")


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


def _wanted(asked: Sequence[Estimator], fitter: Fitter) -> list[Column]:
    """The columns of these estimators, and those that are looked at beside them."""
    own = [column for one in asked for column in one.columns().values()]
    loggers = {column.loggers for column in own if isinstance(column, Weight)} | {"naive"}
    possible: list[Column] = [Weight(), *(UnsupportedMass(one) for one in sorted(loggers))]
    models = [QLogged(column.model) for column in own if isinstance(column, QPolicy)]
    return [Reward(), *(one for one in possible if one.refusal(fitter.data, fitter.models) is None), *own, *models]
