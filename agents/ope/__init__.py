"""Off-policy evaluation: what a policy would have earned, from logged rounds, with an interval to trust.

`evaluate(policy, data, [IPS(), DR()])` prints as a table; see docs/ope.md.
"""

from .confidence_sequence import AsymptoticSequence, BernsteinSequence
from .estimators import (
    DM,
    DR,
    IPS,
    MIPS,
    MRDR,
    SNDR,
    SNIPS,
    SNMIPS,
    BalancedIPW,
    BalancedSentenceDM,
    BalancedSentenceDR,
    DRos,
    Estimator,
    KernelDR,
    KernelIS,
    OffCEM,
    OutputMIPS,
    Replay,
    SentenceDM,
    SentenceDR,
    ShrunkIPS,
    SNKernelIS,
    SNOutputMIPS,
    SubGaussianDR,
    SubGaussianIPS,
    SwitchDR,
    WeightedLoggers,
)
from .evaluate import evaluate
from .intervals import METHODS, Interval, interval
from .judging import judge_estimators
from .models import Models
from .paired import Difference, difference
from .refusing import Refused
from .results import Evaluation, Result
from .selection import Auto, CrossValidated, PolicySelection, Slope, pas_if, rank_policies, slope
from .verdict import Verdict, verdict

__all__ = [
    "DM",
    "DR",
    "IPS",
    "METHODS",
    "MIPS",
    "MRDR",
    "SNDR",
    "SNIPS",
    "SNMIPS",
    "AsymptoticSequence",
    "Auto",
    "BalancedIPW",
    "BalancedSentenceDM",
    "BalancedSentenceDR",
    "BernsteinSequence",
    "CrossValidated",
    "DRos",
    "Difference",
    "Estimator",
    "Evaluation",
    "Interval",
    "KernelDR",
    "KernelIS",
    "Models",
    "OffCEM",
    "OutputMIPS",
    "PolicySelection",
    "Refused",
    "Replay",
    "Result",
    "SNKernelIS",
    "SNOutputMIPS",
    "SentenceDM",
    "SentenceDR",
    "ShrunkIPS",
    "Slope",
    "SubGaussianDR",
    "SubGaussianIPS",
    "SwitchDR",
    "Verdict",
    "WeightedLoggers",
    "difference",
    "evaluate",
    "interval",
    "judge_estimators",
    "pas_if",
    "rank_policies",
    "slope",
    "verdict",
]
