"""DSO: the policy gradient in sentence space (Kiyohara et al., 2025, arXiv 2504.02646)."""

from __future__ import annotations

from dataclasses import dataclass, field

from prompt_bandits.datasets import BanditDataset
from prompt_bandits.types import FloatArray

from ..batch import to_array, to_tensor
from ..density import DensityTraining, MonteCarloDensity, fit_density_model, output_embedding
from ..kernels import KernelFunction, OutputKernel
from ..losses import policy_gradient_loss
from ..policies import NeuralPolicy
from ..protocols import Callback, Density, LoggedData, SamplesOutputs
from ..training import Loss
from ..weights import check_clip, kernel_weight
from .base import PolicyTraining, Step, StepLoss, at, fit_policy


@dataclass(frozen=True)
class DSO(PolicyTraining):
    """Direct sentence off-policy gradient: 1/n Σ E_{a'~π, s'~LLM}[K(s_i, s'; τ) ∇log π(a'|x_i) / π0(φ(s_i)|x_i)] r_i.

    A logged sentence teaches about every prompt that would have given one like it, not only about the prompt that was
    logged; so it stands many prompts where importance sampling does not. Needs output embeddings, the logging policy
    that the data carries, and sampling rights on the frozen LLM. The actions and outputs are drawn once a round and
    step, as published.
    """

    kernel: str | KernelFunction = "gaussian"  # or "uniform", or any callable
    tau: float = 1.0  # bandwidth, in units of the output distance ‖o − o'‖ / d_o
    emb_noise: float = 1.0  # standard deviation of noise on both outputs inside the kernel
    clip: float | None = 200.0
    density_by: str = "function"  # a network fitted to kernel values; or "monte_carlo"
    density_training: DensityTraining = field(default_factory=DensityTraining)  # of "function"
    density_outputs: int = 100  # fresh outputs a round of "monte_carlo"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_clip(self.clip)
        self._kernel()
        if self.density_by not in ("function", "monte_carlo"):
            raise ValueError(f"density_by: expected 'function' or 'monte_carlo', got {self.density_by!r}")
        if self.density_outputs < 1:
            raise ValueError(f"density_outputs: expected >= 1, got {self.density_outputs}")

    def fit(
        self,
        data: LoggedData,
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
        if not hasattr(simulator, "respond"):
            raise ValueError(
                "simulator: DSO samples outputs of the frozen LLM; expected an object with `respond`, such as "
                f"env.unwrapped.simulator, got {simulator!r}"
            )
        assert simulator is not None
        data.require_columns("output", *["propensity"] * bool(self.validation_fraction))
        model = self.fit_density(data, simulator, seed=seed) if density is None else density

        def make_loss(train: BanditDataset) -> StepLoss:
            at_logged = model.density(train.obs, train.require_output())
            return lambda step: self._loss(step, simulator, at_logged[step.index])

        return fit_policy(self, data, make_loss, name="dso", seed=seed, callback=callback)

    def fit_density(self, data: LoggedData, simulator: SamplesOutputs, *, seed: int) -> Density:
        """π0(φ(s)|x) as this learner would estimate it; pass it to `fit` to share it."""
        if self.density_by == "monte_carlo":
            policy = data.require_logging_policy()
            return MonteCarloDensity(simulator, policy, self._kernel(), self.density_outputs, seed)
        return fit_density_model(data, simulator, self.density_training, kernel=self._kernel(), seed=seed)

    def _kernel(self) -> OutputKernel:
        return OutputKernel(self.kernel, self.tau, self.emb_noise)

    def _loss(self, step: Step, simulator: SamplesOutputs, density: FloatArray) -> Loss:
        assert step.batch.output is not None
        action = step.draw()
        drawn = to_tensor(output_embedding(simulator, step.obs, to_array(action), step.rounds), self.device)
        kernel = self._kernel().value(step.batch.output, drawn, step.rounds)
        weight = kernel_weight(kernel, to_tensor(density, self.device), self.clip)
        loss = policy_gradient_loss(at(step.log_probs, action), weight, step.batch.reward)
        return Loss(loss, {"weight": weight.mean()})
