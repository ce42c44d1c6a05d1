"""Importance weights of what the LLM wrote: which prompts may be behind a sentence, and how often each policy takes
them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from prompt_bandits.datasets import BanditDataset
from prompt_bandits.protocols import GaussianLLM
from prompt_bandits.types import FloatArray, IntArray, Observation

from ..protocols import LoggedData
from .chunk import Chunk, unseen_models
from .marginal_weights import MarginalWeight, supported_dist
from .models import Fitter, Models, ModelSpec
from .sentence_models import OUTPUTS, no_outputs

if TYPE_CHECKING:
    from ..output_model import OutputModel

_PAIRS = 1 << 18  # rounds × prompts whose mean outputs live at a time
_LARGEST = 50.0  # of the log-evidence of prompts that the logging policy never takes, against those that it takes


class TellsPrompts(Protocol):
    """What can be said of the prompt from the output."""

    def evidence(self, rows: BanditDataset, dist: FloatArray) -> FloatArray:
        """p(φ(s_i)|q_i, a), (k, |A|), up to a factor of the round's own, given π0(·|x_i) (k, |A|)."""
        ...


@dataclass(frozen=True)
class OutputWeight(MarginalWeight):
    """Σ_a π·p(φ(s_i)|q_i, a) / Σ_a π0·p(φ(s_i)|q_i, a)."""

    behind: ModelSpec = field(kw_only=True)  # fits to something that `TellsPrompts`

    @property
    def needs(self) -> tuple[ModelSpec, ...]:  # type: ignore[override]
        return (*super().needs, self.behind)

    def refusal(self, data: LoggedData, models: Models) -> str | None:
        return super().refusal(data, models) or no_outputs(data)

    def evidence(self, chunk: Chunk) -> FloatArray:
        model: TellsPrompts = chunk.models.get(self.behind)
        return model.evidence(chunk.rows, supported_dist(chunk, self.loggers))


@dataclass(frozen=True, eq=False)
class ModelledLikelihood:
    """Outputs are Gaussian about the mean of a model of outputs, with the covariance of its held-out residuals."""

    outputs: Any  # an OutputModel, or some that are cross-fitted

    def evidence(self, rows: BanditDataset, dist: FloatArray) -> FloatArray:
        log_density = np.empty(dist.shape)
        for index, model in unseen_models(self.outputs, rows):
            log_density[index] = modelled_log_density(model, rows.obs.take(index), rows.require_output()[index])
        return _evidence(log_density, dist)


@dataclass(frozen=True)
class Modelled:
    """Prompts by a model of outputs."""

    name: ClassVar[str] = "modelled_likelihood"
    of_policy: ClassVar[bool] = False

    def fit(self, fitter: Fitter) -> ModelledLikelihood:
        """Raises a ValueError where there is no model of outputs."""
        return ModelledLikelihood(fitter.get(OUTPUTS))


@dataclass(frozen=True, eq=False)
class TrueLikelihood:
    """Outputs are as the LLM says that they are distributed."""

    llm: GaussianLLM

    def evidence(self, rows: BanditDataset, dist: FloatArray) -> FloatArray:
        told = self.llm.output_distribution(rows.obs)
        off = rows.require_output() - told.shift
        return _evidence(_log_density(off, told.prompt, np.diag(1 / told.variance.astype(np.float64))), dist)


@dataclass(frozen=True)
class Known:
    """Prompts by the distribution of the LLM's outputs, which a synthetic one knows."""

    name: ClassVar[str] = "true_likelihood"
    of_policy: ClassVar[bool] = False

    def fit(self, fitter: Fitter) -> TrueLikelihood:
        """Raises:
        ValueError: no simulator, or one whose LLM does not know, or whose outputs have no spread.
        """
        llm = getattr(fitter.models.simulator, "llm", None)
        if not isinstance(llm, GaussianLLM):
            raise ValueError(
                "simulator: expected one whose LLM tells its `output_distribution` for posterior='true', got "
                f"{fitter.models.simulator!r}"
            )
        if not llm.output_distribution(fitter.rounds().obs.take(slice(0, 1))).variance.all():
            raise ValueError("simulator: expected outputs that vary, for posterior='true', got a variance of 0")
        return TrueLikelihood(llm)


