"""What is raised when requests stay unanswered: how many, which, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prompt_bandits.llms.requests import GenerationError

_SHOWN = 3


class RequestsFailed(GenerationError):
    """Some requests were not answered; every answer that arrived was yielded before.

    Attributes:
        missing: positions of the requests without an answer, ascending.
        reasons: why, by position, for those that failed by themselves.
    """

    def __init__(self, message: str, *, missing: Sequence[int] = (), reasons: Mapping[int, str] | None = None) -> None:
        super().__init__(message)
        self.missing = tuple(missing)
        self.reasons = dict(reasons or {})


class BudgetExceeded(RequestsFailed):
    """The next request could have cost more than what the budget has left; it was not sent."""


def failure(
    headline: str, n: int, missing: Sequence[int], reasons: Mapping[int, str], stopped: str = "", over: bool = False
) -> RequestsFailed:
    """The error for a run of `n` requests of which some have no answer.

    Args:
        headline: of which model.
        n: how many were asked.
        missing: positions without an answer, ascending.
        reasons: by position, of those that failed by themselves.
        stopped: why the run ended early, if it did.
        over: because of the budget.
    """
    lines = [f"{headline}: {len(missing)} of {n} requests have no answer, {n - len(missing)} have"]
    lines += [f"stopped: {stopped}"] if stopped else []
    if reasons:
        shown = "; ".join(f"{position}: {why}" for position, why in list(reasons.items())[:_SHOWN])
        lines.append(f"{len(reasons)} failed, the first: {shown}")
    lines.append(f"missing: {positions(missing)}")
    return (BudgetExceeded if over else RequestsFailed)("\n".join(lines), missing=missing, reasons=reasons)


def positions(numbers: Sequence[int], most: int = 20) -> str:
    """Ascending numbers as text, neighbours joined: "0, 3-7, 9"; at most so many pieces."""
    pieces: list[list[int]] = []
    for number in numbers:
        if pieces and pieces[-1][1] == number - 1:
            pieces[-1][1] = number
        else:
            pieces.append([number, number])
    shown = [str(first) if first == last else f"{first}-{last}" for first, last in pieces[:most]]
    return ", ".join(shown) + (f", and {len(pieces) - most} more" if len(pieces) > most else "")


def one_line(text: str, most: int = 300) -> str:
    """A server's message, without line breaks and not too long."""
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[:most]} …"
