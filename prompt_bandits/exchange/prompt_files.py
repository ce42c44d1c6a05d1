"""The table of prompts in a file of its own: `log.prompts.csv` beside `log.csv`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from prompt_bandits.datasets.columns import Columns, concat
from prompt_bandits.exchange.guessing import integers, vectors
from prompt_bandits.exchange.records import Record, plain
from prompt_bandits.logs import LogReport
from prompt_bandits.logs.sources import open_source
from prompt_bandits.logs.values import Checker, integer_of, list_of
from prompt_bandits.types import IntArray, Prompts, text_array

_MOST_ONE_HOT = 10_000


def prompt_records(prompts: Prompts) -> Iterator[Record]:
    """The prompts, by their actions."""
    embedding = plain("embedding", prompts.embedding)
    for action, prompt_id in enumerate(prompts.prompt_id.tolist()):
        text = {} if prompts.text is None else {"text": prompts.text[action]}
        yield {"action": action, "prompt_id": prompt_id} | text | {"embedding": embedding[action]}


def prompts_file(path: Path) -> Path:
    """Where the prompts of the rounds in a file are."""
    return path.with_name(f"{path.stem}.prompts{path.suffix}")


def read_prompts(file: Path) -> Prompts:
    """A table of prompts: columns `prompt_id`, `text`, `embedding`, or some of them; one row an action, in order.

    Raises:
        ValueError: none of the columns, or values that are not what they should be.
    """
    log = open_source(file)
    asked = [name for name in ("prompt_id", "text", "embedding") if name in log.columns]
    if not asked:
        raise ValueError(f"{file}: expected columns prompt_id, text or embedding, found {', '.join(log.columns)}")
    report, parts, widths = LogReport(), list[Columns](), dict[str, int]()
    for chunk in log.chunks(asked):
        checker, values = Checker(chunk.first, chunk.problems), chunk.values
        part: Columns = {}
        if "prompt_id" in asked:
            part["prompt_id"] = integers(checker, "prompt_id", values["prompt_id"])
        if "text" in asked:
            part["text"] = text_array(value or "" for value in values["text"])
        if "embedding" in asked:
            part["embedding"] = vectors(checker, "embedding", values["embedding"], widths)
        report.add(checker.problems, len(chunk))
        parts.append(part)
    if not report.fine or not parts:
        raise ValueError(f"{file}: expected a table of prompts: {report}")
    found = concat(parts)
    n = len(found[asked[0]])
    prompt_id, embedding = found.get("prompt_id", np.arange(n)), found.get("embedding")
    return Prompts(prompt_id, _one_hot(n).embedding if embedding is None else embedding, found.get("text"))


def mentioned_prompts(action: IntArray, *, candidates: Sequence[Any] = (), prompt: Sequence[Any] = ()) -> Prompts:
    """As many prompts as actions are named; with their texts, where each of them was chosen."""
    named = [integer_of(item) or 0 for value in candidates for item in list_of(value) or ()]
    prompts = _one_hot(int(max([*named, action.max()])) + 1)
    texts = dict(zip(action.tolist(), prompt, strict=False))
    if len(texts) < len(prompts):
        return prompts
    return Prompts.from_embedding(prompts.embedding, [texts[a] or "" for a in range(len(prompts))])


def _one_hot(n: int) -> Prompts:
    if n > _MOST_ONE_HOT:
        raise ValueError(f"prompts: expected a table with embeddings for {n:,} prompts, found none")
    return Prompts.one_hot(n)
