"""From columns to results: estimates, intervals, diagnostics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prompt_bandits.types import Estimate, FloatArray

from .columns import Columns, QLogged, QPolicy, Reward, UnsupportedMass, Weight
from .diagnostics import Diagnostics, effective_rounds, largest_share, mean_weight_interval, removed_share
from .estimators.base import BoundsRoundValues, Doubts, Estimator, LeavesOut, Weighs
from .propensity_check import PropensityCheck
from .refusing import NO_WEIGHT, Refused
from .results import Result

if TYPE_CHECKING:
    from .interval_type import Bounds
    from .intervals import Interval

Named = Mapping[str, FloatArray]


@dataclass(frozen=True)
class Asked:
    """How intervals are made."""

    level: float
    method: str
    reward_range: tuple[float, float] | None
    largest_weight: float | None
    seed: int

    def check(self) -> None:
        """Raises:
        ValueError: a setting out of range.
        """
        from .interval_type import check_bounds, check_level
        from .intervals import METHODS

        check_level(self.level)
        if self.method not in METHODS:
            raise ValueError(f"interval: expected one of {', '.join(METHODS)}, got {self.method!r}")
        if METHODS[self.method].needs_bounds and self.reward_range is None:
            raise ValueError(f"reward_range: expected (lowest, highest) possible reward for interval={self.method!r}")
        if self.reward_range is not None:
            check_bounds(self.reward_range)
        if self.largest_weight is not None and not self.largest_weight >= 1:
            raise ValueError(f"largest_weight: expected >= 1 or None, got {self.largest_weight}")


class Telling:
    """What estimators say, given the columns.

    Raises:
        ValueError: rewards or weights beyond what is said to be possible.
    """

    def __init__(self, columns: Columns, asked: Asked, check: PropensityCheck, estimated: bool) -> None:
        self.columns, self.asked, self.check, self.estimated = columns, asked, check, estimated
        self.unlogged = float(columns.policy_mass[columns.logged_count == 0].sum())
        _refuse_beyond("reward_range", columns[Reward()], asked.reward_range)
        limit = asked.largest_weight
        if limit is not None and Weight() in columns:
            _refuse_beyond("largest_weight", columns[Weight()], (0.0, limit * (1 + 1e-9)))

    def result(self, estimator: Estimator) -> Result:
        """Its estimate, or why there is none."""
        c = {name: self.columns[column] for name, column in estimator.columns().items()}
        try:
            values = estimator.round_values(c)
            assert values.shape == self.columns[Reward()].shape, f"{estimator.name}: {values.shape}"
            if isinstance(estimator, Weighs) and not estimator.weights(c).any() and not values.any():
                raise Refused(NO_WEIGHT)
            bounds = self._bounds(estimator)
            within, instead = self._interval(values, bounds)
        except Refused as error:
            return Result(estimator.name, refused=str(error))
        estimate, found = Estimate.from_terms(values), self._diagnostics(estimator, c)
        warnings = found.warnings() if instead is None else (*found.warnings(), instead)
        return Result(estimator.name, estimate.value, estimate.se, within, found, warnings, values, bounds=bounds)

    def _bounds(self, estimator: Estimator) -> Bounds | None:
        """Of the round values, where they are known and the interval needs them."""
        from .intervals import METHODS

        if not (METHODS[self.asked.method].needs_bounds and isinstance(estimator, BoundsRoundValues)):
            return None
        assert self.asked.reward_range is not None
        return estimator.bounds(self.asked.reward_range, self.asked.largest_weight)

    def _interval(self, values: FloatArray, bounds: Bounds | None) -> tuple[Interval, str | None]:
        """The interval, and if it is another one than was asked for, why."""
        from .intervals import interval

        try:
            return interval(values, self.asked.method, self.asked.level, bounds, self.asked.seed), None
        except ValueError as error:
            told = f"The interval is Student's t, since {self.asked.method} cannot be had: {error}."
            return interval(values, "student_t", self.asked.level), told

    def _diagnostics(self, estimator: Estimator, c: Named) -> Diagnostics:
        columns = estimator.columns().values()
        weighs = isinstance(estimator, Weighs)
        found: dict[str, Any] = {
            "n": len(self.columns[Reward()]),
            "unlogged_mass": self.unlogged,
            "unsupported_mass": self._unsupported(estimator),
            "needs_model": not weighs or any(column.models_reward for column in columns),
            "doubts": estimator.doubts(c) if isinstance(estimator, Doubts) else (),
        }
        if isinstance(estimator, Weighs):
            found |= self._of_weights(estimator, c)
        else:
            found["gap"] = self._model_gap(estimator)
        return Diagnostics(**found)

    def _of_weights(self, estimator: Weighs, c: Named) -> dict[str, Any]:
        used = estimator.weights(c)
        found: dict[str, Any] = {
            "effective_rounds": effective_rounds(used),
            "largest_weight": float(used.max()),
            "largest_share": largest_share(used),
        }
        if "weight" in c:
            weight = c["weight"]
            found |= {
                "mean_weight": Estimate.from_terms(weight),
                "mean_weight_interval": mean_weight_interval(weight, self.asked.level),
                "removed_weight": removed_share(used, weight),
            }
        if isinstance(estimator, LeavesOut):
            left_out = estimator.left_out(c)
            found["gap"] = Estimate.from_terms(left_out) if left_out.any() else None
        if _uses_propensities(estimator):
            found |= {
                "calibration": self.check.calibration,
                "propensity_gap": self.check.gap,
                "propensities_estimated": self.estimated,
            }
        return found

    def _unsupported(self, estimator: Estimator) -> float | None:
        loggers = {column.loggers for column in estimator.columns().values() if isinstance(column, Weight)}
        mass = self.columns.get(UnsupportedMass("balanced" if "balanced" in loggers else "naive"))
        return None if mass is None else float(mass.mean())

    def _model_gap(self, estimator: Estimator) -> Estimate | None:
        """Of the reward model by action that it rests on, where there are weights to judge it by."""
        for column in estimator.columns().values():
            if isinstance(column, QPolicy) and Weight() in self.columns and QLogged(column.model) in self.columns:
                residual = self.columns[Reward()] - self.columns[QLogged(column.model)]
                return Estimate.from_terms(self.columns[Weight()] * residual)
        return None


def _uses_propensities(estimator: Estimator) -> bool:
    return any(isinstance(column, Weight) for column in estimator.columns().values())


def _refuse_beyond(name: str, values: FloatArray, bounds: tuple[float, float] | None) -> None:
    if bounds is not None and (values.min() < bounds[0] or values.max() > bounds[1]):
        raise ValueError(f"{name}: expected to hold all rounds, got {values.min():.6g} … {values.max():.6g}")
