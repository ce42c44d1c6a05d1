"""The direct method in sentence space, corrected where logged rewards disagree."""

from __future__ import annotations

from dataclasses import dataclass

from prompt_bandits.datasets import BanditDataset

from ..batch import to_tensor
from ..cross_fitting import logged_output_predictions
from ..kernels import OutputKernel
from ..output_model import OutputModel
from ..pair_models import OutputReward
from ..policies import NeuralPolicy
from ..protocols import Callback, Density, LoggedData, SamplesOutputs
from ..requirements import check_given
from ..sampling import require_sampler
from ..sentence_value import SentenceValue
from ..training import Loss
from .base import fit_policy
from .kernel_weighting import KernelWeighting, draw_sentences
from .model_value import model_value_loss
from .sentence_dm import SentenceDM
from .steps import MakeLoss, Step, StepLoss


@dataclass(frozen=True)
class SentenceDR(KernelWeighting, SentenceDM):
    """Doubly robust in sentence space: the gradient of E_{a~π}[q̂(x_i, a)] as `SentenceDM` climbs it, plus
    E_{a'~π, s'~LLM}[∇log π(a'|x_i)·{K(s_i, s')/π0(φ(s_i)|x_i)·(r_i − r̂(x_i, s_i)) + r̂(x_i, s') − q̂(x_i, a')}].

    The kernel weights move it towards the truth where r̂ is of the wrong class, and the fresh sentences s' where the
    model of outputs is, at the price of their variance; where both are right, `SentenceDM` alone is better. Beside what
    that needs, it needs the logging policy that the data carries, and its default density asks the LLM for 100
    sentences a round; `density_by="nearest"` asks for none.
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
        r_hat: OutputReward | None = None,
        outputs: OutputModel | None = None,
        density: Density | None = None,
    ) -> NeuralPolicy:
        """Learns from (context, query, action, output, reward) and fresh outputs of `simulator`, if there is one; the
        reward model by output, the model of outputs and the density are fitted unless given.

        Raises:
            ValueError: no output embeddings, or not one logging policy in the data.
        """
        check_given(r_hat=r_hat, outputs=outputs, density=density)
        data.require_columns("output")
        if density is None and self.density_by != "nearest":
            data.require_logging_policy()
        outputs = self.fit_outputs(data, simulator, seed=seed) if outputs is None else outputs
        r_hat = self.fit_reward(data, seed=seed) if r_hat is None else r_hat
        value = self.value_of(r_hat, outputs, seed)
        sampler = outputs if simulator is None else require_sampler(simulator, "SentenceDR")
        kernel = self.output_kernel(data, seed)
        model = self.fit_density(data, sampler, seed=seed) if density is None else density
        make_loss = self._make_loss(r_hat, value, sampler, kernel, model)
        score = model_value_loss(value)
        return fit_policy(self, data, make_loss, name="sentence dr", seed=seed, callback=callback, make_score=score)

    def _make_loss(
        self, r_hat: OutputReward, value: SentenceValue, sampler: SamplesOutputs, kernel: OutputKernel, density: Density
    ) -> MakeLoss:
        believed = model_value_loss(value)

        def make(rounds: BanditDataset) -> StepLoss:
            model_part = believed(rounds)
            at_logged = density.density(rounds.obs, rounds.require_output())
            left = rounds.reward - logged_output_predictions(r_hat, rounds)

            def loss(step: Step) -> Loss:
                drawn = draw_sentences(self, step, kernel, sampler, at_logged[step.index])
                signal = drawn.weight * to_tensor(left[step.index], self.device)[:, None]
                signal = signal + to_tensor(drawn.predicted(r_hat, step) - drawn.expected(value, step), self.device)
                corrected = drawn.loss(step, signal)
                metrics = {"weight": drawn.weight.mean(), "correction": corrected.detach()}
                return Loss(model_part(step).value + corrected, metrics)

            return loss

        return make
