"""Kernel weights between logged and drawn sentences, K(s_i, s') / π0(φ(s_i)|x_i): what DSO and its relatives share."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from torch import Tensor

from prompt_bandits.types import FloatArray

from ..batch import to_array, to_tensor
from ..clipping import check_clip
from ..density import DensityTraining, MonteCarloDensity, fit_density_model
from ..kernels import KernelFunction, OutputKernel, median_bandwidth
from ..losses import expected_reward_loss
from ..nearest_density import NearestDensity
from ..output_model import fit_output_model
from ..pair_models import OutputReward
from ..processes import require_one_process
from ..protocols import Density, LoggedData, QFunction, SamplesOutputs
from ..sampling import outputs_of, require_sampler, without_mask
from ..segments import in_memory
from ..weights import kernel_weight
from .steps import Step, at

_DENSITIES = ("function", "monte_carlo", "nearest")


@dataclass(frozen=True)
class KernelWeighting:
    """Which kernel, which density, which draws."""

    kernel: str | KernelFunction = "gaussian"  # or "uniform", "laplace", "epanechnikov", or any callable
    tau: float | str = 1.0  # bandwidth, in units of the output distance ‖o − o'‖ / d_o; or "median" of the log's
    emb_noise: float = 1.0  # standard deviation of noise on both outputs inside the kernel
    clip: float | None = 200.0
    expectation: str = "sampled"  # over prompts: a few a' ~ π a round, as published; or "exact"
    n_inner: int = 1  # draws of (a', s') a round and step; of s' for every prompt with "exact"
    self_normalised: bool = False  # weights that average 1 over the minibatch
    density_by: str = "function"  # a network fitted to kernel values; "monte_carlo"; or "nearest" logged rounds
    density_training: DensityTraining = field(default_factory=DensityTraining)  # of "function"
    density_outputs: int = 100  # fresh outputs a round of "monte_carlo", neighbours of "nearest"

    def check_weighting(self) -> None:
        """Refuses values out of range."""
        check_clip(self.clip)
        if isinstance(self.tau, str) and self.tau != "median":
            raise ValueError(f"tau: expected a number > 0 or 'median', got {self.tau!r}")
        OutputKernel(self.kernel, 1.0 if isinstance(self.tau, str) else self.tau, self.emb_noise)
        if self.density_by not in _DENSITIES:
            raise ValueError(f"density_by: expected one of {', '.join(_DENSITIES)}, got {self.density_by!r}")
        if self.expectation not in ("sampled", "exact"):
            raise ValueError(f"expectation: expected 'sampled' or 'exact', got {self.expectation!r}")
        for name in ("n_inner", "density_outputs"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected >= 1, got {getattr(self, name)}")

    def output_kernel(self, data: LoggedData, seed: int) -> OutputKernel:
        """The kernel, with its bandwidth in numbers."""
        if self.self_normalised:
            require_one_process("self_normalised")
        tau = self.tau
        if isinstance(tau, str):
            tau = median_bandwidth(in_memory(data, 64, seed).require_output(), self.emb_noise, seed)
        return OutputKernel(self.kernel, tau, self.emb_noise)

    def fit_density(self, data: LoggedData, simulator: SamplesOutputs | None = None, *, seed: int) -> Density:
        """π0(φ(s)|x) as this learner would estimate it; pass it to `fit` to share it."""
        kernel = self.output_kernel(data, seed)
        if self.density_by == "nearest":
            return NearestDensity(in_memory(data, 256, seed), kernel, self.density_outputs, seed)
        sampler = sampler_or_log(simulator, data, type(self).__name__, seed)
        if self.density_by == "monte_carlo":
            return MonteCarloDensity(sampler, data.require_logging_policy(), kernel, self.density_outputs, seed)
        return fit_density_model(data, sampler, self.density_training, kernel=kernel, seed=seed)


def sampler_or_log(simulator: object, data: LoggedData, who: str, seed: int) -> SamplesOutputs:
    """The LLM, or where nobody may ask it, a model of the outputs that were logged.

    Raises:
        ValueError: a simulator that writes nothing, or no outputs in the log either.
    """
    data.require_columns("output")
    return fit_output_model(data, seed=seed) if simulator is None else require_sampler(simulator, who)


@dataclass(frozen=True, eq=False)
class Drawn:
    """Sentences of drawn or of all prompts, and how alike the logged one they are."""

    action: Tensor | None  # (B, m) drawn; None: every prompt
    output: FloatArray  # (B·k, d_o), the k of the first round first
    weight: Tensor  # (B, k) K(s_i, s') / π0(φ(s_i)|x_i), clipped

    def loss(self, step: Step, signal: Tensor) -> Tensor:
        """−mean of signal (B, k) times log π at what was drawn, or its expectation over all prompts."""
        if self.action is not None:
            return -(signal.detach() * at(step.log_probs, self.action)).mean()
        return expected_reward_loss(step.log_probs, self._by_prompt(signal, step))

    def predicted(self, r_hat: OutputReward, step: Step) -> FloatArray:
        """r̂(x_i, s') of each drawn sentence, (B, k)."""
        n, k = self.weight.shape
        flat = without_mask(step.obs).take(np.repeat(np.arange(n), k))
        return r_hat.predict(flat, self.output).reshape(n, k)

    def expected(self, q_hat: QFunction, step: Step) -> FloatArray:
        """q̂(x_i, a') of each drawn prompt, (B, k)."""
        n, k = self.weight.shape
        if self.action is None:
            return np.tile(q_hat.scores(step.obs), k // step.obs.n_actions)
        flat = without_mask(step.obs).take(np.repeat(np.arange(n), k))
        return q_hat.predict(flat, to_array(self.action).ravel()).reshape(n, k)

    def mean_weight(self, step: Step) -> Tensor:
        """Over the minibatch and the policy's choices."""
        if self.action is not None:
            return self.weight.mean()
        return -expected_reward_loss(step.log_probs.detach(), self._by_prompt(self.weight, step))

    def normalised(self, step: Step) -> Drawn:
        """The same with weights that average 1; all 0 stay so."""
        mean = self.mean_weight(step)
        return replace(self, weight=self.weight / mean if mean > 0 else self.weight)

    def _by_prompt(self, values: Tensor, step: Step) -> Tensor:
        return values.reshape(len(values), -1, step.log_probs.shape[1]).mean(dim=1)


def draw_sentences(
    config: KernelWeighting, step: Step, kernel: OutputKernel, simulator: SamplesOutputs, density: FloatArray
) -> Drawn:
    """Sentences that the LLM writes for the policy's choices, weighed by the logged ones.

    Args:
        config: what to draw.
        step: the rounds.
        kernel: how alike two outputs are.
        simulator: writes.
        density: (B,) π0(φ(s_i)|x_i).
    """
    logged = step.logged.output
    assert logged is not None
    n, n_actions = step.log_probs.shape
    action = None
    if config.expectation == "sampled":
        action = step.draws(config.n_inner)
        asked = to_array(action)
    else:
        asked = np.broadcast_to(np.tile(np.arange(n_actions), config.n_inner), (n, n_actions * config.n_inner))
    output, inner = outputs_of(simulator, step.obs, asked, step.rounds, logged.shape[1])
    k = asked.shape[1]
    value = kernel.value(logged.repeat_interleave(k, dim=0), to_tensor(output, logged.device), inner)
    own = to_tensor(density, logged.device)[:, None].expand(n, k)
    drawn = Drawn(action, output, kernel_weight(value.reshape(n, k), own, config.clip))
    return drawn.normalised(step) if config.self_normalised else drawn
