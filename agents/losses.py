"""Losses as pure functions of tensors: shapes, then the equation. All reduce by the mean, so that learning rates
compare.
"""

from __future__ import annotations

import torch
from torch import Tensor


def policy_gradient_loss(log_prob: Tensor, weight: Tensor, reward: Tensor) -> Tensor:
    """−mean(w·r·log π(a|x)), the weight held constant.

    With w = 1 and a ~ π this is REINFORCE (Williams, 1992); with w = π/π0 at logged actions it is importance
    sampling; with kernel weights at a ~ π it is DSO (Kiyohara et al., 2025).
    """
    assert log_prob.shape == weight.shape == reward.shape  # (B,)
    return -(weight.detach() * reward * log_prob).mean()


def expected_reward_loss(log_probs: Tensor, q_hat: Tensor) -> Tensor:
    """−mean(Σ_a π(a|x)·q̂(x, a)): the direct method's value, exactly over the actions."""
    assert log_probs.shape == q_hat.shape  # (B, |A|)
    return -(log_probs.exp() * q_hat.detach()).sum(dim=1).mean()


def behaviour_cloning_loss(log_prob: Tensor) -> Tensor:
    """−mean(log π(a_i|x_i)): maximum likelihood on logged actions."""
    assert log_prob.ndim == 1  # (B,)
    return -log_prob.mean()


def uniform_loss(log_probs: Tensor, allowed: Tensor | None = None) -> Tensor:
    """Mean cross-entropy of π to the uniform policy over the allowed actions: 0 gradient where π is uniform."""
    if allowed is None:
        return -log_probs.mean(dim=1).mean()
    return -(torch.where(allowed, log_probs, 0.0).sum(dim=1) / allowed.sum(dim=1)).mean()


def squared_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """mean((ŷ − y)²): reward models, and the density model with kernel values as targets."""
    assert prediction.shape == target.shape  # (B,)
    return (prediction - target).square().mean()
