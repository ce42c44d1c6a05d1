"""Choosing among learners, or settings of one, without the environment: by an estimate on rounds held out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any, TypeVar

from prompt_bandits.datasets import BanditDataset
from prompt_bandits.progress import progress_bar
from prompt_bandits.protocols import Policy
from prompt_bandits.types import Estimate

from .all_rounds import all_rounds
from .plotting import new_axes
from .protocols import Learner, LoggedData, QFunction, SamplesOutputs
from .reward_models import fit_action_reward_model
from .value_estimates import dr_value, effective_rounds, ips_value, snips_value

ValueEstimate = Callable[[Policy, LoggedData], Estimate]
"""(policy, held-out rounds) -> its value."""
L = TypeVar("L", bound=Learner)
_FEW = 30


@dataclass(frozen=True, eq=False)
class Candidate:
    """One learner, and what the policy that it learned from a part of the rounds is worth on the rest."""

    name: str
    value: Estimate | None  # None where it failed
    effective: float | None  # rounds that importance weights leave, (Σw)² / Σw²; None without propensities
    policy: Policy | None
    error: str | None = None


@dataclass(frozen=True, eq=False)
class Selection:
    """Learners by their estimated values; prints as a table, plots as bars.

    The best estimate of several is too high on average, the more so the more there are and the larger their errors.
    """

    candidates: tuple[Candidate, ...]
    best: str  # the name of the winner
    policy: Policy  # the winner's, fitted on all rounds if that was asked for
    logged: Estimate  # mean reward of the rounds held out: the value of the logging policy
    standard_errors: float  # taken off each value before they were compared

    @property
    def values(self) -> dict[str, Estimate]:
        """The estimates of those that did not fail."""
        return {one.name: one.value for one in self.candidates if one.value is not None}

    def __str__(self) -> str:
        width = max(len(name) for name in ("as logged", *(one.name for one in self.candidates)))
        lines = [f"  {'learner':<{width}}  {'estimated value':>18}  {'effective rounds':>16}"]
        lines.append("─" * len(lines[0]))
        lines.append(f"  {'as logged':<{width}}  {self.logged!s:>18}  {self.logged.n:>16,}")
        for one in self.candidates:
            mark = "*" if one.name == self.best else " "
            effective = "" if one.effective is None else f"{one.effective:,.1f}"
            told = one.error if one.value is None else f"{one.value!s:>18}  {effective:>16}".rstrip()
            lines.append(f"{mark} {one.name:<{width}}  {told}")
        winner = next(one for one in self.candidates if one.name == self.best)
        if winner.effective is not None and winner.effective < _FEW:
            lines.append(f"The winner's weights leave {winner.effective:.1f} effective rounds: too few to trust it.")
        return "\n".join(lines)

    def plot(self, ax: Any = None) -> Any:
        """Bars of estimated values with standard errors, on `ax` or new axes; returns the axes.

        Raises:
            ImportError: matplotlib is not installed.
        """
        bars = {"as logged": self.logged, **self.values}
        if ax is None:
            ax = new_axes(7, 0.45 * len(bars) + 1.2)
        names = list(bars)[::-1]
        ax.barh(
            names,
            [bars[name].value for name in names],
            xerr=[bars[name].se for name in names],
            color=["C0" if name == self.best else "0.65" for name in names],
            height=0.7,
        )
        ax.axvline(0, color="0.3", linewidth=0.8)
        ax.set_xlabel("estimated value ± s.e. on rounds held out")
        ax.spines[["top", "right"]].set_visible(False)
        return ax


def variants(learner: L, **values: Sequence[Any]) -> dict[str, L]:
    """A learner with every combination of these values of its fields: `variants(IPS(), lr=[1e-3, 1e-4])`.

    Raises:
        TypeError: a field that it does not have.
    """
    combined = (dict(zip(values, chosen, strict=True)) for chosen in product(*values.values()))
    return {
        ", ".join(f"{name}={value}" for name, value in fields.items()): replace(learner, **fields)  # type: ignore[type-var]
        for fields in combined
    }


def select(
    learners: Mapping[str, Learner],
    data: LoggedData,
    *,
    seed: int,
    simulator: SamplesOutputs | None = None,
    estimate: str | ValueEstimate = "snips",
    held_out: float | LoggedData = 0.25,
    standard_errors: float = 0.0,
    refit: bool = True,
    memory_mb: int = 256,
) -> Selection:
    """Fits every learner on a part of the rounds, and picks the one whose policy is worth most on the rest.

    Args:
        learners: by name.
        data: logged rounds; a folder is read where it fits into `memory_mb`, unless `held_out` are rounds too.
        seed: of the split and of every fit.
        simulator: sampling rights, for learners that need them.
        estimate: "snips", "ips", "dr" (with a reward model by action that is fitted on the rounds to learn from), or a
            function of (policy, held-out rounds), such as `partial(snips_value, clip=100)`.
        held_out: the share of the rounds to judge on; or those rounds themselves, say the most recent ones.
        standard_errors: how many to take off before values are compared: 1.645 picks by the lower end of a 90%
            interval. Where few effective rounds are left, standard errors are too small to help.
        refit: fit the winner once more, on all rounds.
        memory_mb: of rounds at a time.

    Raises:
        ValueError: no learners, an unknown estimate, unknown propensities, a share outside (0, 1), or a folder that is
            too large.
        RuntimeError: every learner failed; the message names each error.
    """
    if not learners:
        raise ValueError("learners: expected at least one, got none")
    if not standard_errors >= 0:
        raise ValueError(f"standard_errors: expected >= 0, got {standard_errors}")
    train, judged = _parts(data, held_out, seed, memory_mb)
    value = _estimate(estimate, train, judged, seed)
    candidates = []
    with progress_bar(len(learners), "select") as bar:
        for name, learner in learners.items():
            candidates.append(_candidate(name, learner, train, judged, value, seed, simulator))
            bar.update(1)
    best = _best(candidates, standard_errors)
    assert best.policy is not None
    policy = best.policy
    if refit:
        whole = data if isinstance(held_out, float) else _together(train, judged, memory_mb)
        policy = learners[best.name].fit(whole, seed=seed, simulator=simulator)
    logged = Estimate.from_terms(judged.reward)
    return Selection(tuple(candidates), best.name, policy, logged, standard_errors)


def _parts(
    data: LoggedData, held_out: float | LoggedData, seed: int, memory_mb: int
) -> tuple[LoggedData, BanditDataset]:
    """Rounds to learn from and rounds to judge on."""
    if not isinstance(held_out, (int, float)):
        return data, all_rounds(held_out, memory_mb, "judging")
    if not 0 < held_out < 1:
        raise ValueError(f"held_out: expected a share in (0, 1) or logged rounds, got {held_out}")
    return all_rounds(data, memory_mb, "holding out a share").split(1 - held_out, seed)


def _together(train: LoggedData, judged: BanditDataset, memory_mb: int) -> BanditDataset:
    return BanditDataset.concat([all_rounds(train, memory_mb, "refitting on all rounds"), judged])


def _estimate(estimate: str | ValueEstimate, train: LoggedData, judged: BanditDataset, seed: int) -> ValueEstimate:
    """The estimate as a function; what it lacks is said before anything is fitted."""
    if not isinstance(estimate, str):
        return estimate
    if estimate not in ("snips", "ips", "dr"):
        raise ValueError(f"estimate: expected 'snips', 'ips', 'dr' or a function, got {estimate!r}")
    judged.require_propensity()
    if estimate == "dr":
        q_hat: QFunction = fit_action_reward_model(train, seed=seed)
        return partial(dr_value, q_hat=q_hat)
    return snips_value if estimate == "snips" else ips_value


def _candidate(
    name: str,
    learner: Learner,
    train: LoggedData,
    judged: BanditDataset,
    value: ValueEstimate,
    seed: int,
    simulator: SamplesOutputs | None,
) -> Candidate:
    try:
        policy = learner.fit(train, seed=seed, simulator=simulator)
        found = value(policy, judged)
        if not math.isfinite(found.value):
            raise ValueError(f"estimate: expected a finite value, got {found.value}")
        effective = None if judged.propensity is None else effective_rounds(policy, judged)
    except Exception as error:  # whatever it is, the others go on
        return Candidate(name, None, None, None, f"{type(error).__name__}: {error}")
    return Candidate(name, found, effective, policy)


def _best(candidates: Sequence[Candidate], standard_errors: float) -> Candidate:
    """The first of those with the highest value, less so many standard errors."""
    judged = [(one.value.value - standard_errors * one.value.se, one) for one in candidates if one.value is not None]
    if not judged:
        told = "; ".join(f"{one.name}: {one.error}" for one in candidates)
        raise RuntimeError(f"select: every learner failed: {told}")
    return max(judged, key=lambda pair: pair[0])[1]
