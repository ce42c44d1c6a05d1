"""Seconds and memory of intervals over 1,000,000 rounds, one command: python benchmarks/ope_intervals.py

The values are weighted rewards, all different. Peak memory is that of the process; "inputs" is what it is without work.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from measuring import Measurement, report, seconds

from prompt_bandits.types import FloatArray

N = 1_000_000
BOUNDS = (0.0, 1000.0)
METHODS = (
    "student_t",
    "bootstrap",
    "bootstrap_percentile",
    "bootstrap_bca",
    "empirical_likelihood",
    "hoeffding",
    "empirical_bernstein",
)


def inputs() -> str:
    from agents.ope.intervals import interval

    interval(_values()[0][:10])
    return f"{N:,} rounds"


def one_interval(method: str) -> str:
    from agents.ope.intervals import interval

    values, _ = _values()
    target = " (target: < 10 s)" if method == "bootstrap" else ""
    return f"{seconds(lambda: interval(values, method, bounds=BOUNDS)):.2f} s{target}"


def likelihood_with_weights() -> str:
    from agents.ope.constrained_likelihood import constrained_empirical_likelihood

    values, weights = _values()
    return f"{seconds(lambda: constrained_empirical_likelihood(values, weights)):.2f} s"


def paired() -> str:
    from agents.ope.paired import difference

    values, weights = _values()
    return f"{seconds(lambda: difference(values, weights, 'bootstrap')):.2f} s"


def sequence() -> str:
    from agents.ope.confidence_sequence import BernsteinSequence

    values, _ = _values()
    watched = BernsteinSequence(BOUNDS)
    return f"{seconds(lambda: [watched.update(part) for part in np.split(values, 1000)]):.2f} s in 1000 parts"


def _values() -> tuple[FloatArray, FloatArray]:
    """(values, weights), (N,) each."""
    generator = np.random.default_rng(0)
    weights = generator.lognormal(-0.5, 1.0, N)
    return weights * generator.normal(1.0, 0.1, N).clip(0, 2), weights


if __name__ == "__main__":
    measurements: dict[str, Measurement] = {"inputs": inputs}
    measurements |= {method: partial(one_interval, method) for method in METHODS}
    measurements |= {
        "empirical_likelihood, E[w] = 1": likelihood_with_weights,
        "paired difference, bootstrap": paired,
        "Bernstein confidence sequence": sequence,
    }
    report(measurements)
