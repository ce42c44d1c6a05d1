"""What is raised when requests stay unanswered: how many, which, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from typing_extensions import Self

from prompt_bandits.llms.requests import GenerationError

_SHOWN = 3


class RequestsFailed(GenerationError):
    """Some requests were not answered; every answer that arrived was yielded before.

    Args:
        headline: of which model.
        n: how many were asked.
        missing: positions without an answer, ascending.
        reasons: why, by position, for those that failed by themselves.
        stopped: why the run ended early, if it did.
        noun: what is counted.

    Attributes:
        missing, reasons: as above.
    """

    def __init__(
        self,
        headline: str,
        *,
        n: int = 0,
        missing: Sequence[int] = (),
        reasons: Mapping[int, str] | None = None,
        stopped: str = "",
        noun: str = "requests",
    ) -> None:
        self.missing, self.reasons = tuple(missing), dict(reasons or {})
        self._headline, self._stopped = headline, stopped
        super().__init__(self._told(n, noun) if missing else headline)

    def among(self, n: int, places: Sequence[Sequence[int]], noun: str = "requests") -> Self:
        """The same failure told to who asked for `n`, of which request i of this one stands at `places[i]`."""
        return type(self)(
            self._headline,
            n=n,
            missing=sorted(place for i in self.missing for place in places[i]),
            reasons={place: why for i, why in self.reasons.items() for place in places[i]},
            stopped=self._stopped,
            noun=noun,
        ).with_traceback(self.__traceback__)

    def _told(self, n: int, noun: str) -> str:
        without = len(self.missing)
        lines = [f"{self._headline}: {without} of {n} {noun} have no answer, {n - without} have"]
        lines += [f"stopped: {self._stopped}"] if self._stopped else []
        if self.reasons:
            shown = "; ".join(f"{position}: {why}" for position, why in list(self.reasons.items())[:_SHOWN])
            lines.append(f"{len(self.reasons)} failed, the first: {shown}")
        return "\n".join([*lines, f"missing: {positions(self.missing)}"])


class BudgetExceeded(RequestsFailed):
    """The next request could have cost more than what the budget has left; it was not sent."""


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
