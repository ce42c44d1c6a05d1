"""DSO: the policy gradient in sentence space (Kiyohara et al., 2025, arXiv 2504.02646)."""

from __future__ import annotations

from dataclasses import dataclass, field

from prompt_bandits.datasets import BanditDataset

from ..batch import to_tensor
from ..cross_fitting import logged_output_predictions
from ..pair_models import OutputReward
from ..policies import NeuralPolicy
from ..protocols import Callback, Density, LoggedData, SamplesOutputs
from ..requirements import check_given
from ..reward_models import RewardTraining, fit_output_reward_model
from ..training import Loss
from .base import PolicyTraining, fit_policy
from .kernel_weighting import KernelWeighting, draw_sentences, sampler_or_log
from .steps import Step, StepLoss


@dataclass(frozen=True)
class DSO(KernelWeighting, PolicyTraining):
    """Direct sentence off-policy gradient: 1/n Σ E_{a'~π, s'~LLM}[K(s_i, s'; τ) ∇log π(a'|x_i) / π0(φ(s_i)|x_i)] r_i.

    A logged sentence teaches about every prompt that would have given one like it, not only about the prompt that was
    logged; so it stands many prompts where importance sampling does not. Needs output embeddings, the logging policy
    that the data carries, and sampling rights on the frozen LLM; without a simulator, a model of the logged outputs
    stands in for the LLM.

    With a control variate (DSO-DR) the weight multiplies r_i − r̂(x_i, s_i), and r̂(x_i, s') is added.
    """

    control_variate: bool = False
    reward_training: RewardTraining = field(default_factory=RewardTraining)  # of r̂, where fit is given none

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_weighting()

    def fit(
        self,
        data: LoggedData,
        *,
        seed: int,
        simulator: SamplesOutputs | None = None,
        callback: Callback | None = None,
        density: Density | None = None,
        r_hat: OutputReward | None = None,
    ) -> NeuralPolicy:
        """Learns from (context, query, output, reward) and fresh outputs of `simulator`; the density, and with a
        control variate the reward model by output, are fitted unless given.

        Raises:
            ValueError: no output embeddings, not one logging policy in the data, a reward model without a control
                variate, or no propensities to validate by.
        """
        if r_hat is not None and not self.control_variate:
            raise ValueError("r_hat: expected none unless control_variate=True")
        check_given(r_hat=r_hat, density=density)
        data.require_columns("output", *["propensity"] * bool(self.validation_fraction))
        sampler = sampler_or_log(simulator, data, "DSO", seed)
        kernel = self.output_kernel(data, seed)
        model = self.fit_density(data, sampler, seed=seed) if density is None else density
        if self.control_variate and r_hat is None:
            r_hat = fit_output_reward_model(data, self.reward_training, seed=seed)

        def make_loss(rounds: BanditDataset) -> StepLoss:
            at_logged = model.density(rounds.obs, rounds.require_output())
            left = rounds.reward if r_hat is None else rounds.reward - logged_output_predictions(r_hat, rounds)

            def loss(step: Step) -> Loss:
                drawn = draw_sentences(self, step, kernel, sampler, at_logged[step.index])
                signal = drawn.weight * to_tensor(left[step.index], self.device)[:, None]
                if r_hat is not None:
                    signal = signal + to_tensor(drawn.predicted(r_hat, step), self.device)
                return Loss(drawn.loss(step, signal), {"weight": drawn.weight.mean()})

            return loss

        return fit_policy(self, data, make_loss, name="dso", seed=seed, callback=callback)
