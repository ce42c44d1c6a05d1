"""What a round asked, as text: for trainers of language models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from string import Formatter
from typing import Any

from prompt_bandits.datasets.dataset import BanditDataset
from prompt_bandits.types import TextArray

COMPLETIONS = ("sentence", "prompt")


def asked(rows: BanditDataset, template: str | None, default: Sequence[str]) -> Iterator[str]:
    """The template filled for each round.

    Args:
        rows: rounds.
        template: with places such as `{query}`; None: those of `default` that there are, a blank line between.
        default: names of places.

    Raises:
        ValueError: a place that these rounds cannot fill, or nothing to ask.
    """
    known = _places(rows)
    if template is None:
        template = "\n\n".join(f"{{{place}}}" for place in default if place in known)
        if not template:
            raise ValueError(
                f"query_text: expected texts of {' or '.join(default)}, the rounds have none; or a template"
            )
    places = [place for _, place, _, _ in Formatter().parse(template) if place is not None]
    for place in places:
        if place not in known:
            raise ValueError(f"template: expected some of {', '.join(known)} as places, got {{{place}}}")
    for values in zip(*known.values(), strict=True):
        yield template.format(**dict(zip(known, values, strict=True)))


def written(rows: BanditDataset, completion: str) -> TextArray:
    """What the trained model is to write: the sentences, or the texts of the prompts that were chosen.

    Raises:
        ValueError: there are no such texts.
    """
    if completion not in COMPLETIONS:
        raise ValueError(f"completion: expected one of {', '.join(COMPLETIONS)}, got {completion!r}")
    if completion == "prompt":
        if rows.prompts.text is None:
            raise ValueError("prompts.text: expected texts of the prompts, the dataset has none")
        return rows.prompts.text[rows.action]
    if rows.output is None or rows.output.text is None:
        raise ValueError("sentence: expected texts of what the LLM wrote, the dataset has none")
    return rows.output.text


def _places(rows: BanditDataset) -> dict[str, Sequence[Any]]:
    """What a template may name, and its values."""
    places: dict[str, Sequence[Any]] = {
        name: column.tolist() for name, column in rows.extras.items() if column.ndim == 1 and name.isidentifier()
    }
    if rows.prompts.text is not None:
        places["prompt"] = rows.prompts.text[rows.action].tolist()
    if rows.obs.query_text is not None:
        places["query"] = rows.obs.query_text.tolist()
    if rows.obs.user_id is not None:
        places["user_id"] = rows.obs.user_id.tolist()
    return places
