"""DSO: the policy gradient in sentence space (Kiyohara et al., 2025, arXiv 2504.02646)."""

from __future__ import annotations

from dataclasses import dataclass

from agents.batch import to_array, to_tensor
from agents.density import (
    DensityTraining,
    MonteCarloDensity,
    check_kernel,
    embedding_noise,
    fit_density_model,
    kernel_value,
    only_policy,
    output_embedding,
)
from agents.kernels import KernelFunction
from agents.learners.base import PolicyTraining, Step, StepLoss, at, fit_policy
from agents.losses import policy_gradient_loss
from agents.policies import NeuralPolicy
from agents.protocols import Callback, Density, SamplesOutputs
from agents.training import Loss
from agents.weights import check_clip, kernel_weight
from prompt_bandits.datasets import BanditDataset
from prompt_bandits.types import FloatArray


@dataclass(frozen=True)
class DSO(PolicyTraining):
    """Direct sentence off-policy gradient: 1/n Σ E_{a'~π, s'~LLM}[K(s_i, s'; τ) ∇log π(a'|x_i) / π0(φ(s_i)|x_i)] r_i.

    A logged sentence teaches about every prompt that would have given one like it, not only about the prompt that was
    logged; so it stands many prompts where importance sampling does not. Needs output embeddings, the logging policy
    that the data carries, and sampling rights on the frozen LLM. The actions and outputs are drawn once a round and
    step, as published.
    """

    kernel: str | KernelFunction = "gaussian"  # or "uniform"
    tau: float = 1.0  # bandwidth, in units of the output distance ‖o − o'‖ / d_o
    emb_noise: float = 1.0  # standard deviation of noise on both outputs inside the kernel
    clip: float | None = 200.0
    density: str = "function"  # a network fitted to kernel values; or "monte_carlo"
    density_steps: int = 10_000  # of "function"
    density_outputs: int = 100  # fresh outputs a round of "monte_carlo"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_kernel(self.kernel, self.tau, self.emb_noise)
        check_clip(self.clip)
        if self.density not in ("function", "monte_carlo"):
            raise ValueError(f"density: expected 'function' or 'monte_carlo', got {self.density!r}")
        if self.density_outputs < 1 or self.density_steps < 0:
            raise ValueError(
                "density_outputs, density_steps: expected >= 1 and >= 0, "
                f"got {self.density_outputs}, {self.density_steps}"
            )

    def fit(
        self,
        data: BanditDataset,
        *,
        seed: int,
        simulator: SamplesOutputs | None = None,
        callback: Callback | None = None,
        density: Density | None = None,
    ) -> NeuralPolicy:
        """Learns from (context, query, output, reward) and fresh outputs of `simulator`; the density is fitted unless
        given.

        Raises:
            ValueError: no simulator, no output embeddings, not one logging policy in the data, or no propensities to
                validate by.
        """
        if simulator is None:
            raise ValueError("simulator: DSO samples outputs of the frozen LLM; expected simulator=, got none")
        data.require_output()
        if self.validation_fraction:
            data.require_propensity()
        model = self.fit_density(data, simulator, seed=seed) if density is None else density

        def make_loss(train: BanditDataset) -> StepLoss:
            at_logged = model.density(train.obs, train.require_output())
            return lambda step: self._loss(step, simulator, at_logged[step.index])

        return fit_policy(self, data, make_loss, name="dso", seed=seed, callback=callback)

    def fit_density(self, data: BanditDataset, simulator: SamplesOutputs, *, seed: int) -> Density:
        """π0(φ(s)|x) as this learner would estimate it; pass it to `fit` to share it."""
        training = DensityTraining(
            kernel=self.kernel, tau=self.tau, emb_noise=self.emb_noise, steps=self.density_steps, device=self.device
        )
        if self.density == "monte_carlo":
            return MonteCarloDensity(simulator, only_policy(data), training, self.density_outputs, seed)
        return fit_density_model(data, simulator, training, seed=seed)

    def _loss(self, step: Step, simulator: SamplesOutputs, density: FloatArray) -> Loss:
        assert step.batch.output is not None
        action = step.draw()
        drawn = to_tensor(output_embedding(simulator, step.obs, to_array(action), step.rounds), self.device)
        noise = embedding_noise(step.rounds, drawn.shape[1], self.emb_noise, self.device)
        kernel = kernel_value(self.kernel, self.tau, step.batch.output, drawn, noise)
        weight = kernel_weight(kernel, to_tensor(density, self.device), self.clip)
        loss = policy_gradient_loss(at(step.log_probs, action), weight, step.batch.reward)
        return Loss(loss, {"weight": weight.mean(), "logged_action_prob": step.logged_log_prob().exp().mean()})
