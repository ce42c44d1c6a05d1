"""How far estimates are from the truth, and what choosing policies by them costs: pure functions of arrays."""

from __future__ import annotations

import numpy as np

from prompt_bandits.types import FloatArray, IntArray

SHARPE_LIMIT = 100.0


def squared_errors(estimate: FloatArray, truth: FloatArray) -> FloatArray:
    """(V̂ − V)², whose mean over datasets is the MSE."""
    return np.asarray((estimate - truth) ** 2)


def relative_errors(estimate: FloatArray, truth: FloatArray) -> FloatArray:
    """|V̂ − V| / |V|: the relative estimation error of Open Bandit Pipeline and SCOPE-RL; infinite for a truth of 0."""
    size = np.abs(truth)
    return np.asarray(np.divide(np.abs(estimate - truth), size, out=np.full(len(size), np.inf), where=size > 0))


def rank_correlation(estimate: FloatArray, truth: FloatArray) -> float | None:
    """Spearman's, of the estimates of m policies with their true values; None where either says the same of all."""
    if len(truth) < 2 or np.ptp(estimate) == 0 or np.ptp(truth) == 0:
        return None
    from scipy.stats import spearmanr

    return float(spearmanr(estimate, truth).statistic)


def top(estimate: FloatArray, k: int) -> IntArray:
    """The positions of the k highest estimates, the highest first; the first of equals.

    Raises:
        ValueError: not 1 <= k <= m.
    """
    if not 1 <= k <= len(estimate):
        raise ValueError(f"k: expected 1 … {len(estimate)} policies, got {k}")
    return np.argsort(-estimate, kind="stable")[:k].astype(np.int64)


def regret_sum(estimate: FloatArray, truth: FloatArray, k: int) -> float:
    """Regret@k as SCOPE-RL has it: the sum of the k highest true values less that of the k policies of the highest
    estimates.
    """
    return float(np.sort(truth)[::-1][:k].sum() - truth[top(estimate, k)].sum())


def regret_best(estimate: FloatArray, truth: FloatArray, k: int) -> float:
    """Regret@k as most papers have it: the highest true value less the best among the k policies of the highest
    estimates.
    """
    return float(truth.max() - truth[top(estimate, k)].max())


def sharpe_ratio(estimate: FloatArray, truth: FloatArray, logged: float, k: int) -> float | None:
    """SharpeRatio@k (Kiyohara et al., 2024): (best@k − V(π0)) / std@k, of the true values of the k policies of the
    highest estimates; what trying them out in the field gains for the risk that it takes.

    The standard deviation is over k − 1, as in SCOPE-RL, and the ratio within ±100: None for k = 1.
    """
    chosen = truth[top(estimate, k)]
    if k < 2:
        return None
    gain, spread = float(chosen.max()) - logged, float(chosen.std(ddof=1))
    if spread == 0:
        return float(np.sign(gain)) * SHARPE_LIMIT
    return float(np.clip(gain / spread, -SHARPE_LIMIT, SHARPE_LIMIT))


def false_alarms(judged: FloatArray, truth: FloatArray, threshold: float) -> float | None:
    """Type I errors: the share of the policies that are safe, V >= threshold, of which it is said that they are not;
    None where no policy is safe.

    Args:
        judged: (m,) what is held against the threshold: estimates, or lower ends of intervals.
        truth: (m,).
        threshold: the least value of a safe policy.
    """
    safe = truth >= threshold
    return float((judged[safe] < threshold).mean()) if safe.any() else None


def missed_alarms(judged: FloatArray, truth: FloatArray, threshold: float) -> float | None:
    """Type II errors: the share of the policies that are not safe of which it is said that they are; None where all
    are safe. Arguments as for `false_alarms`.
    """
    unsafe = truth < threshold
    return float((judged[unsafe] >= threshold).mean()) if unsafe.any() else None
