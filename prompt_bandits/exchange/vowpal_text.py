"""Rounds as Vowpal Wabbit's text: namespaces x (context), q (query), and of a prompt a (which one), e (embedding).

Features are named by their numbers, so that text and JSON arrays address the same weights. Costs are −reward.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from prompt_bandits.checking import check_choice
from prompt_bandits.datasets.dataset import BanditDataset
from prompt_bandits.types import FloatArray, Observation, Prompts

PROMPT_FEATURES = ("both", "id", "embedding")
COLUMNS = ("context", "query", "propensity", "action_mask")
"""What Vowpal Wabbit's formats hold beside key, action and reward."""


def cost_of(reward: float) -> float:
    """−reward, and 0 rather than −0."""
    return 0.0 - reward


def shared_texts(obs: Observation) -> Iterator[str]:
    """Of each round `|x 0:0.5 1:2.0 |q 0:1.0`, with the shortest digits that give the same float32."""
    query = obs.query
    for begin in range(0, len(obs), 1024):
        rows = slice(begin, begin + 1024)
        context = _namespaces("x", obs.context[rows])
        yield from context if query is None else _pairs(context, _namespaces("q", query[rows]))


def prompt_texts(prompts: Prompts, features: str) -> list[str]:
    """Of each prompt `|a 3 |e 0:0.5 1:2.0`.

    Args:
        prompts: the table.
        features: "id", which one it is; "embedding"; or "both".
    """
    check_choice("prompt_features", features, PROMPT_FEATURES)
    ids = [f"|a {i}" for i in range(len(prompts))]
    if features == "id":
        return ids
    embeddings = _namespaces("e", prompts.embedding)
    return embeddings if features == "embedding" else _pairs(ids, embeddings)


def offered(obs: Observation, row: int) -> Sequence[int]:
    """The prompts that a round could choose from."""
    mask = obs.action_mask
    return range(obs.n_actions) if mask is None else np.flatnonzero(mask[row]).tolist()


def cb_lines(rows: BanditDataset) -> Iterator[str]:
    """A line a round for `--cb`: `action:cost:probability 'seed_round |x … |q …`, actions from 1.

    Raises:
        ValueError: unknown propensities, or masks, of which `--cb` knows nothing.
    """
    propensity = rows.require_propensity()
    if rows.obs.action_mask is not None:
        raise ValueError("action_mask: expected none, since --cb chooses from all actions; vw-adf knows masks")
    for row, text in enumerate(shared_texts(rows.obs)):
        cost, probability = cost_of(float(rows.reward[row])), float(propensity[row])
        yield f"{rows.action[row] + 1}:{cost!r}:{probability!r} {tag(rows, row)} {text}\n"


def adf_blocks(rows: BanditDataset, prompts: Sequence[str]) -> Iterator[str]:
    """A block of lines a round for `--cb_adf`: the shared one, one for each prompt on offer, an empty one.

    Args:
        rows: rounds.
        prompts: (|A|,) as `prompt_texts` gives.

    Raises:
        ValueError: unknown propensities.
    """
    propensity = rows.require_propensity()
    for row, text in enumerate(shared_texts(rows.obs)):
        label = f"0:{cost_of(float(rows.reward[row]))!r}:{float(propensity[row])!r} "
        taken = rows.action[row]
        lines = [label + prompts[a] if a == taken else prompts[a] for a in offered(rows.obs, row)]
        yield "\n".join([f"shared {tag(rows, row)} {text}", *lines, "\n"])


def question(text: str, prompts: Sequence[str], offer: Sequence[int]) -> str:
    """A round without a label, as a learner is asked for its choice."""
    return "\n".join([f"shared {text}", *(prompts[a] for a in offer)])


def tag(rows: BanditDataset, row: int) -> str:
    """The key of a row, as a tag."""
    return f"'{rows.seed[row]}_{rows.round_id[row]}"


def _namespaces(name: str, values: FloatArray) -> list[str]:
    written = np.asarray(values, np.float32).astype(str).tolist()
    return [f"|{name} " + " ".join([f"{i}:{value}" for i, value in enumerate(row)]) for row in written]


def _pairs(left: list[str], right: list[str]) -> list[str]:
    return [f"{a} {b}" for a, b in zip(left, right, strict=True)]
