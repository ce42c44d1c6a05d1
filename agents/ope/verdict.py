"""What to do: ship the new policy, keep the old one, or gather more rounds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from .tables import percent

if TYPE_CHECKING:
    from .paired import Difference
    from .results import Evaluation, Result

SHIP, KEEP, UNKNOWN = "ship", "keep", "unknown"
POWER = 0.8  # how often rounds that are said to be enough show a difference of that size
_HOPELESS = 1000  # times the rounds at hand: no plan


@dataclass(frozen=True)
class Verdict:
    """One of three decisions, in words.

    It is the word of one estimator, the headline, which is settled before anything is looked at: the best-looking of
    several would win by luck too often. Ship or keep where the interval of the paired difference leaves out 0; neither
    where something grave speaks against the headline.
    """

    decision: str  # SHIP, KEEP or UNKNOWN
    headline: str  # the estimator
    sentence: str
    reasons: tuple[str, ...] = ()  # why not to believe it, the grave first
    gain: Difference | None = None
    rounds_needed: int | None = None  # to show a difference as large as the estimated one, with probability POWER
    detectable: float | None = None  # the least difference that as many rounds as these show, likewise

    def __str__(self) -> str:
        return self.sentence

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as of JSON."""
        return asdict(self)


def verdict(found: Evaluation, headline: str, baseline: Evaluation | None = None) -> Verdict:
    """Whether to ship the policy.

    Args:
        found: the new policy.
        headline: the estimator whose word counts, one of those of `found`. Choose it before looking.
        baseline: the policy that would be replaced, over the same rounds; the logging policy with None.

    Raises:
        KeyError: no such estimator.
        ValueError: a baseline over other rounds.
    """
    told = [found[headline], *([] if baseline is None else [baseline[headline]])]
    for one in told:
        if one.refused is not None:
            return _unknown(headline, "there is no estimate", (one.refused,))
    gain = gains(found, baseline)[headline]
    reasons = _grave(told)
    if reasons:
        return _unknown(headline, f"{_difference(gain)} is estimated, which should not be believed", reasons, gain)
    low, high = gain.interval.low, gain.interval.high
    if low > 0:
        said = f"Ship it: the new policy is better with probability {percent(gain.probability)}; gain"
        return Verdict(SHIP, headline, f"{said} {_difference(gain)} a round.", gain=gain)
    if high < 0:
        said = f"Don't ship: the new policy is worse with probability {percent(1 - gain.probability)}; change"
        return Verdict(KEEP, headline, f"{said} {_difference(gain)} a round.", gain=gain)
    return _undecided(headline, gain)


def gains(found: Evaluation, baseline: Evaluation | None) -> Mapping[str, Difference]:
    """What the policy gains over the baseline, or over the logging policy, by each estimator that says something."""
    return found.improvement if baseline is None else found.difference(baseline)


def _grave(told: list[Result]) -> tuple[str, ...]:
    """What speaks against any of them, each sentence once."""
    return tuple(dict.fromkeys(why for one in told if one.diagnostics is not None for why in one.diagnostics.grave()))


def _unknown(headline: str, why: str, reasons: tuple[str, ...], gain: Difference | None = None) -> Verdict:
    return Verdict(UNKNOWN, headline, f"The log cannot tell: {why}. {reasons[0]}", reasons, gain)


def _undecided(headline: str, gain: Difference) -> Verdict:
    """Neither is better for sure. With z the quantiles of level and power, rounds (z·sd/gain)² show a gain."""
    from scipy.special import ndtri

    value, se, n = gain.estimate.value, gain.estimate.se, gain.estimate.n
    if se == 0:
        return Verdict(UNKNOWN, headline, "There is nothing to tell: both policies earn the same here.", gain=gain)
    z = float(ndtri((1 + gain.interval.level) / 2) + ndtri(POWER))
    detectable = z * se
    needed = _rounded(n * (detectable / value) ** 2) if abs(value) * math.sqrt(_HOPELESS) > detectable else None
    said = f"The log cannot tell: the difference may be {_difference(gain)} a round. "
    if needed is None:
        said += "No log of a sensible size shows so small a difference;"
    else:
        said += f"Were it really {value:+.4f}, you'd need about {needed:,} rounds to show it;"
    said += f" these {n:,} would show one of {detectable:.3g}."
    return Verdict(UNKNOWN, headline, said, (), gain, needed, detectable)


def _rounded(n: float) -> int:
    """Up, to two digits: more would pretend to know."""
    unit: int = 10 ** max(0, math.floor(math.log10(n)) - 1)
    return math.ceil(n / unit) * unit


def _difference(gain: Difference) -> str:
    return f"{gain.estimate.value:+.4f} [{gain.interval.low:+.4f}, {gain.interval.high:+.4f}]"
