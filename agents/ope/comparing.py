"""A new policy beside the one that it would replace: estimates, differences, verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from textwrap import fill
from typing import TYPE_CHECKING, Any

from .results import Evaluation
from .tables import evaluation_table
from .verdict import Verdict, gains, verdict

if TYPE_CHECKING:
    from .paired import Difference

CONDITIONS = (
    "Holds if the new policy has not learnt from these rounds, and meets users and prompts like those of the log.",
    "Of several policies that are compared so, the best-looking one is partly lucky: judge it again on fresh rounds.",
)
WHY = {
    "dr": "It is right if the logged probabilities are, steadier than weights alone, and its interval knows its whole "
    "error.",
    "dm": "It is only as good as the reward model, whose error its interval does not know.",
}


@dataclass(frozen=True, eq=False)
class Comparison:
    """Prints as a table with the verdict below it.

    Args:
        found: the new policy.
        headline: the estimator whose word counts.
        baseline: the policy that would be replaced; the logging policy with None.
    """

    found: Evaluation
    headline: str
    baseline: Evaluation | None = None

    @property
    def against(self) -> str:
        """What the other policy is called."""
        return "logged" if self.baseline is None else self.baseline.policy

    @cached_property
    def gains(self) -> Mapping[str, Difference]:
        """What the new policy gains, by estimator."""
        return gains(self.found, self.baseline)

    @cached_property
    def verdict(self) -> Verdict:
        """What to do."""
        return verdict(self.found, self.headline, self.baseline)

    def notes(self) -> list[str]:
        """How to read the verdict; nothing where there is no estimate to read."""
        if self.verdict.gain is None:
            return []
        said = [f"This is the word of {self.headline}, which was settled before looking at the estimates.{self._why()}"]
        if self.verdict.gain.interval.method != self.found.method:
            said.append(f"Differences have Student's t intervals, since {self.found.method} cannot be had of them.")
        return [*said, *CONDITIONS]

    def _why(self) -> str:
        return f" {WHY[self.headline]}" if self.headline in WHY else ""

    def __str__(self) -> str:
        return self.text()

    def text(self, width: int = 110) -> str:
        """As lines for a terminal; the table's rows are not folded."""
        table = evaluation_table(self.found, self.gains, self.against).splitlines()
        folded = [
            fill(line, width, subsequent_indent="  ") if line[:2] in ("! ", "· ", "x ") else line for line in table
        ]
        rows = 3 + len(self.gains)
        said = [fill(one, width) for one in (self.verdict.sentence, " ".join(self.notes())) if one]
        return "\n".join([*table[:rows], *folded[rows:], "", *said])

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as of JSON."""
        return {
            "verdict": self.verdict.to_dict(),
            "notes": self.notes(),
            "new": self.found.to_dict(),
            "baseline": "logging" if self.baseline is None else self.baseline.to_dict(),
            "gains": {name: asdict(gain) for name, gain in self.gains.items()},
        }
