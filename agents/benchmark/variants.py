"""Methods with some of their learner's fields set by hand: `dso[kernel=uniform,tau=2]`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .methods import METHODS, Method
from .plain_values import parse_fields, written

if TYPE_CHECKING:
    from .settings import Experiment

Q_HATS = ("published", "quick", "pessimistic", "two_stage", "sentence")
"""Kinds of reward model by action that a method may share; see `stages.reward_model_by_action`."""
_ENDING_KERNELS = ("uniform", "epanechnikov")  # 0 beyond their bandwidth, so three times as wide, as published


@dataclass(frozen=True)
class Variant:
    """A method with some of its learner's fields set by hand."""

    method: Method
    overrides: tuple[tuple[str, Any], ...] = ()  # learner fields, in the learner's order
    q_hat: str = "published"  # which reward model by action it is given

    @property
    def name(self) -> str:
        """How `parse_method` reads it."""
        return f"{self.method.name}[{','.join(self.options())}]" if self.options() else self.method.name

    @property
    def label(self) -> str:
        return f"{self.method.label} ({', '.join(self.options())})" if self.options() else self.method.label

    def options(self) -> list[str]:
        """What is in the brackets."""
        options = [f"{name}={written(value)}" for name, value in self.overrides]
        return options if self.q_hat == "published" else [*options, f"q_hat={self.q_hat}"]

    @property
    def is_baseline(self) -> bool:
        return not self.method.learner

    def learner(self, experiment: Experiment) -> Any:
        """The learner for an experiment, None for a baseline.

        Raises:
            ValueError: a field out of range.
        """
        if self.is_baseline:
            return None
        try:
            learner = replace(_starting_point(self.method), **dict(self.overrides))
            return scaled(replace(learner, **self._asked_of(experiment, learner)), experiment.steps_scale)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from error

    def _asked_of(self, experiment: Experiment, learner: Any) -> dict[str, Any]:
        """The fields that the experiment decides where the variant does not."""
        asked: dict[str, Any] = {"tau": experiment.tau, "emb_noise": experiment.emb_noise}
        if self.method.online:
            asked["steps"] = experiment.online_steps
        elif not self.method.ours:
            asked |= {"optimizer": experiment.optimizer, "lr": experiment.lr}
        if not self.method.ours:
            asked["warmup_steps"] = experiment.warmup_steps
        if hasattr(learner, "density_training") and experiment.predictor_steps is not None:
            asked["density_training"] = replace(learner.density_training, steps=experiment.predictor_steps)
        if hasattr(learner, "log_every"):  # else curves lack points
            asked["log_every"] = min(learner.log_every, experiment.evaluation.curve_every)
        own = dict(self.overrides)
        changes = {
            name: value
            for name, value in asked.items()
            if value is not None and name not in own and hasattr(learner, name)
        }
        if getattr(learner, "kernel", None) in _ENDING_KERNELS and "tau" not in own:
            tau = changes.get("tau", learner.tau)
            changes["tau"] = tau if isinstance(tau, str) else 3 * tau
        return changes

    def wants(self, learner: Any) -> tuple[str, ...]:
        """What `learner.fit` is to be given, by the names of its arguments."""
        wanted = dict.fromkeys(self.method.wants)
        if getattr(learner, "density_by", "function") != "function":
            wanted.pop("density", None)  # nothing is fitted that could be shared
        if getattr(learner, "control_variate", False):
            wanted["r_hat"] = None
        return tuple(wanted)


def parse_method(text: str) -> Variant:
    """A method by name, with fields of its learner in brackets: `dso[kernel=uniform,density_by=monte_carlo]`. Where a
    reward model by action is shared, `q_hat=` says which: published, quick, pessimistic, two_stage or
    sentence.

    Raises:
        ValueError: an unknown method or field, or a value of another type.
    """
    match = re.fullmatch(r"\s*([\w-]+)\s*(?:\[(.*)\])?\s*", text)
    if match is None:
        raise ValueError(f"methods: expected such as dso or dso[kernel=uniform,tau=2], got {text!r}")
    name, options = match[1].replace("-", "_"), [pair for pair in (match[2] or "").split(",") if pair.strip()]
    if name not in METHODS:
        close = get_close_matches(name, METHODS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(METHODS)}"
        raise ValueError(f"methods: unknown method {name!r}; {hint}")
    method = METHODS[name]
    q_hats = [pair.partition("=")[2].strip() for pair in options if pair.partition("=")[0].strip() == "q_hat"]
    options = [pair for pair in options if pair.partition("=")[0].strip() != "q_hat"]
    if q_hats and "q_hat" not in method.wants:
        raise ValueError(f"{name}: q_hat: expected only with methods that share a reward model by action")
    if len(q_hats) > 1 or not {*q_hats} <= {*Q_HATS}:
        raise ValueError(f"{name}: q_hat: expected one of {', '.join(Q_HATS)}, got {', '.join(q_hats)}")
    return Variant(method, _overrides(method, options), *q_hats)


def _overrides(method: Method, options: list[str]) -> tuple[tuple[str, Any], ...]:
    if not options:
        return ()
    if not method.learner:
        raise ValueError(f"{method.name}: expected no fields, since nothing is learnt, got {', '.join(options)}")
    learner = _class(method)
    try:
        found = parse_fields(learner, options)
    except ValueError as error:
        raise ValueError(f"{method.name}: {error}") from error
    return tuple((f.name, found[f.name]) for f in fields(learner) if f.name in found)


def _class(method: Method) -> Any:
    learners = import_module("..learners", __package__)
    if not hasattr(learners, method.learner):
        raise ValueError(f"{method.name}: agents.learners has no {method.learner}")
    return getattr(learners, method.learner)


def _starting_point(method: Method) -> Any:
    cls = _class(method)
    try:
        return replace(cls.published() if method.published else cls(), **method.fields)
    except TypeError as error:
        raise ValueError(f"{method.name}: {error}") from error


def specialised(text: str, options: Mapping[str, str]) -> str:
    """The method with those of the options that it has a use for and does not set itself; its name."""
    variant = parse_method(text)
    own = {pair.partition("=")[0] for pair in variant.options()}
    known = {"q_hat"} & {*variant.method.wants}
    if variant.method.learner and options:
        known |= {f.name for f in fields(_class(variant.method))}
    added = [f"{name}={value}" for name, value in options.items() if name in known - own]
    return parse_method(f"{variant.method.name}[{','.join([*variant.options(), *added])}]").name


def split_methods(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Names that were separated by spaces, or by commas outside brackets; "all" is every one there is."""
    parts = [part.strip() for text in texts for part in re.split(r",(?![^\[]*\])", text)]
    return tuple(name for part in parts if part for name in (METHODS if part == "all" else (part,)))


def scaled(config: Any, scale: float) -> Any:
    """A training configuration, and those inside it, with all numbers of steps multiplied by `scale`."""
    if scale == 1:
        return config
    changes: dict[str, Any] = {}
    for f in fields(config):
        value = getattr(config, f.name)
        if isinstance(value, int) and (f.name == "steps" or f.name.endswith("_steps")) and value > 0:
            changes[f.name] = max(1, round(value * scale))
        elif is_dataclass(value) and not isinstance(value, type):
            changes[f.name] = scaled(value, scale)
    return replace(config, **changes)
