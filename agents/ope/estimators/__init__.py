"""Estimators of a policy's value from logged rounds: each a small frozen dataclass of plain values."""

from .balanced import BalancedIPW
from .base import Estimator
from .direct import DM
from .doubly_robust import DR, SNDR, SwitchDR
from .loggers import WeightedLoggers
from .mrdr import MRDR
from .replay import Replay
from .shrinkage import DRos, ShrunkIPS, SubGaussianDR, SubGaussianIPS
from .weighting import IPS, SNIPS

__all__ = [
    "DM",
    "DR",
    "IPS",
    "MRDR",
    "SNDR",
    "SNIPS",
    "BalancedIPW",
    "DRos",
    "Estimator",
    "Replay",
    "ShrunkIPS",
    "SubGaussianDR",
    "SubGaussianIPS",
    "SwitchDR",
    "WeightedLoggers",
]
