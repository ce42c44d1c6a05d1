"""Saying that there is no estimate, and why."""

from __future__ import annotations


class Refused(ValueError):
    """Nothing can be said: in an evaluation the estimator that raised it has no value, the others go on."""


NO_WEIGHT = "weight: expected a policy that takes some of the logged actions, got 0 in every round"
