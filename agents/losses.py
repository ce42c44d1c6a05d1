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


def entropy(log_probs: Tensor) -> Tensor:
    """mean H(π(·|x)) = −mean Σ_a π(a|x)·log π(a|x)."""
    assert log_probs.ndim == 2  # (B, K)
    return -(log_probs.exp() * log_probs).sum(dim=1).mean()


_RARE = 1e-12


def kl_divergence(log_probs: Tensor, other: Tensor) -> Tensor:
    """mean KL(π(·|x) ‖ π0(·|x)); what π0 never does counts as a probability of 1e-12."""
    assert log_probs.shape == other.shape  # (B, K)
    return (log_probs.exp() * (log_probs - other.clamp(min=_RARE).log())).sum(dim=1).mean()


def variance_penalty(terms: Tensor, n: int) -> Tensor:
    """sqrt(Var(u) / n): how far the mean of n such terms may be off (Swaminathan and Joachims, 2015, eq. 8)."""
    assert terms.ndim == 1  # (B,)
    variance = terms.var() if len(terms) > 1 else terms.sum() * 0
    return (variance / n + _RARE).sqrt()


def distillation_loss(log_probs: Tensor, teacher: Tensor) -> Tensor:
    """mean cross-entropy −Σ_a π_T(a|x)·log π(a|x): KL(π_T ‖ π) but for the teacher's own entropy."""
    assert log_probs.shape == teacher.shape  # (B, K)
    return -(teacher * log_probs).sum(dim=1).mean()


def squared_distillation_loss(log_probs: Tensor, teacher: Tensor) -> Tensor:
    """mean Σ_a π_T(a|x)·(π(a|x) − π_T(a|x))², as in the published code."""
    assert log_probs.shape == teacher.shape  # (B, K)
    return (teacher * (log_probs.exp() - teacher).square()).sum(dim=1).mean()


def squared_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """mean((ŷ − y)²): reward models, and the density model with kernel values as targets."""
    assert prediction.shape == target.shape  # (B,)
    return (prediction - target).square().mean()
