"""A limit on what a run takes that holds during it."""

from __future__ import annotations

import math
import threading
from typing import NamedTuple

from prompt_bandits.llms.costs import Amount, CostEstimate, Prices, estimate
from prompt_bandits.llms.failures import BudgetExceeded

__all__ = ["Amount", "Aside", "Budget", "BudgetExceeded", "CostEstimate", "Prices", "estimate"]


class Aside(NamedTuple):
    """What a budget keeps for one request."""

    asked: Amount
    kept: Amount


class Budget:
    """A limit that holds: before a request is sent, the most that it could take is set aside.

    When its answer is there, what it really took is booked instead. An attempt whose answer was lost on the way is
    booked in full, since a server may have charged for it. One budget may be shared by several models and threads.

    Args:
        max_cost: in the currency of the models' prices.
        max_tokens: prompt and new tokens together.

    Raises:
        ValueError: neither, or a number that is not above 0.
    """

    def __init__(self, max_cost: float | None = None, max_tokens: int | None = None) -> None:
        if max_cost is None and max_tokens is None:
            raise ValueError("budget: expected max_cost, max_tokens or both, got neither")
        for name, value in (("max_cost", max_cost), ("max_tokens", max_tokens)):
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{name}: expected a finite number above 0, got {value}")
        self.max_cost, self.max_tokens = max_cost, max_tokens
        self._spent, self._aside, self._beyond = Amount(), Amount(), Amount()
        self._n_aside, self._lock = 0, threading.Lock()

    @property
    def spent(self) -> Amount:
        """What is booked so far."""
        return self._spent

    def set_aside(self, most: Amount) -> Aside | None:
        """Keeps so much for one request, to be given to `book` after it; None: wait until others are booked.

        Raises:
            BudgetExceeded: it does not fit, and no other answer can make room.
        """
        with self._lock:
            aside = Aside(most, _plus(most, self._beyond))
            if self._fits(_plus(_plus(self._spent, self._aside), aside.kept)):
                self._aside, self._n_aside = _plus(self._aside, aside.kept), self._n_aside + 1
                return aside
            if self._n_aside:
                return None
            raise BudgetExceeded(f"{self}; the next request could take {self._written(aside.kept)}")

    def book(self, aside: Aside, used: Amount) -> None:
        """Ends what `set_aside` began: so much was really used. Had it been more than asked for, others keep more."""
        with self._lock:
            self._n_aside -= 1
            self._aside = _plus(self._aside, aside.kept, -1) if self._n_aside else Amount()
            self._spent = _plus(self._spent, used)
            over = _plus(used, aside.asked, -1)
            self._beyond = Amount(max(self._beyond.tokens, over.tokens), max(self._beyond.cost, over.cost))

    def _fits(self, amount: Amount) -> bool:
        return (self.max_cost is None or amount.cost <= self.max_cost) and (
            self.max_tokens is None or amount.tokens <= self.max_tokens
        )

    def _written(self, amount: Amount) -> str:
        cost = [] if self.max_cost is None else [f"{amount.cost:.4f}"]
        return " and ".join([*cost, *([] if self.max_tokens is None else [f"{amount.tokens:,} tokens"])])

    def __repr__(self) -> str:
        most = Amount(self.max_tokens or 0, self.max_cost or 0.0)
        return f"budget of {self._written(most)}, of which {self._written(self._spent)} spent"


def _plus(a: Amount, b: Amount, sign: int = 1) -> Amount:
    return Amount(a.tokens + sign * b.tokens, a.cost + sign * b.cost)
