"""SLOPE: of estimators in the order of their bias, the last one whose estimate those before it can believe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from prompt_bandits.types import FloatArray

from ..estimators import DRos
from ..estimators.base import Estimator
from .several import Inputs, OneOfSeveral, split_columns, willing

if TYPE_CHECKING:
    from ..results import Result

CONSTANT = float(np.sqrt(6) - 1)


def slope(values: ArrayLike, half_widths: ArrayLike, constant: float = CONSTANT) -> int:
    """The number of the estimate to believe.

    From the widest interval to the narrowest, which is the order from the least bias to the largest wherever narrowness
    is paid for by bias: the last estimate i, before the first that fails, with
    |θ̂_i − θ̂_j| ≤ CNF_i + (√6 − 1)·CNF_j for all j before it (Su et al., 2020, algorithm 1; the constant, and that
    only the widths have to be monotone, of Tucker and Lee, 2021).

    Args:
        values: (m,) θ̂, at least one of them of little bias.
        half_widths: (m,) CNF, of intervals for the estimates' means.
        constant: in place of √6 − 1.

    Raises:
        ValueError: nothing to choose from, lengths that differ, or numbers that are none.
    """
    value, width = np.asarray(values, np.float64), np.asarray(half_widths, np.float64)
    if value.ndim != 1 or value.shape != width.shape or not len(value):
        raise ValueError(f"half_widths: expected one for each of m >= 1 values, got {width.shape} for {value.shape}")
    if not (np.isfinite(value).all() and (width >= 0).all()):
        raise ValueError(f"values, half_widths: expected finite ones and widths >= 0, got {value} and {width}")
    order = np.argsort(-width, kind="stable")
    value, width = value[order], width[order]
    for i in range(1, len(value)):
        if (np.abs(value[i] - value[:i]) > width[i] + constant * width[:i]).any():
            return int(order[i - 1])
    return int(order[-1])


def slope_of_results(results: Sequence[Result]) -> Result:
    """SLOPE among the results of an evaluation, by the intervals that they have; refused ones are left out.

    Raises:
        ValueError: all are refused.
    """
    told = [(one, one.value, one.interval) for one in results if one.value is not None and one.interval is not None]
    if not told:
        raise ValueError("results: expected at least one that is not refused, got none")
    values, widths = [value for _, value, _ in told], [(within.high - within.low) / 2 for *_, within in told]
    return told[slope(values, widths)][0]


LAMBDAS = (0.0, 1.0, 10.0, 100.0, 1_000.0, 10_000.0, float("inf"))


@dataclass(frozen=True)
class Slope(OneOfSeveral):
    """The candidate that SLOPE chooses, with Student's t intervals: a clip, a τ or a λ that fits the rounds.

    At least one candidate should be unbiased, as DRos with λ = ∞ is among those that it has unless told.

    Raises:
        ValueError: no candidates, two of one name, or a level outside (0, 1).
    """

    candidates: tuple[Estimator, ...] = tuple(DRos(lambda_=lambda_) for lambda_ in LAMBDAS)
    level: float = 0.95
    short: ClassVar[str] = "slope"

    def __post_init__(self) -> None:
        from ..interval_type import check_level

        super().__post_init__()
        check_level(self.level)

    def chosen(self, c: Mapping[str, FloatArray]) -> Inputs:
        from ..intervals import interval

        ready = willing(split_columns(self.candidates, c))
        every = [one.values() for one in ready]
        widths = [interval(values, "student_t", self.level).width / 2 for values in every]
        return ready[slope([values.mean() for values in every], widths)]
