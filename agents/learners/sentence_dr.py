"""The direct method in sentence space, corrected where logged rewards disagree."""

from __future__ import annotations

from dataclasses import dataclass

from prompt_bandits.datasets import BanditDataset

from ..batch import to_tensor
from ..output_model import OutputModel
from ..policies import NeuralPolicy
from ..protocols import Callback, Density, LoggedData, SamplesOutputs
from ..sentence_value import SentenceReward
from ..training import Loss
from .base import fit_policy
from .kernel_weighting import KernelWeighting, draw_sentences, sampler_or_log
from .model_value import model_value_loss
from .sentence_dm import SentenceDM
from .steps import Step, StepLoss


@dataclass(frozen=True)
class SentenceDR(KernelWeighting, SentenceDM):
    """Doubly robust in sentence space: the gradient of E_{a~π}[q̂(x_i, a)] as `SentenceDM` climbs it, plus DSO's on what
    the reward model leaves over, E_{a'~π, s'~LLM}[K(s_i, s')/π0(φ(s_i)|x_i) ∇log π(a'|x_i)]·(r_i − r̂(x_i, s_i)).

    The kernel weights move q̂ towards the truth where r̂ is of the wrong class, at the price of their variance; where r̂
    is right, `SentenceDM` alone is better. Beside what that needs, it needs the logging policy that the data carries.
    """

    clip: float | None = 5.0  # small: the correction is to be worth its variance
    n_inner: int = 4
    density_by: str = "monte_carlo"

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
        r_hat: SentenceReward | None = None,
        outputs: OutputModel | None = None,
        density: Density | None = None,
    ) -> NeuralPolicy:
        """Learns from (context, query, action, output, reward) and fresh outputs of `simulator`, if there is one; the
        reward model by output, the model of outputs and the density are fitted unless given.

        Raises:
            ValueError: no output embeddings, or not one logging policy in the data.
        """
        value = self.fit_value(data, simulator, seed=seed, r_hat=r_hat, outputs=outputs)
        sampler = sampler_or_log(simulator, data, "SentenceDR", seed)
        kernel = self.output_kernel(data, seed)
        model = self.fit_density(data, sampler, seed=seed) if density is None else density
        believed = model_value_loss(value)
        corrector = value.members[0] if r_hat is None else r_hat

        def make_loss(rounds: BanditDataset) -> StepLoss:
            output, model_part = rounds.require_output(), believed(rounds)
            at_logged = model.density(rounds.obs, output)
            left = rounds.reward - corrector.predict(rounds.obs, output)

            def loss(step: Step) -> Loss:
                drawn = draw_sentences(self, step, kernel, sampler, at_logged[step.index])
                signal = drawn.weight * to_tensor(left[step.index], self.device)[:, None]
                corrected = drawn.loss(step, signal)
                metrics = {"weight": drawn.weight.mean(), "correction": corrected.detach()}
                return Loss(model_part(step).value + corrected, metrics)

            return loss

        return fit_policy(self, data, make_loss, name="sentence dr", seed=seed, callback=callback, make_score=believed)
