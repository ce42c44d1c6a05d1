"""Off-policy evaluation: what a policy would have earned, from logged rounds, with an interval to trust."""

from .estimators import DM, DR, IPS, Estimator
from .evaluate import evaluate
from .results import Evaluation, Result

__all__ = ["DM", "DR", "IPS", "Estimator", "Evaluation", "Result", "evaluate"]
