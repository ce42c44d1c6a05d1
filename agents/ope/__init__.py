"""Off-policy evaluation: what a policy would have earned, from logged rounds, with an interval to trust.

`evaluate(policy, data, [IPS(), DR()])` prints as a table; see docs/ope.md.
"""

from .estimators import (
    DM,
    DR,
    IPS,
    MRDR,
    SNDR,
    SNIPS,
    BalancedIPW,
    DRos,
    Estimator,
    Replay,
    ShrunkIPS,
    SubGaussianDR,
    SubGaussianIPS,
    SwitchDR,
    WeightedLoggers,
)
from .evaluate import evaluate
from .intervals import METHODS, Interval, interval
from .models import Models
from .refusing import Refused
from .results import Evaluation, Result

__all__ = [
    "DM",
    "DR",
    "IPS",
    "METHODS",
    "MRDR",
    "SNDR",
    "SNIPS",
    "BalancedIPW",
    "DRos",
    "Estimator",
    "Evaluation",
    "Interval",
    "Models",
    "Refused",
    "Replay",
    "Result",
    "ShrunkIPS",
    "SubGaussianDR",
    "SubGaussianIPS",
    "SwitchDR",
    "WeightedLoggers",
    "evaluate",
    "interval",
]
