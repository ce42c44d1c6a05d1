"""Estimators of a policy's value from logged rounds: each a small frozen dataclass of plain values."""

from .balanced import BalancedIPW
from .base import Estimator
from .direct import DM
from .doubly_robust import DR, SNDR, SwitchDR
from .kernel import KernelDR, KernelIS, SNKernelIS
from .loggers import WeightedLoggers
from .marginal import MIPS, SNMIPS, OutputMIPS, SNOutputMIPS
from .mrdr import MRDR
from .offcem import OffCEM
from .replay import Replay
from .sentence import BalancedSentenceDM, BalancedSentenceDR, SentenceDM, SentenceDR
from .shrinkage import DRos, ShrunkIPS, SubGaussianDR, SubGaussianIPS
from .weighting import IPS, SNIPS

__all__ = [
    "DM",
    "DR",
    "IPS",
    "MIPS",
    "MRDR",
    "SNDR",
    "SNIPS",
    "SNMIPS",
    "BalancedIPW",
    "BalancedSentenceDM",
    "BalancedSentenceDR",
    "DRos",
    "Estimator",
    "KernelDR",
    "KernelIS",
    "OffCEM",
    "OutputMIPS",
    "Replay",
    "SNKernelIS",
    "SNOutputMIPS",
    "SentenceDM",
    "SentenceDR",
    "ShrunkIPS",
    "SubGaussianDR",
    "SubGaussianIPS",
    "SwitchDR",
    "WeightedLoggers",
]
