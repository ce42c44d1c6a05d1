"""Prompts to choose from, in the terminal: some at random, or those that a text is found in."""

from __future__ import annotations

from difflib import SequenceMatcher

import numpy as np

from prompt_bandits.rounds import named_generator
from prompt_bandits.types import IntArray, Observation

_FEW_NUMBERS = 6


def some_prompts(obs: Observation, n: int, seed: int, turn: int) -> IntArray:
    """`n` of the prompts that the round allows, others at every turn."""
    allowed = allowed_prompts(obs)
    drawn = named_generator(seed, "play", str(turn)).permutation(allowed)[:n]
    return np.sort(drawn)


def found_prompts(obs: Observation, text: str, n: int) -> IntArray:
    """Up to `n` allowed prompts that hold the text, else those that are written most like it; none without texts."""
    if obs.prompts.text is None:
        return np.empty(0, dtype=np.int64)
    texts, wanted = obs.prompts.text, text.casefold()
    allowed = allowed_prompts(obs)
    holds = [index for index in allowed if wanted in str(texts[index]).casefold()]
    if not holds:
        alike = {index: SequenceMatcher(None, wanted, str(texts[index]).casefold()).ratio() for index in allowed}
        holds = sorted((index for index, ratio in alike.items() if ratio > 0.5), key=lambda i: -alike[i])
    return np.array(holds[:n], dtype=np.int64)


def allowed_prompts(obs: Observation) -> IntArray:
    """Those that the first round of `obs` allows."""
    if obs.action_mask is None:
        return np.arange(obs.n_actions)
    return np.flatnonzero(obs.action_mask[0])


def listed(obs: Observation, index: IntArray) -> str:
    """A line for each prompt: its number and its text, or its features where it has none."""
    width = len(str(obs.n_actions - 1))
    return "\n".join(f"  {one:>{width}}  {_shown(obs, int(one))}" for one in index)


def _shown(obs: Observation, index: int) -> str:
    if obs.prompts.text is not None:
        return str(obs.prompts.text[index])
    numbers = obs.prompts.embedding[index]
    more = " …" if len(numbers) > _FEW_NUMBERS else ""
    return f"[{' '.join(f'{number:+.2f}' for number in numbers[:_FEW_NUMBERS])}{more}]"
