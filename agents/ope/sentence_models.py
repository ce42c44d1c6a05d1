"""Models of what the LLM writes and of what users like to read, fitted to logged rounds and asked about unseen ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from prompt_bandits.datasets import BanditDataset
from prompt_bandits.rounds import Rounds
from prompt_bandits.types import FloatArray, IntArray, Observation, Output

from ..protocols import LoggedData
from .chunk import Chunk, unseen_models
from .column import Column
from .models import Fitter, Models

if TYPE_CHECKING:
    from ..output_model import OutputModel
    from ..pair_models import OutputReward
    from ..sentence_value import SentenceValue


@dataclass(frozen=True, eq=False)
class CrossFittedOutputs:
    """Models of outputs, each fitted without its fold."""

    models: Sequence[OutputModel]
    seed: int  # of the folds

    def unseen(self, data: BanditDataset) -> Iterator[tuple[IntArray, OutputModel]]:
        """Row numbers, and the model that has not seen those rows."""
        from ..cross_fitting import by_fold

        return by_fold(self.models, data, self.seed)

    def respond(self, obs: Observation, action: IntArray | None, rounds: Rounds) -> Output:
        """Outputs for rounds that are not logged ones. Raises a ValueError without an action."""
        return self.models[0].respond(obs, action, rounds)


@dataclass(frozen=True)
class Outputs:
    """What the LLM writes on average, E[φ(s)|q, a].

    From fresh outputs of a simulator, of which the logged ones are a small part; without one cross-fitted, since what
    was logged for a prompt may be the very output that is to be explained.
    """

    name: ClassVar[str] = "outputs"
    of_policy: ClassVar[bool] = False

    def fit(self, fitter: Fitter) -> OutputModel | CrossFittedOutputs:
        """Raises:
        ValueError: no outputs in the log, or a simulator that writes others.
        """
        from ..cross_fitting import fit_folds
        from ..output_model import OutputModel, fit_output_model
        from ..sampling import require_sampler

        simulator = fitter.models.simulator
        if isinstance(simulator, OutputModel):
            return simulator
        fitter.data.require_columns("output")
        if simulator is not None:
            sampler = require_sampler(simulator, "a model of outputs")
            return fit_output_model(fitter.rounds(), sampler, seed=fitter.seed)

        def fitted(data: BanditDataset, *, seed: int) -> OutputModel:
            return fit_output_model(data, seed=seed)

        return CrossFittedOutputs(fit_folds(fitted, fitter.rounds(), fitter.folds, fitter.seed), fitter.seed)


@dataclass(frozen=True)
class SentenceReward:
    """r̂(x, s) of the class among `classes` that predicts best, cross-fitted."""

    classes: tuple[str, ...] = ("linear", "bilinear")
    name: ClassVar[str] = "r_hat"
    of_policy: ClassVar[bool] = False

    def fit(self, fitter: Fitter) -> OutputReward:
        """Raises:
        ValueError: no outputs in the log, fewer than two folds, or one without rounds.
        """
        from ..cross_fitting import CrossFittedOutputReward, fit_folds
        from ..sentence_rewards import fit_sentence_reward

        fitter.data.require_columns("output")

        def fitted(data: BanditDataset, *, seed: int) -> OutputReward:
            return fit_sentence_reward(data, classes=self.classes, training=fitter.training, seed=seed)

        return CrossFittedOutputReward(fit_folds(fitted, fitter.rounds(), fitter.folds, fitter.seed), fitter.seed)


@dataclass(frozen=True, eq=False)
class UnseenSentenceValue:
    """q̂(x, a) = E[r̂(x, s)] of a reward model by output and a model of outputs, either of which may be cross-fitted."""

    r_hat: Any
    outputs: Any

    def unseen(self, data: BanditDataset) -> Iterator[tuple[IntArray, SentenceValue]]:
        """Row numbers, and the value by models that have not seen those rows."""
        for rows, outputs in unseen_models(self.outputs, data):
            for among, r_hat in unseen_models(self.r_hat, data.take(rows)):
                yield rows[among], sentence_value(r_hat, outputs)


def sentence_value(r_hat: OutputReward, outputs: OutputModel) -> SentenceValue:
    """Exact where the reward model is affine in the output, else averaged over residuals."""
    from ..sentence_rewards import CorrectedReward
    from ..sentence_value import AffineReward, SentenceValue

    if isinstance(r_hat, CorrectedReward):
        return SentenceValue(outputs, (r_hat.ridge,), r_hat.rest)
    return SentenceValue(outputs, (r_hat,)) if isinstance(r_hat, AffineReward) else SentenceValue(outputs, rest=r_hat)


@dataclass(frozen=True)
class SentenceQ:
    """q̂(x, a) = E[r̂(x, s)] over what the LLM writes."""

    reward: SentenceReward = SentenceReward()
    name: ClassVar[str] = "sentence_q"
    of_policy: ClassVar[bool] = False

    def fit(self, fitter: Fitter) -> UnseenSentenceValue:
        """Raises a ValueError as its parts."""
        return UnseenSentenceValue(fitter.get(self.reward), fitter.get(OUTPUTS))


@dataclass(frozen=True)
class RLogged(Column):
    """r̂(x_i, s_i) of a reward model by output."""

    model: SentenceReward = SentenceReward()

    @property
    def needs(self) -> tuple[SentenceReward, ...]:  # type: ignore[override]
        return (self.model,)

    def refusal(self, data: LoggedData, models: Models) -> str | None:
        return no_outputs(data)

    def of(self, chunk: Chunk) -> FloatArray:
        output, out = chunk.rows.require_output(), np.empty(len(chunk))
        for rows, model in unseen_models(chunk.models.get(self.model), chunk.rows):
            out[rows] = model.predict(chunk.rows.obs.take(rows), output[rows])
        return out


@dataclass(frozen=True)
class ExplainedOutputs(Column):
    """The share of what the LLM writes that the model of outputs explains, the same in all rounds."""

    needs: ClassVar[tuple[Outputs, ...]] = (Outputs(),)  # type: ignore[misc]

    def of(self, chunk: Chunk) -> FloatArray:
        model = chunk.models.get(OUTPUTS)
        models = model.models if isinstance(model, CrossFittedOutputs) else [model]
        return np.full(len(chunk), np.mean([one.r_squared for one in models]))


def no_outputs(data: LoggedData) -> str | None:
    """Why there is nothing to be said of outputs; None where some were logged."""
    try:
        data.require_columns("output")
    except ValueError as error:
        return str(error)
    return None


def check_classes(classes: tuple[str, ...]) -> None:
    """Refuses classes of reward models that there are not."""
    from ..sentence_rewards import CLASSES

    if not classes or not set(classes) <= set(CLASSES):
        raise ValueError(f"reward_classes: expected some of {', '.join(CLASSES)}, got {classes!r}")


OUTPUTS = Outputs()
