"""The report on a new policy: one page that a non-expert can act on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .comparing import Comparison
from .tables import percent, warnings_together

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..benchmark.tables import Entry, Table
    from .paired import Difference
    from .results import Result

_CAPTION = (
    "Left: what the new policy gains a round over {other}, by each estimator, in pairs over the same rounds; right of "
    "0 is better. Right: what it would earn, beside {other} (grey). Bars are {level} intervals; hollow marks should "
    "not be believed. The first row gives the verdict."
)
WORDS = {
    "value": "What the policy would earn a round, on average.",
    "interval": "Where that lies, given how much rounds differ. Of dm it leaves out the reward model's own error.",
    "gain": "The value less that of the other policy, in pairs over the same rounds: luck that both had cancels.",
    "better with": "The probability that the new policy is the better one, of the paired difference.",
    "effective rounds": "The log was made by another policy, so some rounds count much and others little: as good as "
    "so many rounds of the new policy's own. Below 30 an estimate is a guess. Remedy: more rounds, or a policy nearer "
    "to the logging policy.",
    "largest share": "How much of all weight the heaviest round has. From 10% on, one user's answer decides.",
    "mean weight": "Should be 1. If not, the logged probabilities are wrong, or the log lacks what the policy does.",
    "never tried": "How often the new policy would choose prompts that the log never tries: nothing is known of these.",
    "removed": "How much of the weight clipping or shrinking took away: steadier estimates, wrong by what is removed.",
    "propensities off": "How far logged probabilities are from how often prompts were really taken, and in brackets "
    "by how much they would be by chance.",
}


def report(compared: Comparison, facts: Mapping[str, Any]) -> str:
    """The report as HTML: one file, no network, every text from data escaped.

    Args:
        compared: the policies.
        facts: settings to show, plain values by name.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from ..benchmark.artefacts import versions
    from ..benchmark.pages import page, picture

    found = compared.found
    other = "the logged rounds" if compared.baseline is None else compared.baseline.policy
    caption = _CAPTION.format(other=other, level=f"{100 * found.level:.4g}%")
    return page(
        "evaluation.html.jinja",
        policy=found.policy,
        other="the policy that logged" if compared.baseline is None else compared.baseline.policy,
        verdict=compared.verdict,
        notes=compared.notes(),
        n=f"{len(found.reward):,}",
        logged=f"{found.logged.value:.4f}",
        n_estimators=len(found),
        level=f"{100 * found.level:.4g}%",
        picture=picture("estimates", caption, figure(compared)) if compared.gains else None,
        estimates=estimates_table(compared),
        diagnostics=diagnostics_table(compared),
        warnings=warnings_together(found),
        warnings_of_other=[] if compared.baseline is None else warnings_together(compared.baseline),
        refused=[(one.name, one.refused) for one in found.results if one.refused is not None],
        words=WORDS,
        facts={name: json.dumps(value, ensure_ascii=False) for name, value in facts.items()},
        versions=versions(),
    )


