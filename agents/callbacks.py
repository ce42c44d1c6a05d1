"""Callbacks of the training loop: called at every log with the step, the metrics and the policy as it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from prompt_bandits.protocols import Policy

from .protocols import Callback, Judge


@dataclass
class History:
    """Keeps every log in memory, as a list of dicts."""

    logs: list[dict[str, float]] = field(default_factory=list)

    def __call__(self, step: int, metrics: Mapping[str, float], policy: Policy | None) -> None:
        self.logs.append({"step": step, **metrics})


@dataclass(frozen=True)
class JSONLines:
    """Appends every log to a file, one JSON object a line."""

    path: Path

    def __call__(self, step: int, metrics: Mapping[str, float], policy: Policy | None) -> None:
        with Path(self.path).open("a") as stream:
            stream.write(json.dumps({"step": step, **metrics}) + "\n")


@dataclass(frozen=True)
class PolicyValue:
    """Adds the true value of the policy as it is, over `n` contexts of a simulator: for plots, not for choosing."""

    judge: Judge
    n: int = 2_000

    def __call__(self, step: int, metrics: Mapping[str, float], policy: Policy | None) -> Mapping[str, float]:
        return {} if policy is None else {"policy_value": self.judge.policy_value(policy, self.n).value}


@dataclass(frozen=True)
class Chain:
    """Several callbacks in order; each sees what the ones before it added."""

    callbacks: Sequence[Callback]

    def __call__(self, step: int, metrics: Mapping[str, float], policy: Policy | None) -> Mapping[str, float]:
        known = dict(metrics)
        for callback in self.callbacks:
            known |= callback(step, known, policy) or {}
        return known


@dataclass(frozen=True)
class Seen:
    """Shows a callback another policy than the one in training: all of it, where only a part is trained."""

    callback: Callback
    policy_of: Callable[[Policy], Policy]

    def __call__(self, step: int, metrics: Mapping[str, float], policy: Policy | None) -> Mapping[str, float] | None:
        return self.callback(step, metrics, None if policy is None else self.policy_of(policy))
