"""How well predicted probabilities fit what held-out people liked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prompt_bandits.types import FloatArray


@dataclass(frozen=True)
class ReliabilityBin:
    """Rows that were given about this probability."""

    predicted: float  # the mean of p
    observed: float  # the share that was liked
    n: int


@dataclass(frozen=True)
class HeldOutQuality:
    """Of predicted probabilities."""

    auc: float  # how often a liked row has the higher p of two, one liked and one not
    brier: float  # mean squared error of p
    calibration_error: float  # mean of |predicted − observed| over bins, by their rows
    bins: tuple[ReliabilityBin, ...]  # of about equally many rows, by rising p
    n: int

    def __str__(self) -> str:
        lines = [
            f"AUC {self.auc:.3f}, Brier score {self.brier:.4f}, expected calibration error "
            f"{self.calibration_error:.4f}, of {self.n} rows",
            f"{'predicted':>10}  {'observed':>10}  {'rows':>8}",
        ]
        lines += [f"{one.predicted:>10.3f}  {one.observed:>10.3f}  {one.n:>8}" for one in self.bins]
        return "\n".join(lines)


def held_out_quality(probability: FloatArray, liked: FloatArray, bins: int = 10) -> HeldOutQuality:
    """Probabilities (n,) against what came, 0 or 1 (n,).

    Raises:
        ValueError: lengths that differ, values that are no probabilities or neither 0 nor 1, or only one of the two.
    """
    from sklearn.metrics import brier_score_loss, roc_auc_score

    probability, liked = np.asarray(probability, dtype=np.float64), np.asarray(liked, dtype=np.float64)
    if bins < 1:
        raise ValueError(f"bins: expected >= 1, got {bins}")
    if probability.ndim != 1 or probability.shape != liked.shape:
        raise ValueError(f"liked: expected shape {probability.shape}, (n,), got {liked.shape}")
    if not (len(probability) and probability.min() >= 0 and probability.max() <= 1):
        raise ValueError("probability: expected at least one value, all in [0, 1]")
    if set(np.unique(liked)) != {0.0, 1.0}:
        raise ValueError(f"liked: expected 0 and 1, both of them, got {np.unique(liked)[:5].tolist()}")
    order = np.argsort(probability, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    table = tuple(
        ReliabilityBin(float(probability[part].mean()), float(liked[part].mean()), len(part)) for part in parts
    )
    error = sum(abs(one.predicted - one.observed) * one.n for one in table) / len(liked)
    return HeldOutQuality(
        float(roc_auc_score(liked, probability)),
        float(brier_score_loss(liked, probability)),
        float(error),
        table,
        len(liked),
    )
