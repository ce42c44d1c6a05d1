"""What a round's value can be at most, from the range of the rewards and the largest weight.

The largest weight is the largest *possible* one: the clip, or 1 over the smallest probability with which the logging
policy takes a prompt. The largest one seen is no bound, and an interval that rests on it promises nothing.
"""

from __future__ import annotations

import math

from .interval_type import Bounds, check_bounds


def weighted_bounds(reward_range: Bounds, largest_weight: float) -> Bounds:
    """Of w·r: [min(0, r_min)·w_max, max(0, r_max)·w_max], since a weight may be 0.

    Raises:
        ValueError: a range that is none, or a largest weight below 1 (weights have mean 1).
    """
    _check(reward_range, largest_weight)
    low, high = reward_range
    return min(0.0, low) * largest_weight, max(0.0, high) * largest_weight


def doubly_robust_bounds(reward_range: Bounds, largest_weight: float) -> Bounds:
    """Of v̂ + w·(r − q̂), where q̂ predicts within the range: w_max·(r_max − r_min) beyond either of its ends.

    Raises:
        ValueError: as `weighted_bounds`.
    """
    _check(reward_range, largest_weight)
    low, high = reward_range
    reach = largest_weight * (high - low)
    return low - reach, high + reach


def _check(reward_range: Bounds, largest_weight: float) -> None:
    check_bounds(reward_range)
    if not (math.isfinite(largest_weight) and largest_weight >= 1):
        raise ValueError(f"largest_weight: expected a number >= 1, weights having mean 1, got {largest_weight!r}")
