"""Prompts, completions and rewards, as TRL's trainers take them (https://huggingface.co/docs/trl/dataset_formats)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prompt_bandits.exchange.json_lines import write_lines
from prompt_bandits.exchange.logged import LoggedData, in_parts
from prompt_bandits.exchange.prompt_texts import asked, written
from prompt_bandits.exchange.records import Record


def to_prompt_completion(
    data: LoggedData, *, completion: str = "sentence", template: str | None = None, good: float | None = None
) -> dict[str, list[Any]]:
    """Columns `prompt`, `completion` and `reward`, TRL's "prompt-completion" type: `Dataset.from_dict(…)` takes them.

    Everything else is lost: contexts, propensities, embeddings, who logged. What is learned from these rows alone is
    what the logging policy did; weights 1/propensity are not told to TRL.

    Args:
        data: rounds with texts.
        completion: "sentence": what the LLM wrote; the prompt is what it was asked. "prompt": the text of the prompt
            that was chosen, to teach a language model to choose; the prompt is the query.
        template: of `prompt`, with places `{query}`, `{prompt}`, `{user_id}` or an extra's name; None: prompt and query
            (for completion="prompt" the query alone), a blank line between.
        good: adds `label`, whether the reward is at least this, which makes it TRL's "unpaired preference" type, for
            KTO.

    Raises:
        ValueError: there are no such texts.
    """
    rows = list(_rows(data, completion, template, good))
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else ("prompt", "completion", "reward"))}


def export_file(
    data: LoggedData,
    path: Path,
    *,
    completion: str = "sentence",
    template: str | None = None,
    good: float | None = None,
) -> None:
    """Writes the columns of `to_prompt_completion` as JSON lines, which `datasets.load_dataset("json", …)` reads; a
    folder is read a part at a time. Arguments and errors as there.
    """
    write_lines(path, _rows(data, completion, template, good))


def _rows(data: LoggedData, completion: str, template: str | None, good: float | None) -> Iterator[Record]:
    default = ("query",) if completion == "prompt" else ("prompt", "query")
    for part in in_parts(data, without=("query", "output", "action_mask")):
        answers = written(part, completion)
        for prompt, answer, reward in zip(asked(part, template, default), answers, part.reward.tolist(), strict=True):
            label = {} if good is None else {"label": reward >= good}
            yield {"prompt": prompt, "completion": answer, "reward": reward} | label
