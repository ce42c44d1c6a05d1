"""Which column of a log is what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class LogColumns:
    """The names of a log's columns.

    Features (`context`, `query`, `output`) are numbers, lists of numbers, or texts for an encoder.

    Args:
        context: of the user; several columns are put side by side.
        action: the prompt that was shown: its id, or its text.
        reward: a number.
        propensity: the probability of the action, in (0, 1]; None where it is unknown.
        query: what the user asked about; texts are kept as `query_text` too.
        user_id: numbers, or texts, which are numbered in alphabetical order and kept as the extra `user`.
        output: embedding of what the LLM wrote.
        sentence: what it wrote; embedded as `output` where there is an encoder and no column for that.
        candidates: the prompts that could be chosen in the row, a list of ids or texts.
        time: seconds since 1970, dates or ISO texts (UTC unless they say otherwise); kept as the extra `time`.
        round_id: distinct integers; None numbers the rows of the log from 0.
        extras: columns to keep as they are: integers, numbers or texts. A missing number is NaN, a missing text empty.
    """

    context: str | Sequence[str]
    action: str
    reward: str
    propensity: str | None = None
    query: str | None = None
    user_id: str | None = None
    output: str | None = None
    sentence: str | None = None
    candidates: str | None = None
    time: str | None = None
    round_id: str | None = None
    extras: Sequence[str] = ()

    def __post_init__(self) -> None:
        made = {"time": self.time, "user": self.user_id}
        for name in self.extras:
            if made.get(name) is not None:
                raise ValueError(f"extras: {name!r} is what {made[name]!r} becomes; expected other columns")

    @property
    def contexts(self) -> tuple[str, ...]:
        return (self.context,) if isinstance(self.context, str) else tuple(self.context)

    def names(self) -> list[str]:
        """All columns of the log that are asked for, each once."""
        asked: list[str] = [*self.contexts, *self.extras]
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "context" and isinstance(value, str):
                asked.append(value)
        return list(dict.fromkeys(asked))

    def refuse_missing(self, present: Iterable[str]) -> None:
        """Raises a ValueError if the log lacks a column, or has one twice."""
        there = list(present)
        twice = [name for name in self.names() if there.count(name) > 1]
        if twice:
            raise ValueError(f"columns: expected each name once in the log, got {', '.join(twice)} again")
        missing = [name for name in self.names() if name not in there]
        if missing:
            raise ValueError(
                f"columns: expected {', '.join(missing)} in the log, which has {', '.join(map(str, there))}"
            )
