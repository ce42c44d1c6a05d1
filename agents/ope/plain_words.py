"""Diagnostics for readers who are no statisticians: what is wrong, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .diagnostics import Diagnostics

FEW_EFFECTIVE = 30.0  # rounds: below, an interval is a guess
LARGE_SHARE = 0.1  # of all weight on one round
UNSUPPORTED, UNSUPPORTED_NOTED = 0.05, 0.001  # of the policy's choices
REMOVED, REMOVED_NOTED = 0.5, 0.05  # of the weight
OFF = 3.3  # standard errors: by chance once in a thousand evaluations
MATERIAL = 0.01  # of the mean weight
CALIBRATED = 0.05  # mean relative error of probabilities
FEW_ROUNDS = 100

Sentence = Callable[["Diagnostics"], "str | None"]


def grave(found: Diagnostics) -> tuple[str, ...]:
    """Why the estimate should not be believed."""
    weights = _told(found, _few_effective, _one_round, _mean_weight, _unsupported, _removed)
    return (*weights, *found.doubts, *_told(found, _gap, _calibration, _other_propensities))


def notes(found: Diagnostics) -> tuple[str, ...]:
    """What to know besides."""
    return _told(found, _few_rounds, _slightly_unsupported, _slightly_removed, _only_model, _estimated)


def _told(found: Diagnostics, *sentences: Sentence) -> tuple[str, ...]:
    return tuple(told for sentence in sentences if (told := sentence(found)) is not None)


def _few_effective(found: Diagnostics) -> str | None:
    if found.effective_rounds is None or found.effective_rounds >= FEW_EFFECTIVE:
        return None
    return (
        f"The estimate rests on as good as {found.effective_rounds:.0f} of {found.n:,} rounds: the policy seldom does "
        "what was logged. Log more rounds, or evaluate a policy that is nearer to the logging policy."
    )


def _one_round(found: Diagnostics) -> str | None:
    if found.largest_share is None or found.largest_share < LARGE_SHARE:
        return None
    return (
        f"A single round has {found.largest_share:.0%} of all weight: had its user answered otherwise, the estimate "
        "would be another. Clip the weights, or take a doubly robust estimator."
    )


def _mean_weight(found: Diagnostics) -> str | None:
    mean, within = found.mean_weight, found.mean_weight_interval
    if mean is None or within is None or abs(mean.value - 1) < max(OFF * mean.se, MATERIAL):
        return None
    return (
        f"The importance weights average {mean.value:.3f} [{within.low:.3f}, {within.high:.3f}] and should average 1: "
        "the propensities are wrong, or the policy does what the log hardly contains."
    )


def _mass(found: Diagnostics) -> float:
    return found.unlogged_mass if found.unsupported_mass is None else found.unsupported_mass


def _unsupported(found: Diagnostics) -> str | None:
    if _mass(found) < UNSUPPORTED:
        return None
    return (
        f"{_mass(found):.1%} of the time the policy would choose prompts that the log never tries: no log tells what "
        f"they earn. Here they {_counted(found)}."
    )


def _slightly_unsupported(found: Diagnostics) -> str | None:
    if not UNSUPPORTED_NOTED <= _mass(found) < UNSUPPORTED:
        return None
    return f"{_mass(found):.1%} of the policy's choices are prompts that the log never tries; they {_counted(found)}."


def _counted(found: Diagnostics) -> str:
    return "are valued by the reward model alone" if found.needs_model else "count as earning nothing"


def _removed(found: Diagnostics) -> str | None:
    if found.removed_weight is None or found.removed_weight < REMOVED:
        return None
    return f"{found.removed_weight:.0%} of the weight is taken away, which is more than is left. {_instead(found)}"


def _slightly_removed(found: Diagnostics) -> str | None:
    if found.removed_weight is None or not REMOVED_NOTED <= found.removed_weight < REMOVED:
        return None
    return f"{found.removed_weight:.0%} of the weight is taken away to make the estimate steadier. {_instead(found)}"


def _instead(found: Diagnostics) -> str:
    return "The reward model speaks in its place." if found.needs_model else "It counts as earning nothing."


def _gap(found: Diagnostics) -> str | None:
    gap = found.gap
    if gap is None or gap.se == 0 or abs(gap.value) < OFF * gap.se:
        return None
    missing = f"{gap.value:+.4f} ± {gap.se:.4f}"
    if found.effective_rounds is None:
        return (
            f"The reward model is wrong for this policy: weighted logged rewards differ from its predictions by "
            f"{missing}. Take a doubly robust estimator, which corrects for that."
        )
    return f"What the smaller weights leave out matters: with all of it the estimate moves by {missing}. Shrink less."


def _only_model(found: Diagnostics) -> str | None:
    if not found.needs_model or found.effective_rounds is not None:
        return None
    return "It is as good as the reward model, and the interval knows nothing of that model's error."


def _calibration(found: Diagnostics) -> str | None:
    table = found.calibration
    if table is None or table.error < max(CALIBRATED, 3 * table.noise):
        return None
    worst = max(table.bins, key=lambda one: abs(one.ratio - 1) / one.se if one.se > 0 else 0.0)
    return (
        f"The propensities are off by {table.error:.0%} on average: prompts that are said to be taken with probability "
        f"{worst.predicted:.3g} were taken in a share of {worst.observed:.3g} of the cases."
    )


def _other_propensities(found: Diagnostics) -> str | None:
    if found.propensity_gap is None or found.propensity_gap < MATERIAL:
        return None
    return (
        "The logged propensities are not those of the logging policy that the data carry: they differ by up to "
        f"{found.propensity_gap:.0%}."
    )


def _few_rounds(found: Diagnostics) -> str | None:
    return f"{found.n} rounds are few: intervals are rough." if found.n < FEW_ROUNDS else None


def _estimated(found: Diagnostics) -> str | None:
    if not found.propensities_estimated or found.effective_rounds is None:
        return None
    return (
        "The propensities were estimated from the log: right only if its columns hold all that the logging policy "
        "looked at."
    )
