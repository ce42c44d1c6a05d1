"""Policies as commands name them: by a word, or by the folder of a saved one."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any

from prompt_bandits.policies import EpsilonGreedy, OracleScore, Softmax, Uniform
from prompt_bandits.protocols import Policy

from .environment_argument import simulator_in

NAMES = ("uniform", "softmax", "epsilon-greedy", "optimal")
_BETA, _EPSILON = 1.0, 0.1


def named_policy(name: str, env: Any, beta: float | None = None, epsilon: float | None = None) -> Policy:
    """A policy for an environment.

    Args:
        name: uniform; softmax, ∝ exp(beta·q) of the true q(x, a); epsilon-greedy on it; optimal, the best by it; or the
            folder of a saved policy.
        env: whose q it is.
        beta: of softmax; 1 unless given.
        epsilon: of epsilon-greedy; 0.1 unless given.

    Raises:
        ValueError: an unknown name, or a number that this policy has no use for.
        FileNotFoundError: no such folder, or one without a policy.
    """
    for argument, value, user in (("beta", beta, "softmax"), ("epsilon", epsilon, "epsilon-greedy")):
        if value is not None and name != user:
            raise ValueError(f"{argument}: expected only with the policy {user}, got {value:g} with {name}")
    if name == "uniform":
        return Uniform()
    if name in NAMES:
        score = OracleScore(simulator_in(env, f"the policy {name}, which knows the true rewards"))
        if name == "softmax":
            return Softmax(score, _BETA if beta is None else beta)
        return EpsilonGreedy(score, 0.0 if name == "optimal" else _EPSILON if epsilon is None else epsilon)
    return _saved(Path(name))


def _saved(folder: Path) -> Policy:
    from prompt_bandits import load

    if not folder.is_dir():
        close = get_close_matches(str(folder), NAMES, n=1)
        if close:
            raise ValueError(f"policy: neither a name nor a folder: {str(folder)!r}; did you mean {close[0]!r}?")
        raise FileNotFoundError(f"policy: expected {', '.join(NAMES)} or a folder, found none at {folder}")
    found = load(folder)
    if not isinstance(found, Policy):
        raise ValueError(f"policy: expected the folder of a policy, got that of a {type(found).__name__} in {folder}")
    return found
