"""Estimators against the truth: many logs of one environment, every estimator on each, errors by the exact value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from prompt_bandits.collecting import Playable, collect
from prompt_bandits.progress import progress_bar
from prompt_bandits.protocols import Policy
from prompt_bandits.types import Estimate

from ..estimators.base import Estimator
from ..evaluate import evaluate
from ..results import Result
from .judgement import Judgement
from .trials import Trial

if TYPE_CHECKING:
    from prompt_bandits.datasets import BanditDataset

CONTEXTS = 100_000


class Environment(Protocol):
    """Plays rounds and knows true values, as a simulator does."""

    @property
    def n_actions(self) -> int: ...
    def policy_value(self, policy: Policy, n: int) -> Estimate: ...


@dataclass(frozen=True)
class Truths:
    """True values."""

    logged: Estimate  # of the logging policy
    policies: Mapping[str, Estimate]


def true_values(
    simulator: Environment, policies: Mapping[str, Policy], logging_policy: Policy, contexts: int = CONTEXTS
) -> Truths:
    """Means over so many contexts, which are apart from all logs."""
    values = {name: simulator.policy_value(policy, contexts) for name, policy in policies.items()}
    return Truths(simulator.policy_value(logging_policy, contexts), values)


def judge_estimators(
    simulator: Environment,
    policies: Mapping[str, Policy],
    logging_policy: Policy,
    estimators: Sequence[Estimator],
    *,
    n: int,
    n_datasets: int,
    seed: int = 0,
    contexts: int = CONTEXTS,
    truths: Truths | None = None,
    world: int = 0,
    progress: bool = True,
    **options: Any,
) -> Judgement:
    """What every estimator says of every policy from `n_datasets` logs of `n` rounds, beside the policies' true values.

    Args:
        simulator: the environment, which knows true values; estimators may ask its LLM.
        policies: that are evaluated, by name; two and more for ranks and regrets.
        logging_policy: that plays the rounds.
        estimators: that are judged.
        n: rounds of a log.
        n_datasets: logs; their rounds have the seeds `seed`, `seed + 1`, …
        seed: see there; also of everything that is fitted.
        contexts: that true values are means over.
        truths: those values, where they are known already.
        world: a number for the environment, where several judgements are put together.
        progress: show a bar.
        options: of `evaluate`.

    Raises:
        ValueError: no policies, no datasets, or as `evaluate`.
    """
    if not policies:
        raise ValueError("policies: expected at least one, got none")
    if n_datasets < 1:
        raise ValueError(f"n_datasets: expected >= 1, got {n_datasets}")
    known = truths or true_values(simulator, policies, logging_policy, contexts)
    trials: list[Trial] = []
    with progress_bar(n_datasets * len(policies), "judge", progress) as bar:
        for dataset in range(seed, seed + n_datasets):
            data = collect(cast(Playable, simulator), logging_policy, n, dataset, progress=False)
            about: dict[str, Any] = {"n": n, "n_actions": simulator.n_actions, "world": world, "dataset": dataset}
            about["logged"] = known.logged.value
            asked = {"seed": dataset, "simulator": simulator, **options}
            for name, results in _results(data, policies, estimators, asked):
                trials += [_trial(one, name, known.policies[name], about) for one in results]
                bar.update(1)
    return Judgement(tuple(trials))


def _results(
    data: BanditDataset,
    policies: Mapping[str, Policy],
    estimators: Sequence[Estimator],
    options: dict[str, Any],
) -> Iterator[tuple[str, Sequence[Result]]]:
    """What is said of each policy; models that are no policy's own are fitted once."""
    for name, policy in policies.items():
        found = evaluate(policy, data, estimators, name=name, progress=False, **options)
        options["models"] = found.models
        yield name, found.results


def _trial(result: Result, policy: str, truth: Estimate, about: Mapping[str, Any]) -> Trial:
    within = result.interval
    return Trial(
        **about,
        policy=policy,
        estimator=result.name,
        truth=truth.value,
        truth_se=truth.se,
        value=result.value,
        se=result.se,
        low=None if within is None else within.low,
        high=None if within is None else within.high,
        believable=None if result.value is None else result.believable,
        refused=result.refused,
    )
