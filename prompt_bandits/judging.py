"""The contexts that policies are judged in, and what is known of the prompts there.

Where an LLM that is costly to ask has to be asked, a policy is judged by one action and one output a context, which is
unbiased.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from prompt_bandits.action_values import Draws, asks_llm, every_action, exact_values, is_costly, sampled_values
from prompt_bandits.rounds import Rounds
from prompt_bandits.types import ActionValues, FloatArray, IntArray, Observation

if TYPE_CHECKING:
    from prompt_bandits.simulator import PromptSimulator

N_CONTEXTS, N_CONTEXTS_COSTLY = 10_000, 1000
N_OUTPUTS, N_OUTPUTS_COSTLY = 32, 4
_CELLS = 1_000_000  # rounds × actions worked on at a time


@dataclass(frozen=True)
class Judging:
    """Which contexts values are taken over, and how many outputs an action where they are sampled.

    Args:
        n: contexts; None: 10,000, or 1000 where a costly LLM has to be asked.
        seed: of the contexts.
        n_outputs: for each action; None: 32, or of a costly LLM one for a policy's action and four for every prompt.
    """

    n: int | None = None
    seed: int = 0
    n_outputs: int | None = None


def default_outputs(simulator: PromptSimulator) -> int:
    """How many outputs of each prompt, unless told."""
    return N_OUTPUTS_COSTLY if is_costly(simulator.llm) else N_OUTPUTS


def must_ask(simulator: PromptSimulator, judging: Judging) -> bool:
    """Whether a costly LLM has to be asked somewhere in these contexts."""
    if not is_costly(simulator.llm):
        return False
    n = N_CONTEXTS if judging.n is None else judging.n
    return asks_llm(simulator, simulator.observe(simulator.oracle_rounds(n, judging.seed)))


@dataclass(frozen=True)
class Contexts:
    """Some of the contexts, with what is needed to judge in them."""

    simulator: PromptSimulator
    obs: Observation
    start: int
    seed: int
    n_outputs: int | None
    one_action: bool  # judge a policy by one action and one output, not by all

    @cached_property
    def values(self) -> ActionValues:
        """q(x, a), (k, |A|)."""
        exact = exact_values(self.simulator, self.obs, None)
        return self.sampled(every_action(self.obs), "judge") if exact is None else ActionValues(exact)

    def sampled(self, actions: IntArray | None, purpose: str) -> ActionValues:
        """q of actions (k, m), or (k, 1) without a prompt, over sampled outputs."""
        n_outputs = self.n_outputs
        if n_outputs is None:
            n_outputs = 1 if self.one_action else default_outputs(self.simulator)
        return sampled_values(self.simulator, self.obs, actions, n_outputs, Draws(purpose, self.seed, self.start))

    def under(self, dist: FloatArray) -> FloatArray:
        """Σ_a π(a|x)·q(x, a), (k,), for π (k, |A|); or one draw of it."""
        if self.one_action:
            return self.sampled(self._drawn(dist)[:, None], "judge").value[:, 0]
        return np.asarray(np.einsum("na,na->n", dist, self.values.value, dtype=np.float64))

    def _drawn(self, dist: FloatArray) -> IntArray:
        rounds = Rounds(self.seed, self.start, len(dist), f"{self.simulator.oracle_scope}/judge")
        cumulative = np.cumsum(dist, axis=1, dtype=np.float64)
        return np.asarray((cumulative > rounds.uniform("action")[:, None] * cumulative[:, -1:]).argmax(axis=1))


def contexts(simulator: PromptSimulator, judging: Judging, one_action: bool) -> Iterator[Contexts]:
    """All contexts, a few at a time.

    Raises:
        ValueError: n < 1.
    """
    n = (N_CONTEXTS_COSTLY if one_action else N_CONTEXTS) if judging.n is None else judging.n
    if n < 1:
        raise ValueError(f"n: expected at least one context, got {n}")
    step = max(1, _CELLS // simulator.n_actions)
    for start in range(0, n, step):
        obs = simulator.observe(Rounds(judging.seed, start, min(step, n - start), simulator.oracle_scope))
        yield Contexts(simulator, obs, start, judging.seed, judging.n_outputs, one_action)
