"""Learning curves: the true value of a policy while it learns."""

from __future__ import annotations

from collections.abc import Mapping

from prompt_bandits.protocols import Policy

from ..callbacks import PolicyValue

Curve = list[tuple[int, float]]
"""(step, policy value)"""


class CurveOf:
    """A callback that keeps the value of the policy about every so many steps, and at the last log."""

    def __init__(self, judge: PolicyValue, every: int) -> None:
        self._judge, self._every, self._curve = judge, every, list[tuple[int, float]]()
        self._last: tuple[int, Policy] | None = None

    def __call__(self, step: int, metrics: Mapping[str, float], policy: Policy | None) -> None:
        if policy is None:  # a model that is fitted first
            return
        self._last = step, policy
        if step - (self._curve[-1][0] if self._curve else 0) >= self._every:
            self._add()

    def finished(self) -> Curve:
        if self._last is not None and (not self._curve or self._curve[-1][0] != self._last[0]):
            self._add()
        return self._curve

    def _add(self) -> None:
        assert self._last is not None
        step, policy = self._last
        known = self._judge(step, {}, policy)
        self._curve.append((step, float(known["policy_value"])))
