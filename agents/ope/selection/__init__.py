"""Which estimator to believe, and which policy to take."""

from .auto import Auto
from .cross_validation import CrossValidated
from .pas_if import pas_if
from .policies import PolicySelection, rank_policies
from .slope import Slope, slope, slope_of_results

__all__ = [
    "Auto",
    "CrossValidated",
    "PolicySelection",
    "Slope",
    "pas_if",
    "rank_policies",
    "slope",
    "slope_of_results",
]
