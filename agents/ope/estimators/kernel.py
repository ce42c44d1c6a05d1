"""Estimators that weight sentences by a kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ..columns import Column, Reward, Weight
from ..kernel_weights import FittedDensity, FittedKernelWeight, Kernel, SampledKernelWeight
from ..sampled_reward import RSampled
from ..sentence_models import RLogged, SentenceReward, check_classes
from ..shared_kernel_weights import SharedKernelWeight
from .doubly_robust import DR
from .weighting import IPS, SNIPS

DENSITIES = ("shared", "monte_carlo", "function", "nearest")


@dataclass(frozen=True)
class KernelIS(IPS):
    """mean(w·r) with w = E_{a~π, s'~LLM}[K(φ(s_i), φ(s'))] / π0(φ(s_i)|x_i): importance sampling in sentence space
    (Kiyohara et al., 2025, arXiv 2504.02646).

    Above, sentences of `n_outputs` prompts a round, from the simulator, or without one from a model of the logged
    outputs. Below, by `density_by`,
    - "shared": the same sentences, weighted by π0 in place of π. No density of its own is to be got wrong, and weights
      are never larger than the largest π/π0. With every prompt's sentence the same whenever it is written, and another
      one for each prompt, τ → 0 makes it IPS.
    - "monte_carlo": `density_outputs` other ones, for prompts of the logging policy. Where none is like what was
      logged, the density is next to 0: such rounds want a wide kernel, or a clip (published: 200).
    - "function": a network fitted to kernel values, as published; a density that is given takes its place.
    - "nearest": the outputs of the `density_outputs` most similar logged rounds.

    Raises:
        ValueError: a setting out of range, or as `IPS`.
    """

    kernel: str = "gaussian"  # or "uniform", "laplace", "epanechnikov"
    tau: float | None = None  # bandwidth, in units of ‖φ − φ'‖ / d_o; a share of the log's median unless told
    emb_noise: float = 0.0  # standard deviation of noise on both outputs; published: 1
    n_outputs: int = 20
    density_by: str = "shared"
    density_outputs: int = 100
    density_steps: int = 10_000  # of the network of "function"
    short: ClassVar[str] = "kernel-is"
    share_of_median: ClassVar[float] = 0.1

    def __post_init__(self) -> None:
        from ...kernels import OutputKernel

        super().__post_init__()
        OutputKernel(self.kernel, 1.0 if self.tau is None else self.tau, self.emb_noise)
        if self.density_by not in DENSITIES:
            raise ValueError(f"density_by: expected one of {', '.join(DENSITIES)}, got {self.density_by!r}")
        for name, least in (("n_outputs", 2), ("density_outputs", 1), ("density_steps", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}: expected >= {least}, got {getattr(self, name)}")

    def columns(self) -> Mapping[str, Column]:
        return {"weight": self.kernel_weight(), "reward": Reward()}

    def kernel_weight(self) -> Weight:
        """Of the rounds' sentences."""
        kernel, n = Kernel(self.kernel, self.tau, self.share_of_median, self.emb_noise), self.n_outputs
        if self.density_by == "shared":
            return SharedKernelWeight(self.loggers, kernel=kernel, n_outputs=n)
        if self.density_by == "monte_carlo":
            below = self.density_outputs
            return SampledKernelWeight(self.loggers, kernel=kernel, n_outputs=n, density_outputs=below)
        fitted = FittedDensity(kernel, self.density_by, self.density_outputs, self.density_steps)
        return FittedKernelWeight(self.loggers, kernel=kernel, n_outputs=n, fitted=fitted)

    def largest_tamed(self, largest: float | None) -> float | None:
        return super().largest_tamed(largest if self.density_by == "shared" else None)


@dataclass(frozen=True)
class SNKernelIS(KernelIS, SNIPS):
    """`KernelIS`, self-normalised: Σ w·r / Σ w, in which a constant factor of the density cancels. Raises as that."""

    short: ClassVar[str] = "sn-kernel-is"


@dataclass(frozen=True)
class KernelDR(KernelIS, DR):
    """mean(Σ_a π·E[r̂(x_i, s')] + w·(r − r̂(x_i, s_i))) with the weights of `KernelIS`: what is to be weighted is only
    what a reward model by output leaves, so that a wide kernel does little harm where that is right.

    The expectation is over `n_outputs` sentences of its own for prompts that the policy draws.

    Raises:
        ValueError: as `KernelIS`.
    """

    reward_classes: tuple[str, ...] = ("linear", "bilinear")  # of r̂ to choose from, where none is given
    short: ClassVar[str] = "kernel-dr"
    share_of_median: ClassVar[float] = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_classes(self.reward_classes)

    def columns(self) -> Mapping[str, Column]:
        reward = SentenceReward(self.reward_classes)
        return {**super().columns(), "q_logged": RLogged(reward), "q_policy": RSampled(reward, self.n_outputs)}
