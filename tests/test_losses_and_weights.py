"""Losses, weights and kernels: numbers worked out by hand, and identities."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import log_softmax

from agents.kernels import OutputKernel, gaussian, output_distance, uniform
from agents.losses import (
    behaviour_cloning_loss,
    expected_reward_loss,
    policy_gradient_loss,
    squared_loss,
    uniform_loss,
)
from agents.networks import PairwiseMLP, relu_inner
from agents.policies import masked_log_softmax
from agents.weights import clipped, importance_weight, kernel_weight, self_normalised
from prompt_bandits.rounds import Rounds

T = torch.tensor


def test_policy_gradient_loss_by_hand() -> None:
    loss = policy_gradient_loss(T([-1.0, -2.0]), T([2.0, 0.5]), T([1.0, 3.0]))
    assert loss.item() == pytest.approx((2 * 1 * 1 + 0.5 * 3 * 2) / 2)


def test_weights_by_hand() -> None:
    weight = importance_weight(T([0.5, 0.2]), T([0.1, 0.4]))
    assert weight.tolist() == pytest.approx([5.0, 0.5])
    assert importance_weight(T([0.5, 0.2]), T([0.1, 0.4]), clip=2.0).tolist() == pytest.approx([2.0, 0.5])
    assert kernel_weight(T([0.3, 0.0]), T([0.1, 0.2]), clip=None).tolist() == pytest.approx([3.0, 0.0])
    assert clipped(T([1.0, 9.0]), 4.0).tolist() == [1.0, 4.0]
    assert self_normalised(T([1.0, 3.0])).tolist() == [0.5, 1.5]
    assert self_normalised(T([0.0, 0.0])).tolist() == [0.0, 0.0]


def test_weights_carry_no_gradient() -> None:
    log_prob = T([-1.0, -0.5], requires_grad=True)
    weight = importance_weight(log_prob.exp(), T([0.5, 0.5]))
    policy_gradient_loss(log_prob, weight, T([1.0, 1.0])).backward()
    expected = -(math.exp(-1.0) / 0.5) / 2
    assert log_prob.grad[0].item() == pytest.approx(expected)  # −w·r/B, not through w


def test_on_policy_ips_is_reinforce() -> None:
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    action, reward = T([0, 1, 2, 3, 0, 1]), torch.arange(6.0)
    log_prob = log_softmax(logits, 1).gather(1, action[:, None])[:, 0]
    weight = importance_weight(log_prob.exp(), log_prob.detach().exp())  # π0 = π
    (ips,) = torch.autograd.grad(policy_gradient_loss(log_prob, weight, reward), logits, retain_graph=True)
    (reinforce,) = torch.autograd.grad(-(reward * log_prob).mean(), logits)
    torch.testing.assert_close(ips, reinforce)


def test_the_direct_loss_is_minus_the_models_value_and_its_gradient_the_sampled_ones_mean() -> None:
    logits = T([[0.2, -0.3, 1.0], [0.0, 0.0, 0.0]], requires_grad=True)
    q_hat = T([[1.0, 2.0, -1.0], [3.0, 0.0, 0.0]])
    log_probs = log_softmax(logits, 1)
    loss = expected_reward_loss(log_probs, q_hat)
    p = log_probs.exp().detach()
    assert loss.item() == pytest.approx(-float((p * q_hat).sum()) / 2)
    (exact,) = torch.autograd.grad(loss, logits, retain_graph=True)
    mean = torch.zeros_like(exact)
    for row in range(2):  # Σ_a π(a)·∇[−q̂·log π(a)] / B, the mean over a ~ π of the published estimator
        for a in range(3):
            one = policy_gradient_loss(log_probs[row, a][None], torch.ones(1), q_hat[row, a][None])
            mean += p[row, a] * torch.autograd.grad(one, logits, retain_graph=True)[0] / 2
    torch.testing.assert_close(exact, mean)


def test_ips_is_unbiased_for_the_direct_gradient_of_the_true_rewards() -> None:
    """Σ_a π0(a)·(π(a)/π0(a))·r(a)·∇log π(a) = ∇V(π), whatever π0."""
    logits = T([[0.5, -0.2, 0.1]], requires_grad=True)
    reward, behaviour = T([1.0, -1.0, 4.0]), T([0.7, 0.2, 0.1])
    log_probs = log_softmax(logits, 1)
    (exact,) = torch.autograd.grad(expected_reward_loss(log_probs, reward[None]), logits, retain_graph=True)
    mean = torch.zeros_like(exact)
    for a in range(3):
        weight = importance_weight(log_probs[:, a].exp(), behaviour[a : a + 1])
        loss = policy_gradient_loss(log_probs[:, a], weight, reward[a : a + 1])
        mean += behaviour[a] * torch.autograd.grad(loss, logits, retain_graph=True)[0]
    torch.testing.assert_close(exact, mean)


def test_dso_with_a_tiny_bandwidth_and_an_injective_llm_is_ips() -> None:
    """E_{a'~π}[K(s_i, s(a'))/π0(s_i)·∇log π(a')] → (π(a_i)/π0(a_i))·∇log π(a_i)."""
    logits = T([[0.5, -0.2, 0.1, 0.9]], requires_grad=True)
    sentences = T([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [3.0, 1.0]])  # one a prompt, all different
    behaviour, tau = T([0.4, 0.3, 0.2, 0.1]), 1e-3
    log_probs = log_softmax(logits, 1)
    for kernel in (gaussian, uniform):
        for logged in range(4):
            similarity = kernel(output_distance(sentences[logged].expand(4, 2), sentences), tau)
            density = (behaviour * similarity).sum()
            dso = torch.zeros_like(logits)
            for a in range(4):
                weight = kernel_weight(similarity[a : a + 1], density[None])
                loss = policy_gradient_loss(log_probs[:, a], weight, T([2.0]))
                grad = torch.autograd.grad(loss, logits, retain_graph=True)[0]
                dso += log_probs[0, a].exp().detach() * grad
            weight = importance_weight(log_probs[:, logged].exp(), behaviour[logged : logged + 1])
            loss = policy_gradient_loss(log_probs[:, logged], weight, T([2.0]))
            torch.testing.assert_close(dso, torch.autograd.grad(loss, logits, retain_graph=True)[0])


def test_cloning_squared_and_uniform_losses_by_hand() -> None:
    assert behaviour_cloning_loss(T([-1.0, -3.0])).item() == 2.0
    assert squared_loss(T([1.0, 2.0]), T([0.0, 4.0])).item() == 2.5
    log_probs = T([[0.5, 0.25, 0.25]]).log()
    assert uniform_loss(log_probs).item() == pytest.approx(-math.log(0.5 * 0.25 * 0.25) / 3)
    allowed = T([[True, False, True]])
    assert uniform_loss(log_probs, allowed).item() == pytest.approx(-math.log(0.5 * 0.25) / 2)


def test_the_uniform_policy_minimises_the_uniform_loss_under_masks_too() -> None:
    logits = torch.zeros(1, 4, requires_grad=True)
    mask = T([[True, True, False, True]])
    loss = uniform_loss(masked_log_softmax(logits, mask), mask)
    (gradient,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(gradient, torch.zeros(1, 4), atol=1e-7, rtol=0)
    assert torch.isfinite(loss)


def test_shapes_are_checked() -> None:
    """(B,) against (B, 1) would broadcast to (B, B) and give a plausible number."""
    column = torch.zeros(3, 1)
    for call in (
        lambda: policy_gradient_loss(torch.zeros(3), column, torch.zeros(3)),
        lambda: expected_reward_loss(torch.zeros(3, 2), torch.zeros(2)),
        lambda: behaviour_cloning_loss(column),
        lambda: squared_loss(torch.zeros(3), column),
        lambda: importance_weight(torch.zeros(3), column),
        lambda: kernel_weight(torch.zeros(3), column),
    ):
        with pytest.raises(AssertionError):
            call()


def test_kernels_by_hand() -> None:
    assert gaussian(T(0.0), 2.0).item() == pytest.approx(1 / (2 * math.sqrt(2 * math.pi)))
    assert gaussian(T(3.0), 1.5).item() == pytest.approx(math.exp(-2) / (1.5 * math.sqrt(2 * math.pi)))
    assert uniform(T([0.5, 1.5, 1.6]), 1.5).tolist() == pytest.approx([1 / 3, 1 / 3, 0])
    with pytest.raises(
        ValueError, match="kernel: expected one of gaussian, uniform, laplace, epanechnikov or a callable, got 'box'"
    ):
        OutputKernel("box")


def test_an_output_kernel_adds_its_noise_to_both_outputs() -> None:
    rounds = Rounds(0, 0, 50_000)
    first, second = torch.zeros(50_000, 3), torch.ones(50_000, 3)
    exact = OutputKernel("gaussian", tau=0.7, emb_noise=0.0).value(first, second, rounds)
    torch.testing.assert_close(exact, gaussian(torch.full((50_000,), 3**0.5 / 3), 0.7))
    distance = OutputKernel(lambda d, tau: d, emb_noise=0.5).value(first, second, rounds)
    # ‖1 + 0.5·(ε − ε')‖²/9, of mean 3·(1 + 2·0.25)/9
    assert (distance**2).mean().item() == pytest.approx(3 * (1 + 2 * 0.25) / 9, rel=0.02)


def test_distance_is_euclidean_over_the_dimension_with_noise_on_both_sides() -> None:
    a, b = T([[0.0, 0.0], [1.0, 1.0]]), T([[3.0, 4.0], [1.0, 1.0]])
    assert output_distance(a, b).tolist() == [2.5, 0.0]
    noise = T([[1.0, 0.0, 0.0, 2.0], [0.0, 0.0, 0.0, 0.0]])  # ε then ε'
    assert output_distance(a, b, noise).tolist() == pytest.approx([math.hypot(-3 + 1, -4 - 2) / 2, 0.0])


def test_relu_inner_equals_the_sum_that_it_stands_for() -> None:
    generator = torch.Generator().manual_seed(0)
    user, item, weight = (torch.randn(*shape, generator=generator) for shape in [(7, 20), (9, 20), (20,)])
    direct = (torch.relu(user[:, None] + item[None]) * weight).sum(-1)
    torch.testing.assert_close(relu_inner(user, item, weight), direct, atol=1e-4, rtol=1e-4)
    only_positive = weight.abs()
    direct = (torch.relu(user[:, None] + item[None]) * only_positive).sum(-1)
    torch.testing.assert_close(relu_inner(user, item, only_positive), direct, atol=1e-4, rtol=1e-4)


def test_a_pairwise_network_gives_the_same_by_pairs_by_table_and_in_training() -> None:
    network = PairwiseMLP(4, 3, 16)
    features, table = torch.randn(5, 4), torch.randn(6, 3)
    with torch.no_grad():
        fast = network(features, table)
    slow = network(features, table)
    torch.testing.assert_close(fast, slow, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(slow[:, 2], network.pairs(features, table[2].expand(5, 3)))
    assert np.isfinite(fast.numpy()).all()
