"""The published stages, one function each. Every stage reads what earlier ones left in the run folder, makes what is
missing, and leaves its own artefact there; what exists is reused. Everything is seeded by the world's seed, but for
what may have a seed of its own: the log with its models, and the learners.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from prompt_bandits import saving
from prompt_bandits.collecting import collect
from prompt_bandits.datasets import BanditDataset
from prompt_bandits.policies import EpsilonGreedy, OracleScore, Softmax
from prompt_bandits.protocols import ActionScore, Policy
from prompt_bandits.rounds import Rounds
from prompt_bandits.simulator import PromptSimulator
from prompt_bandits.types import Estimate, IntArray, Observation, Output, optimality

from ..callbacks import PolicyValue
from ..cloning import distil_reward_model
from ..learners import SentenceDM
from ..logging_policies import published_logging_policy
from ..pair_models import OutputReward
from ..protocols import Density, QFunction
from ..reward_models import OutputRewardModel, fit_action_reward_model, fit_output_reward_model
from ..sentence_rewards import fit_sentence_reward
from . import recipes
from .artefacts import Artefact, ensure
from .curves import Curve, CurveOf
from .measuring import Measured, measured
from .settings import Evaluation, Experiment
from .variants import Variant

_SAVED, _CURVE, _VALUES = "saved", "curve.json", "values.json"


def make(folder: Path, experiment: Experiment, artefact: Artefact) -> Any:
    """What the artefact's stage gives, made where it is missing."""
    return _STAGES[artefact.stage](folder, experiment, *artefact.arguments)


def logging_policy(folder: Path, experiment: Experiment) -> Softmax:
    """Stage 1: the softmax over a reward model fitted on rounds of the uniform policy, or over the logits of a policy
    learnt online.
    """

    def fit(draft: Path) -> None:
        saving.save(_SCORES[experiment.logging](experiment), draft / _SAVED)

    return Softmax(_made(folder, experiment, recipes.logging_artefact(experiment), fit), experiment.beta)


def _reward_of_uniform_rounds(experiment: Experiment) -> ActionScore:
    policy = published_logging_policy(
        experiment.environment.build(),
        n=recipes.UNIFORM_ROUNDS,
        seed=experiment.seed,
        training=recipes.reward_training(experiment),
        progress=False,
    )
    return policy.score


def _online_policy(experiment: Experiment) -> ActionScore:
    learner, simulator = recipes.online_learner(experiment), experiment.environment.build()
    score: ActionScore = learner.fit(seed=experiment.seed, simulator=simulator)
    return score


_SCORES: dict[str, Callable[[Experiment], ActionScore]] = {
    "regression": _reward_of_uniform_rounds,
    "online": _online_policy,
}


def logged_data(folder: Path, experiment: Experiment, for_regression: bool = False) -> BanditDataset:
    """Stage 2: rounds of the logging policy. Those for regression may have another reward noise."""
    artefact = recipes.data_artefact(experiment, for_regression)
    environment = experiment.environment
    if "reward_std" in artefact.recipe:
        environment = replace(environment, reward_std=artefact.recipe["reward_std"])

    def play(draft: Path, policy: Policy) -> None:
        collect(environment.build(), policy, experiment.n, experiment.log_seed, progress=False).save(draft / _SAVED)

    data: BanditDataset = _made(folder, experiment, artefact, play, lambda path: BanditDataset.load(path / _SAVED))
    return data


def reward_model_by_action(folder: Path, experiment: Experiment, kind: str = "published") -> QFunction:
    """Stage 2: q̂(x, a) from logged rounds. Kinds: "published", "quick" (this library's defaults), "pessimistic",
    "two_stage", which is taught by a reward model by output in place of the log, and "sentence", that of SentenceDM.
    """
    training, seed = recipes.reward_training(experiment, kind), experiment.log_seed

    def fit(draft: Path, data: BanditDataset, teacher: OutputRewardModel | None = None) -> None:
        llm = FrozenLLMOnly(experiment.environment.build())
        if kind == "sentence":
            model: QFunction = SentenceDM().fit_value(data, llm, seed=seed)
        elif teacher is None:
            model = fit_action_reward_model(data, training, seed=seed)
        else:
            model = distil_reward_model(teacher, data, llm, training, seed=seed)
        saving.save(model, draft / _SAVED)

    model: QFunction = _made(folder, experiment, recipes.q_hat_artefact(experiment, kind), fit)
    return model


def reward_model_by_output(folder: Path, experiment: Experiment) -> OutputRewardModel:
    """Stage 2: r̂(x, o) from logged rounds."""

    def fit(draft: Path, data: BanditDataset) -> None:
        training = recipes.reward_training(experiment)
        saving.save(fit_output_reward_model(data, training, seed=experiment.log_seed), draft / _SAVED)

    model: OutputRewardModel = _made(folder, experiment, recipes.r_hat_artefact(experiment), fit)
    return model


def sentence_reward_model(folder: Path, experiment: Experiment, learner: Any) -> OutputReward:
    """Stage 2: r̂(x, o) as a learner such as SentenceDM fits it, from the rounds for regression."""

    def fit(draft: Path, data: BanditDataset) -> None:
        classes, training = learner.reward_classes, learner.reward_training
        model = fit_sentence_reward(data, classes=classes, training=training, seed=experiment.log_seed)
        saving.save(model, draft / _SAVED)

    model: OutputReward = _made(folder, experiment, recipes.sentence_r_hat_artefact(experiment, learner), fit)
    return model


def density(folder: Path, experiment: Experiment, learner: Any) -> Density:
    """Stage 3: π0(φ(s)|x), for the kernel of a learner such as DSO."""

    def fit(draft: Path, data: BanditDataset) -> None:
        llm = FrozenLLMOnly(experiment.environment.build())
        saving.save(learner.fit_density(data, llm, seed=experiment.log_seed), draft / _SAVED)

    model: Density = _made(folder, experiment, recipes.density_artefact(experiment, learner), fit)
    return model


