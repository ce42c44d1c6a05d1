"""Which artefacts an experiment has, what exactly each depends on, and which others it is made from."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from typing import Any

from ..learners import SentenceDM
from ..reward_models import RewardTraining
from .artefacts import Artefact
from .settings import Experiment
from .variants import Variant, parse_method, scaled

UNIFORM_ROUNDS = 10_000
"""Rounds of the uniform policy that the logging policy's reward model is fitted on, as published."""
STAGES = ("logging-policy", "logged-data", "density", "policy", "policy-value")
"""The published stages, as commands."""
_OF_LOGGED_DATA = ("dataset", "q_hat", "r_hat", "sentence_r_hat")


def world_of(experiment: Experiment) -> str:
    return f"{experiment.world}-{experiment.seed}"


def reward_training(experiment: Experiment, kind: str = "published") -> RewardTraining:
    """How a reward model of this kind is fitted. The pessimistic one has the published weight, 0.1."""
    training = RewardTraining() if kind == "quick" else RewardTraining.published()
    if kind != "quick" and experiment.predictor_steps is not None:
        training = replace(training, steps=experiment.predictor_steps)
    if kind == "pessimistic":
        training = replace(training, pessimism=0.1)
    return scaled(training, experiment.steps_scale)  # type: ignore[no-any-return]


def online_learner(experiment: Experiment) -> Any:
    """What learns the policy that a softened one of logs, where `logging` is "online"."""
    return parse_method("online_reinforce").learner(experiment)


def logging_artefact(experiment: Experiment) -> Artefact:
    """The score behind the logging policy; the same for every beta, number of logged rounds and seed of theirs."""
    environment = experiment.environment
    recipe: dict[str, Any] = {"environment": asdict(environment)}
    if experiment.logging == "online":
        learner = online_learner(experiment)
        recipe |= {"learner": type(learner).__name__, "config": asdict(learner)}
        return Artefact(world_of(experiment), "logging_policy", "online", recipe)
    recipe |= {"n": UNIFORM_ROUNDS, "training": asdict(reward_training(experiment))}
    label = f"actions{environment.n_actions}_std{environment.reward_std:g}"
    return Artefact(world_of(experiment), "logging_policy", label, recipe)


def data_artefact(experiment: Experiment, for_regression: bool = False) -> Artefact:
    """Logged rounds. Those for regression differ where their rewards have a noise of their own, in nothing else."""
    recipe: dict[str, Any] = {"beta": experiment.beta, "n": experiment.n, **_own_seeds(experiment, "data_seed")}
    label = f"n{experiment.n}"
    own = experiment.reward_std_for_regression
    if for_regression and own is not None and own != experiment.environment.reward_std:
        recipe["reward_std"] = own
        label += f"_regression_std{own:g}"
    needs = {"policy": logging_artefact(experiment)}
    label = _labelled(label, experiment, "data_seed")
    return Artefact(world_of(experiment), "dataset", label, recipe, needs, (for_regression,))


def q_hat_artefact(experiment: Experiment, kind: str = "published") -> Artefact:
    """A reward model by action."""
    needs = {"data": data_artefact(experiment, for_regression=True)}
    if kind == "two_stage":
        needs["teacher"] = r_hat_artefact(experiment)
    recipe = {"training": asdict(SentenceDM() if kind == "sentence" else reward_training(experiment, kind))}
    label = _labelled(kind, experiment, "data_seed")
    return Artefact(world_of(experiment), "q_hat", label, recipe, needs, (kind,))


def r_hat_artefact(experiment: Experiment) -> Artefact:
    """A reward model by output."""
    needs = {"data": data_artefact(experiment, for_regression=True)}
    recipe = {"training": asdict(reward_training(experiment))}
    label = _labelled("published", experiment, "data_seed")
    return Artefact(world_of(experiment), "r_hat", label, recipe, needs)


def sentence_r_hat_artefact(experiment: Experiment, learner: Any) -> Artefact:
    """A reward model by output, as a learner in sentence space would fit it, from the rounds for regression."""
    needs = {"data": data_artefact(experiment, for_regression=True)}
    recipe = {"classes": list(learner.reward_classes), "training": asdict(learner.reward_training)}
    label = _labelled("sentence", experiment, "data_seed")
    return Artefact(world_of(experiment), "sentence_r_hat", label, recipe, needs, (learner,))


