"""Asking the frozen LLM: outputs of given prompts, of several a round, of all of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from prompt_bandits.rounds import Rounds
from prompt_bandits.types import FloatArray, IntArray, Observation

from .protocols import SamplesOutputs, TellsCost


def without_mask(obs: Observation) -> Observation:
    """The same rounds without their masks, which are for choosing: many copies of them are for nothing."""
    return replace(obs, action_mask=None)


def require_sampler(simulator: object, who: str) -> SamplesOutputs:
    """The simulator, as something that writes outputs.

    Raises:
        ValueError: it has no `respond`.
    """
    if not hasattr(simulator, "respond"):
        raise ValueError(
            f"simulator: {who} samples outputs of the frozen LLM; expected an object with `respond`, such as "
            f"env.unwrapped.simulator, got {simulator!r}"
        )
    sampler: SamplesOutputs = simulator
    return sampler


def is_costly(simulator: SamplesOutputs, obs: Observation) -> bool:
    """Whether outputs in these rounds take time or money, where the simulator tells."""
    return isinstance(simulator, TellsCost) and simulator.is_costly(obs)


def output_embedding(
    simulator: SamplesOutputs, obs: Observation, action: IntArray, rounds: Rounds, dim: int | None = None
) -> FloatArray:
    """Embeddings (n, d_o) of fresh outputs.

    Raises:
        ValueError: the simulator's outputs have none, or not `dim` features, as those of the log.
    """
    embedding = simulator.respond(obs, action, rounds).embedding
    if embedding is None:
        raise ValueError("output: expected embeddings from the simulator, got text only")
    if dim is not None and embedding.shape[1] != dim:
        raise ValueError(f"output: expected {dim} features from the simulator, as in the log, got {embedding.shape[1]}")
    return embedding


def outputs_of(
    simulator: SamplesOutputs, obs: Observation, actions: IntArray, rounds: Rounds, dim: int
) -> tuple[FloatArray, Rounds]:
    """Fresh outputs of k actions a round.

    Args:
        simulator: writes them.
        obs: n rounds.
        actions: (n, k).
        rounds: n rounds, from which n·k are derived.
        dim: d_o, of the log's outputs.

    Returns:
        outputs: (n·k, d_o), the k of the first round first.
        rounds: the n·k rounds that they were drawn from.
    """
    n, k = actions.shape
    if k == 1:
        return output_embedding(simulator, obs, actions[:, 0], rounds, dim), rounds
    inner = Rounds(rounds.seed, rounds.start * k, n * k, f"{rounds.scope}/{k} outputs")
    repeated = without_mask(obs).take(np.repeat(np.arange(n), k))
    return output_embedding(simulator, repeated, actions.ravel(), inner, dim), inner