def figure(compared: Comparison) -> Figure:
    """Gains on the left, values on the right, an estimator a row.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from ..benchmark.plot_style import style

    with style():
        return _figure(compared)


def _figure(compared: Comparison) -> Figure:
    from ..benchmark.plot_style import GREY, PALETTE, plain
    from ..plotting import pyplot

    found, other = compared.found, compared.baseline
    said = [one for one in found.results if one.name in compared.gains][::-1]
    size = (9.5, 0.42 * len(said) + 1.4)
    drawn, (gained, values) = pyplot().subplots(1, 2, figsize=size, sharey=True, layout="constrained")
    if other is None:
        within = found.logged_interval
        values.axvspan(within.low, within.high, color=GREY, alpha=0.25, linewidth=0, zorder=0)
        values.axvline(found.logged.value, color=GREY, linewidth=1, zorder=1)
    gained.axvline(0, color=GREY, linewidth=1, zorder=1)
    for row, one in enumerate(said):
        colour, gain = PALETTE[1], compared.gains[one.name]
        old = None if other is None else other[one.name]
        if old is not None and old.interval is not None:
            _bar(values, row - 0.22, (old.interval.low, old.value, old.interval.high), GREY, old.believable)
        assert one.interval is not None
        believed = one.believable and (old is None or old.believable)
        _bar(values, row, (one.interval.low, one.value, one.interval.high), colour, one.believable)
        _bar(gained, row, (gain.interval.low, gain.estimate.value, gain.interval.high), colour, believed)
    gained.set_yticks(range(len(said)), [plain(one.name) for one in said])
    gained.set_ylim(-0.6, len(said) - 0.4)
    values.set_xlabel("value a round")
    gained.set_xlabel(plain(f"gain over {'the logged rounds' if other is None else other.policy}", 60))
    for ax in (values, gained):
        ax.grid(axis="y", visible=False)
        ax.tick_params(length=0)
    return drawn  # type: ignore[no-any-return]


def _bar(ax: Any, row: float, at: tuple[float, float | None, float], colour: str, believable: bool) -> None:
    ax.plot([at[0], at[2]], [row, row], color=colour, linewidth=1.8, solid_capstyle="butt")
    ax.plot(at[1], row, "o", color=colour, markersize=6.5, markerfacecolor=colour if believable else "none")


def estimates_table(compared: Comparison) -> Table:
    """A row an estimator that says something."""
    from ..benchmark.tables import Column, Entry, Table

    rows = []
    for one in compared.found.results:
        if one.interval is None:
            continue
        gain = compared.gains.get(one.name)
        rows.append(
            (
                Entry(one.name),
                *_of_gain(gain),
                Entry(f"{one.value:.4f} [{one.interval.low:.4f}, {one.interval.high:.4f}]", one.value),
                _count(None if one.diagnostics is None else one.diagnostics.effective_rounds),
                Entry("yes" if one.believable else "no"),
            )
        )
    numbers = map(Column, ("gain [interval]", "better with", "value [interval]", "effective rounds"))
    return Table((Column("estimator", numeric=False), *numbers, Column("believable", numeric=False)), tuple(rows))


def _of_gain(gain: Difference | None) -> tuple[Entry, Entry]:
    from ..benchmark.tables import MISSING, Entry

    if gain is None:
        return Entry(MISSING), Entry(MISSING)
    value, within = gain.estimate.value, gain.interval
    shown = Entry(f"{value:+.4f} [{within.low:+.4f}, {within.high:+.4f}]", value)
    return shown, Entry(percent(gain.probability), gain.probability)


def _count(value: float | None) -> Entry:
    from ..benchmark.tables import MISSING, Entry

    return Entry(MISSING) if value is None else Entry(f"{value:,.0f}", value)


def diagnostics_table(compared: Comparison) -> Table:
    """A row an estimator that says something: what its estimate rests on."""
    from ..benchmark.tables import Column, Table

    titles = (
        "effective rounds",
        "largest share",
        "mean weight",
        "never tried",
        "removed",
        "propensities off",
    )
    columns = (Column("estimator", numeric=False), *map(Column, titles))
    return Table(columns, tuple(_checks(one) for one in compared.found.results if one.diagnostics is not None))


def _checks(one: Result) -> tuple[Entry, ...]:
    from ..benchmark.tables import MISSING, Entry

    seen = one.diagnostics
    assert seen is not None
    mean, within, table = seen.mean_weight, seen.mean_weight_interval, seen.calibration
    mass = seen.unlogged_mass if seen.unsupported_mass is None else seen.unsupported_mass
    weight = Entry(MISSING)
    if mean is not None:
        between = "" if within is None else f" [{within.low:.3f}, {within.high:.3f}]"
        weight = Entry(f"{mean.value:.3f}{between}", mean.value)
    off = Entry(MISSING) if table is None else Entry(f"{table.error:.1%} ({table.noise:.1%})", table.error)
    shares = [_share(value) for value in (seen.largest_share, mass, seen.removed_weight)]
    return Entry(one.name), _count(seen.effective_rounds), shares[0], weight, shares[1], shares[2], off


def _share(value: float | None) -> Entry:
    from ..benchmark.tables import MISSING, Entry

    return Entry(MISSING) if value is None else Entry(f"{value:.2%}", value)
