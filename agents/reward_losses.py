"""Losses of reward models beside the squared one, as pure functions of tensors. Both reduce by the mean."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


def logistic_loss(logit: Tensor, target: Tensor) -> Tensor:
    """−mean(y·log σ(z) + (1 − y)·log σ(−z)): binary cross-entropy on logits z, for targets y in [0, 1]."""
    assert logit.shape == target.shape  # (B,)
    return binary_cross_entropy_with_logits(logit, target)


def pessimistic_penalty(negative: Tensor, logged: Tensor) -> Tensor:
    """mean(r̂(x, negative) − r̂(x, logged)): pulls down what was not logged (OfflinePrompts; Kiyohara et al., 2025)."""
    assert negative.shape == logged.shape  # (B,)
    return (negative - logged).mean()
