"""Values of actions and policies, exact where they can be, from the simulator's own parts. Never for a learner's eyes.

What asks an LLM that is costly to ask for every prompt wants to be told for how many contexts, and says first what that
costs.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from prompt_bandits import types
from prompt_bandits.acting import check_action_dist
from prompt_bandits.action_values import Draws, every_action, exact_base_values, exact_values, sampled_values
from prompt_bandits.judging import Contexts, Judging, contexts, default_outputs, must_ask
from prompt_bandits.protocols import Policy
from prompt_bandits.types import ActionValues, Estimate, FloatArray, IntArray, Observation

if TYPE_CHECKING:
    from prompt_bandits.simulator import PromptSimulator


def action_value(simulator: PromptSimulator, obs: Observation, action: IntArray, n_outputs: int | None) -> ActionValues:
    """q(x_i, a_i), (n,)."""
    exact = exact_values(simulator, obs, action)
    if exact is not None:
        return ActionValues(exact)
    sampled = sampled_values(
        simulator, obs, np.asarray(action)[:, None], _outputs_with_se(simulator, n_outputs), Draws()
    )
    assert sampled.se is not None
    return ActionValues(sampled.value[:, 0], sampled.se[:, 0])


def action_values(simulator: PromptSimulator, obs: Observation, n_outputs: int | None) -> ActionValues:
    """q(x_i, a), (n, |A|)."""
    exact = exact_values(simulator, obs, None)
    if exact is not None:
        return ActionValues(exact)
    return sampled_values(simulator, obs, every_action(obs), _outputs_with_se(simulator, n_outputs), Draws())


def value_terms(simulator: PromptSimulator, policy: Policy | FloatArray, judging: Judging) -> FloatArray:
    """Σ_a π(a|x)·q(x, a) in each context, (n,)."""
    judging, own = _of_policy(simulator, policy, judging)
    return _terms(simulator, judging, own)[0]


def uniform_terms(simulator: PromptSimulator, judging: Judging) -> FloatArray:
    """The same for the uniform policy over the allowed prompts."""
    return _terms(simulator, judging, _uniform)[0]


def no_prompt_terms(simulator: PromptSimulator, judging: Judging) -> FloatArray:
    """The mean reward without a prompt in each context, (n,)."""
    return _terms(simulator, judging, _without_prompt)[0]


def optimal_terms(simulator: PromptSimulator, judging: Judging) -> FloatArray:
    """The value of the best prompt in each context, (n,)."""
    _say_cost(simulator, judging, "optimal_value")
    return _terms(simulator, judging, _best)[0]


def regret(simulator: PromptSimulator, policy: Policy | FloatArray, judging: Judging) -> Estimate:
    """V(optimal) − V(π), paired."""
    judging, own = _of_policy(simulator, policy, judging)
    _say_cost(simulator, judging, "regret")
    mine, best = _terms(simulator, judging, own, _best)
    return Estimate.from_terms(best - mine)


def optimality(simulator: PromptSimulator, policy: Policy | FloatArray, judging: Judging) -> float:
    """(V(π) − V(uniform)) / (V(optimal) − V(uniform))."""
    judging, own = _of_policy(simulator, policy, judging)
    _say_cost(simulator, judging, "optimality")
    terms = _terms(simulator, judging, own, _best, _uniform)
    mine, best, uniform = (float(column.mean()) for column in terms)
    return types.optimality(mine, uniform, best)


def generation_cost(simulator: PromptSimulator, n: int, n_outputs: int | None) -> int:
    """Outputs of every prompt in `n` contexts, and of the best one again."""
    return n * (simulator.n_actions + 1) * (default_outputs(simulator) if n_outputs is None else n_outputs)


def _outputs_with_se(simulator: PromptSimulator, n_outputs: int | None) -> int:
    if n_outputs is None:
        return default_outputs(simulator)
    if n_outputs < 2:
        raise ValueError(f"n_outputs: expected at least 2 for a standard error, got {n_outputs}")
    return n_outputs


def _say_cost(simulator: PromptSimulator, judging: Judging, what: str) -> None:
    """Says what it costs to ask a costly LLM for every prompt; refuses to, unless told for how many contexts."""
    if not must_ask(simulator, judging):
        return
    if judging.n is None:
        example = generation_cost(simulator, 100, judging.n_outputs)
        raise ValueError(
            f"n: expected a number of contexts, since {what} asks the LLM for every prompt: 100 contexts are up to "
            f"{example:,} generations; see simulator.generation_cost(n, n_outputs)"
        )
    cost = generation_cost(simulator, judging.n, judging.n_outputs)
    warnings.warn(
        f"{what}: asks the LLM for every prompt in {judging.n:,} contexts, up to {cost:,} generations", stacklevel=4
    )


_Reduce: TypeAlias = Callable[[Contexts], FloatArray]


def _terms(simulator: PromptSimulator, judging: Judging, *reduces: _Reduce) -> list[FloatArray]:
    """Per-context terms (n,) of each reduction, over the oracle's rounds."""
    one_action = _best not in reduces and must_ask(simulator, judging)
    parts = [[reduce(some) for reduce in reduces] for some in contexts(simulator, judging, one_action)]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def _of_policy(simulator: PromptSimulator, policy: Policy | FloatArray, judging: Judging) -> tuple[Judging, _Reduce]:
    """Where to judge a policy, or an array of distributions, and how."""
    if isinstance(policy, np.ndarray):
        n = len(policy) if judging.n is None else judging.n
        check_action_dist(policy, (n, simulator.n_actions))
        judging = Judging(n, judging.seed, judging.n_outputs)

    def own(some: Contexts) -> FloatArray:
        if isinstance(policy, np.ndarray):
            dist = policy[some.start : some.start + len(some.obs)]
        else:
            dist = policy.action_dist(some.obs)
            check_action_dist(dist, (len(some.obs), simulator.n_actions))
        mask = some.obs.action_mask
        if mask is not None and dist[~mask].max(initial=0) > 0:
            raise ValueError("action_dist: expected 0 on masked prompts, got a positive probability")
        return some.under(dist)

    return judging, own


def _uniform(some: Contexts) -> FloatArray:
    mask = some.obs.action_mask
    allowed = np.ones((len(some.obs), some.obs.n_actions)) if mask is None else mask
    return some.under(allowed / allowed.sum(axis=1, keepdims=True))


def _without_prompt(some: Contexts) -> FloatArray:
    exact = exact_base_values(some.simulator, some.obs)
    return some.sampled(None, "no prompt").value[:, 0] if exact is None else exact


def _best(some: Contexts) -> FloatArray:
    """max_a q(x, a). A sampled q picks on some outputs and is judged on fresh ones: the luckiest pick gains nothing."""
    mask, values = some.obs.action_mask, some.values
    allowed = values.value if mask is None else np.where(mask, values.value, -np.inf)
    if values.se is None:
        return np.asarray(allowed.max(axis=1))
    return some.sampled(allowed.argmax(axis=1)[:, None], "best").value[:, 0]
