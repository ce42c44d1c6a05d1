"""Estimators of a policy's value from logged rounds: each a small frozen dataclass of plain values."""

from .base import Estimator
from .direct import DM
from .doubly_robust import DR
from .weighting import IPS

__all__ = ["DM", "DR", "IPS", "Estimator"]
