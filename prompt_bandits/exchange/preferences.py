"""Pairs of which one earned more, as TRL's trainers take them (https://huggingface.co/docs/trl/dataset_formats)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from prompt_bandits.datasets.dataset import BanditDataset
from prompt_bandits.exchange.json_lines import write_lines
from prompt_bandits.exchange.logged import LoggedData, in_memory
from prompt_bandits.exchange.prompt_texts import asked, written
from prompt_bandits.types import IntArray

COLUMNS = ("prompt", "chosen", "rejected", "chosen_reward", "rejected_reward")


def to_preferences(
    data: LoggedData, *, completion: str = "sentence", template: str | None = None, margin: float = 0.0
) -> dict[str, list[Any]]:
    """Columns `prompt`, `chosen`, `rejected` (TRL's "preference" type), `chosen_reward` and `rejected_reward`.

    *How pairs are formed.* Rounds of the same user (by id, else by context) with the same query (by id, else text, else
    features) are a group. In each, the best is paired with the worst, the second best with the second worst, and so
    on, while the reward of the better one is higher by more than `margin`; of equal rewards, the earlier round is the
    better one. So no round is in two pairs. Pairs whose two texts are equal are left out. Pairs stand in the order of
    their groups' first rounds. Rewards are single observations: noise in them is noise in the labels, and how often a
    text occurs is the logging policy's doing.

    Args:
        data: rounds with texts; of a folder, texts, ids and features are read into memory.
        completion: "sentence": the two are what the LLM wrote. "prompt": they are the texts of the prompts that were
            chosen, to teach a language model to choose.
        template: of `prompt`, which both share, with places `{query}`, `{user_id}` or an extra's name (the extra of the
            better round); None: the query.
        margin: by how much rewards must differ.

    Raises:
        ValueError: there are no such texts, or the template names what the two rounds do not share.
    """
    rows = in_memory(data, without=("output", "action_mask"))
    if template is not None and "{prompt}" in template:
        raise ValueError("template: expected no {prompt}, which the two rounds of a pair do not share")
    if margin < 0:
        raise ValueError(f"margin: expected at least 0, got {margin}")
    texts = written(rows, completion)
    pairs = [(a, b) for group in _groups(rows) for a, b in _pairs(rows, group, margin) if texts[a] != texts[b]]
    better = np.array([a for a, _ in pairs], np.int64)
    worse = np.array([b for _, b in pairs], np.int64)
    columns = (
        list(asked(rows.take(better), template, ("query",))),
        texts[better].tolist(),
        texts[worse].tolist(),
        rows.reward[better].tolist(),
        rows.reward[worse].tolist(),
    )
    return dict(zip(COLUMNS, columns, strict=True))


def export_file(
    data: LoggedData, path: Path, *, completion: str = "sentence", template: str | None = None, margin: float = 0.0
) -> None:
    """Writes the columns of `to_preferences` as JSON lines, which `datasets.load_dataset("json", …)` reads; arguments
    and errors as there.
    """
    columns = to_preferences(data, completion=completion, template=template, margin=margin)
    write_lines(path, (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)))


def _groups(rows: BanditDataset) -> list[IntArray]:
    """Rounds of one user with one query, in order."""
    obs, groups = rows.obs, defaultdict[Hashable, list[int]](list)
    user = obs.context if obs.user_id is None else obs.user_id
    queries = (obs.query_id, obs.query_text, obs.query)
    query = next((column for column in queries if column is not None), None)
    for row in range(len(rows)):
        groups[_key(user[row]), None if query is None else _key(query[row])].append(row)
    return [np.array(group, np.int64) for group in groups.values()]


def _key(value: Any) -> Hashable:
    return value.tobytes() if isinstance(value, np.ndarray) else value


def _pairs(rows: BanditDataset, group: IntArray, margin: float) -> Iterator[tuple[int, int]]:
    order = group[np.argsort(-rows.reward[group], kind="stable")]
    for better, worse in zip(order[: len(order) // 2], order[::-1], strict=False):
        if rows.reward[better] - rows.reward[worse] > margin:
            yield int(better), int(worse)