@dataclass(frozen=True, eq=False)
class ClassifiedPrompts:
    """Classifiers of the prompt by round and output, each fitted without its fold."""

    classifiers: tuple[Any, ...]
    seed: int  # of the folds

    def evidence(self, rows: BanditDataset, dist: FloatArray) -> FloatArray:
        from ..cross_fitting import by_fold

        posterior = np.zeros(dist.shape)
        for index, classifier in by_fold(self.classifiers, rows, self.seed):
            told = classifier.predict_proba(_features(rows.take(index)))
            posterior[np.ix_(index, classifier.classes_)] = told
        return np.divide(posterior, dist, out=np.zeros(dist.shape), where=dist > 0)


@dataclass(frozen=True)
class Classified:
    """Prompts by multinomial logistic regression on the logged rounds: π̂0(a|x, φ(s))."""

    name: ClassVar[str] = "classified_prompts"
    of_policy: ClassVar[bool] = False

    def fit(self, fitter: Fitter) -> ClassifiedPrompts:
        """Raises:
        ValueError: fewer than two folds, or one without which fewer than two prompts are left.
        """
        from ..cross_fitting import fit_folds

        return ClassifiedPrompts(fit_folds(_classifier, fitter.rounds(), fitter.folds, fitter.seed), fitter.seed)


def _classifier(data: BanditDataset, *, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if len(np.unique(data.action)) < 2:
        raise ValueError("action: expected at least two prompts in the log to tell them apart, got one")
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)).fit(_features(data), data.action)


def _features(data: BanditDataset) -> FloatArray:
    """(n, d_x + d_q + d_o)."""
    return np.concatenate([data.obs.features(), data.require_output()], axis=1)


def modelled_log_density(model: OutputModel, obs: Observation, output: FloatArray) -> FloatArray:
    """log N(φ_i; E[φ|q_i, a], Σ), (k, |A|), up to a number of the round's own; Σ is that of the held-out residuals."""
    d = output.shape[1]
    covariance = np.atleast_2d(model.residuals.T @ model.residuals) / max(1, len(model.residuals))
    precision = np.linalg.inv(covariance + _RIDGE * (np.trace(covariance) / d + _RIDGE) * np.eye(d))
    if not model.interaction.any() and not len(model.known):
        first = model.mean(obs, np.zeros(len(obs), np.int64))
        return _log_density(output - (first - model.effect[0]), model.effect, precision)
    out = np.empty((len(obs), obs.n_actions))
    for rows, mean in _mean_outputs(model, obs):
        out[rows] = _log_density(np.zeros((1, d)), mean - output[rows, None], precision)
    return out


_RIDGE = 1e-6


def _mean_outputs(model: OutputModel, obs: Observation) -> Iterator[tuple[slice, FloatArray]]:
    """Of every prompt, (j, |A|, d_o), a few rounds at a time."""
    from ..sampling import without_mask

    bare, every = without_mask(obs), np.arange(obs.n_actions)
    step = max(1, _PAIRS // obs.n_actions)
    for begin in range(0, len(obs), step):
        rows: IntArray = np.arange(begin, min(begin + step, len(obs)))
        flat = bare.take(np.repeat(rows, len(every)))
        mean = model.mean(flat, np.tile(every, len(rows)))
        yield slice(begin, begin + len(rows)), mean.reshape(len(rows), len(every), -1)


def _log_density(output: FloatArray, mean: FloatArray, precision: FloatArray) -> FloatArray:
    """−½·(φ_i − μ_a)ᵀP(φ_i − μ_a) + ½·φ_iᵀPφ_i, (k, |A|), for outputs (k, d) and means (|A|, d), or (1, d) and
    (k, |A|, d).
    """
    if mean.ndim == 3:
        return np.asarray(-0.5 * np.einsum("kad,de,kae->ka", mean - output, precision, mean - output, optimize=True))
    turned = mean @ precision
    return np.asarray(output @ turned.T - 0.5 * (turned * mean).sum(axis=1))


def _evidence(log_density: FloatArray, dist: FloatArray) -> FloatArray:
    """Densities (k, |A|) as shares of the largest among the prompts that the logging policy takes."""
    largest = np.where(dist > 0, log_density, -np.inf).max(axis=1, keepdims=True)
    return np.asarray(np.exp(np.minimum(log_density - largest, _LARGEST)))