@dataclass(frozen=True)
class Learnt:
    """A policy, how it came about and what that took, the models that it was given apart."""

    policy: Policy
    curve: Curve
    cost: Measured


def policy(folder: Path, experiment: Experiment, variant: Variant) -> Learnt:
    """Stage 4: a policy, with its true value along the way.

    Raises:
        ValueError: a baseline, which nothing is learnt for.
    """
    artefact = recipes.policy_artefact(experiment, variant)

    def learn(draft: Path, data: BanditDataset | None = None, **given: Any) -> None:
        world, judge = experiment.environment.build(), experiment.judged.build()
        curve = CurveOf(PolicyValue(judge, experiment.evaluation.curve_contexts), experiment.evaluation.curve_every)
        llm = FrozenLLMOnly(world) if variant.method.samples else None
        taught = "teacher" in variant.method.wants
        if taught:
            given["teacher"] = EpsilonGreedy(OracleScore(world))
        simulator = world if variant.method.online or taught else llm
        learner = variant.learner(experiment)
        learnt = learner.fit(data, seed=experiment.learner_seed, simulator=simulator, callback=curve, **given)
        saving.save(learnt, draft / _SAVED)
        (draft / _CURVE).write_text(json.dumps(curve.finished()))

    def read(path: Path) -> tuple[Policy, Curve]:
        return _saved(path), [(step, value) for step, value in json.loads((path / _CURVE).read_text())]

    learnt, curve = _made(folder, experiment, artefact, learn, read)
    return Learnt(learnt, curve, artefact.cost(folder))


@dataclass(frozen=True)
class References:
    """The values of the uniform and the optimal policy, and of no prompt."""

    uniform: Estimate
    optimal: Estimate
    no_prompt: Estimate


def references(folder: Path, experiment: Experiment) -> References:
    """What policies are compared with; the same for all of a world."""
    artefact, evaluation = recipes.references_artefact(experiment), experiment.evaluation

    def judge(draft: Path) -> None:
        simulator, n = experiment.judged.build(), evaluation.contexts
        optimal = simulator.optimal_value(contexts_of_optimum(simulator, evaluation))
        found = References(simulator.uniform_value(n), optimal, simulator.no_prompt_value(n))
        (draft / _VALUES).write_text(json.dumps(asdict(found)))

    def read(path: Path) -> References:
        values = json.loads((path / _VALUES).read_text())
        return References(**{name: Estimate(**value) for name, value in values.items()})

    found: References = _made(folder, experiment, artefact, judge, read)
    return found


def contexts_of_optimum(simulator: PromptSimulator, evaluation: Evaluation) -> int:
    """As many as elsewhere, unless that asks a costly LLM for every prompt."""
    some = simulator.observe(simulator.oracle_rounds(evaluation.contexts))
    return min(evaluation.contexts, evaluation.costly_contexts) if simulator.is_costly(some) else evaluation.contexts


@dataclass(frozen=True)
class Judged:
    """A policy's exact value, and those that it stands beside, over the same contexts."""

    value: Estimate
    beside: References
    curve: Curve
    cost: Measured  # of learning and judging

    @property
    def optimality(self) -> float:
        return optimality(self.value.value, self.beside.uniform.value, self.beside.optimal.value)

    @property
    def gain(self) -> float:
        """V(π) − V(no prompt)."""
        return self.value.value - self.beside.no_prompt.value


def evaluate(folder: Path, experiment: Experiment, variant: Variant) -> Judged:
    """Stage 5: the exact value of a method's policy, or of a baseline."""
    beside, name = references(folder, experiment), variant.method.name
    if name != "logging" and variant.is_baseline:
        return Judged(getattr(beside, name), beside, [], recipes.references_artefact(experiment).cost(folder))
    learnt = None if variant.is_baseline else policy(folder, experiment, variant)
    judged = logging_policy(folder, experiment) if learnt is None else learnt.policy
    simulator = experiment.judged.build()
    with measured() as cost:
        value = simulator.policy_value(judged, experiment.evaluation.contexts)
    if learnt is None:
        return Judged(value, beside, [], cost)
    return Judged(value, beside, learnt.curve, learnt.cost.then(cost))


@dataclass(frozen=True, eq=False)
class FrozenLLMOnly:
    """All of a simulator that an offline learner may use: to sample the LLM, and to know whether that costs."""

    simulator: PromptSimulator

    def is_costly(self, obs: Observation) -> bool:
        return self.simulator.is_costly(obs)

    def respond(self, obs: Observation, action: IntArray | None, rounds: Rounds) -> Output:
        return self.simulator.respond(obs, action, rounds)


def _made(
    folder: Path,
    experiment: Experiment,
    artefact: Artefact,
    make_from: Callable[..., object],
    read: Callable[[Path], Any] | None = None,
) -> Any:
    """Reads an artefact, after making it from what it needs where it is missing; only that is measured."""
    given = dict[str, Any]()
    if not artefact.exists(folder):
        given = {name: make(folder, experiment, need) for name, need in artefact.needs.items()}
    return ensure(artefact, folder, lambda draft: make_from(draft, **given), read or _saved)


def _saved(path: Path) -> Any:
    return saving.load(path / _SAVED)


_STAGES: dict[str, Callable[..., Any]] = {
    "logging_policy": logging_policy,
    "dataset": logged_data,
    "q_hat": reward_model_by_action,
    "r_hat": reward_model_by_output,
    "sentence_r_hat": sentence_reward_model,
    "density": density,
    "policies": policy,
    "references": references,
}
