"""Two policies in one log: rounds drawn by a rule are as if a pseudo target had logged them, the others a pseudo
logger.

Drawing round (x, a) with probability ρ(x, a) leaves rounds of π̃(a|x) = π0·ρ/p(x), and others of
π̃0(a|x) = π0·(1 − ρ)/(1 − p(x)), where p(x) = Σ_a π0·ρ. Importance fitting looks for a ρ whose weights π̃/π̃0 are like
those of the real policies, w = π/π0. Udagawa et al. (2023) train a network for that. Here ρ/(1 − ρ) = c·wᵇ, two numbers
that need no training: π̃/π̃0 = c·wᵇ·(1 − p(x))/p(x), which for b = 1 goes to w itself as fewer and fewer rounds are
drawn. The share of rounds to draw fixes c, and b is what fits best.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prompt_bandits.types import FloatArray, IntArray

_EXPONENTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_HALVINGS = 40
_CELLS = 1_000_000  # rounds × prompts that the two numbers are fitted to


@dataclass(frozen=True, eq=False)
class Tables:
    """The real policies over n rounds."""

    policy: FloatArray  # (n, |A|) π
    logging: FloatArray  # (n, |A|) π0
    action: IntArray  # (n,) logged

    def some(self) -> Tables:
        """As many rounds as a fit needs, evenly spaced."""
        n, n_actions = self.policy.shape
        step = max(1, n * n_actions // _CELLS)
        return Tables(self.policy[::step], self.logging[::step], self.action[::step])

    def weight(self) -> FloatArray:
        """π/π0, (n, |A|); 0 where the logging policy never acts."""
        return np.divide(self.policy, self.logging, out=np.zeros_like(self.policy), where=self.logging > 0)

    def logged(self, table: FloatArray) -> FloatArray:
        """Of the logged actions, (n,)."""
        return np.asarray(table[np.arange(len(self.action)), self.action])


@dataclass(frozen=True)
class Rule:
    """ρ/(1 − ρ) = c·wᵇ."""

    exponent: float  # b
    factor: float  # c
    misfit: float  # mean((π̃/π̃0 − π/π0)²) over logged actions

    def odds(self, weight: FloatArray) -> FloatArray:
        return self.factor * _power(weight, self.exponent)


@dataclass(frozen=True, eq=False)
class PseudoPolicies:
    """A log's two policies, and how rounds are drawn for the first."""

    drawn: FloatArray  # (n,) ρ(x_i, a_i), with which a round goes to the pseudo target
    marginal: FloatArray  # (n,) p(x_i)
    target: FloatArray  # (n, |A|) π̃
    propensity: FloatArray  # (n,) π̃0(a_i|x_i)


def fit_rule(tables: Tables, share: float) -> Rule:
    """The rule that fits the weights best, among those that draw this share of the rounds.

    Raises:
        ValueError: a share outside (0, 1), or a policy that does nothing that the logging policy does.
    """
    if not 0 < share < 1:
        raise ValueError(f"share: expected in (0, 1), got {share}")
    some = tables.some()
    weight = some.weight()
    if not weight.any():
        raise ValueError("policy: expected one that does something of what was logged, got none of it")
    return min((_rule(some, weight, b, share) for b in _EXPONENTS), key=lambda one: one.misfit)


def pseudo_policies(tables: Tables, rule: Rule) -> PseudoPolicies:
    """What the rule makes of a log. Where it draws nothing, the pseudo target is the real one."""
    odds = rule.odds(tables.weight())
    rho = odds / (1 + odds)
    p = _marginal(tables.logging, odds)
    target = np.divide(tables.logging * rho, p[:, None], out=tables.policy.copy(), where=p[:, None] > 0)
    drawn = tables.logged(rho)
    return PseudoPolicies(drawn, p, target, tables.logged(tables.logging) * (1 - drawn) / (1 - p))


def _rule(tables: Tables, weight: FloatArray, exponent: float, share: float) -> Rule:
    power = _power(weight, exponent)
    factor = _factor(tables.logging, power, share)
    p, logged = _marginal(tables.logging, factor * power), tables.logged(factor * power)
    known = p > 0
    pseudo = logged[known] * (1 - p[known]) / p[known]
    return Rule(exponent, factor, float(((pseudo - tables.logged(weight)[known]) ** 2).mean()))


def _power(weight: FloatArray, exponent: float) -> FloatArray:
    return np.power(weight, exponent, out=np.zeros_like(weight), where=weight > 0)


def _marginal(logging: FloatArray, odds: FloatArray) -> FloatArray:
    """p(x_i) = Σ_a π0·ρ, (n,)."""
    return np.asarray(np.einsum("na,na->n", logging, odds / (1 + odds)))


def _factor(logging: FloatArray, power: FloatArray, share: float) -> float:
    """c with mean p(x_i) = share, or as near as that can be had."""
    low, high = -30.0, 30.0  # of its logarithm
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        short = _marginal(logging, np.exp(middle) * power).mean() < share
        low, high = (middle, high) if short else (low, middle)
    return float(np.exp((low + high) / 2))
