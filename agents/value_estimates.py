"""What a policy would have earned, estimated from logged rounds, as single numbers: what model selection looks at.

`agents.ope.evaluate` gives the same estimates with intervals and diagnostics.
"""

from __future__ import annotations

from prompt_bandits.protocols import Policy
from prompt_bandits.types import Estimate

from .ope.columns import Weight, columns_of
from .ope.diagnostics import effective_rounds as _effective_rounds
from .ope.estimators import DM, DR, IPS, SNIPS, Estimator
from .ope.models import Models
from .protocols import LoggedData, QFunction


def ips_value(policy: Policy, data: LoggedData, clip: float | None = None) -> Estimate:
    """As `ope.estimators.IPS`.

    Raises:
        ValueError: the propensities are unknown, or a clip that leaves no weight.
    """
    return estimate_value(IPS(clip), policy, data)


def snips_value(policy: Policy, data: LoggedData, clip: float | None = None) -> Estimate:
    """As `ope.estimators.SNIPS`; look at `effective_rounds` too.

    Raises:
        ValueError: the policy takes none of the logged actions, or as `ips_value`.
    """
    return estimate_value(SNIPS(clip), policy, data)


def dm_value(policy: Policy, data: LoggedData, q_hat: QFunction) -> Estimate:
    """As `ope.estimators.DM`. Needs neither propensities nor rewards."""
    return estimate_value(DM(), policy, data, q_hat)


def dr_value(policy: Policy, data: LoggedData, q_hat: QFunction, clip: float | None = None) -> Estimate:
    """As `ope.estimators.DR`. Raises as `ips_value`."""
    return estimate_value(DR(clip), policy, data, q_hat)


def effective_rounds(policy: Policy, data: LoggedData) -> float:
    """(Σw)² / Σw², how many rounds an importance-weighted estimate rests on; 0 where all weights are.

    Raises:
        ValueError: the propensities are unknown.
    """
    return _effective_rounds(columns_of(data, policy, [Weight()])[Weight()])


def estimate_value(estimator: Estimator, policy: Policy, data: LoggedData, q_hat: QFunction | None = None) -> Estimate:
    """An estimator's value and standard error, without intervals and diagnostics. Raises what its columns raise."""
    named = estimator.columns()
    columns = columns_of(data, policy, list(named.values()), Models(q_hat=q_hat))
    return Estimate.from_terms(estimator.round_values({name: columns[column] for name, column in named.items()}))