def density_artefact(experiment: Experiment, learner: Any) -> Artefact:
    """The density of outputs under the logging policy, as a learner would have it."""
    names = [f.name for f in fields(learner)]
    used = [name for name in names if name in ("kernel", "tau", "emb_noise") or name.startswith("density")]
    config = asdict(learner)
    recipe = {"learner": {name: config[name] for name in used}}
    label = _labelled(f"{learner.kernel}_tau{learner.tau}", experiment, "data_seed")
    needs = {"data": data_artefact(experiment)}
    return Artefact(world_of(experiment), "density", label, recipe, needs, (learner,))


def policy_artefact(experiment: Experiment, variant: Variant) -> Artefact:
    """A learnt policy with its learning curve.

    Raises:
        ValueError: a baseline, which nothing is learnt for.
    """
    if variant.is_baseline:
        raise ValueError(f"{variant.name}: expected a method that learns a policy")
    learner = variant.learner(experiment)
    recipe = {
        "learner": type(learner).__name__,
        "config": asdict(learner),
        "samples": variant.method.samples,
        "environment": asdict(experiment.environment),
        "curve": [experiment.evaluation.curve_contexts, experiment.evaluation.curve_every],
        **_own_seeds(experiment, "fit_seed"),
    }
    needs = {} if variant.method.online else _given_to(learner, experiment, variant)
    label = _labelled(variant.name, experiment, *variant.method.seeds)
    return Artefact(world_of(experiment), "policies", label, recipe, needs, (variant,))


def _own_seeds(experiment: Experiment, *names: str) -> dict[str, int]:
    """The seeds of these names that are not the world's."""
    return {name: seed for name in names if (seed := getattr(experiment, name)) is not None}


def _labelled(label: str, experiment: Experiment, *names: str) -> str:
    """A label behind those of these seeds that are not the world's."""
    seeds = _own_seeds(experiment, *names)
    return "".join(f"{name.removesuffix('_seed')}{seed}_" for name, seed in seeds.items()) + label


def _given_to(learner: Any, experiment: Experiment, variant: Variant) -> dict[str, Artefact]:
    """What an offline learner's `fit` is given beside the simulator, by the names of its arguments."""
    found = {"data": data_artefact(experiment)}
    for want in variant.wants(learner):
        if want == "q_hat":
            found[want] = q_hat_artefact(experiment, variant.q_hat)
        elif want == "r_hat":
            found[want] = r_hat_artefact(experiment)
        elif want == "density":
            found[want] = density_artefact(experiment, learner)
    own_rewards = data_artefact(experiment, for_regression=True).name != found["data"].name
    if own_rewards and hasattr(learner, "reward_classes"):  # it would fit its reward model to the log
        found["r_hat"] = sentence_r_hat_artefact(experiment, learner)
    return found


def references_artefact(experiment: Experiment) -> Artefact:
    """The values that every policy of a world stands beside."""
    evaluation = experiment.evaluation
    recipe = {"environment": asdict(experiment.judged), "contexts": [evaluation.contexts, evaluation.costly_contexts]}
    return Artefact(world_of(experiment), "references", f"contexts{evaluation.contexts}", recipe)


def judged_artefact(experiment: Experiment, variant: Variant) -> Artefact | None:
    """What a cell judges; None for what needs no making."""
    if variant.method.name == "logging":
        return logging_artefact(experiment)
    return None if variant.is_baseline else policy_artefact(experiment, variant)


def stage_artefacts(stage: str, experiment: Experiment, variants: list[Variant]) -> list[Artefact]:
    """What a stage before the evaluation makes for these methods; what that needs apart."""
    policies = [policy_artefact(experiment, variant) for variant in variants if not variant.is_baseline]
    given = [need for policy in policies for need in policy.needs.values()]
    if stage == "logging-policy":
        return [logging_artefact(experiment)]
    if stage == "logged-data":
        always = [data_artefact(experiment), q_hat_artefact(experiment)]
        if experiment.logging == "regression":  # as published there
            always.append(r_hat_artefact(experiment))
        return [*always, *(need for need in given if need.stage in _OF_LOGGED_DATA)]
    if stage == "density":
        return [need for need in given if need.stage == "density"]
    return policies
