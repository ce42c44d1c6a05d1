"""Importance weights of sentences by a kernel: how often something like what was written would have been written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from prompt_bandits.types import FloatArray, IntArray

from ..protocols import Density, LoggedData
from .chunk import Chunk, unseen_models
from .column import Column
from .columns import Weight
from .marginal_weights import MarginalWeight, supported_dist
from .models import Fitter, Models, ModelSpec
from .sentence_draws import WRITER, Draws, drawn_actions, draws, positions, uniforms, written
from .sentence_models import SentenceReward, no_outputs

if TYPE_CHECKING:
    from ..kernels import OutputKernel

_FLOOR = 1e-10  # of densities, as of those that are fitted
_LR = 1e-3  # ten times the published one, with which the network is still far off after as many steps


@dataclass(frozen=True)
class Kernel:
    """K(φ(s), φ(s')), its bandwidth in numbers."""

    kernel: str
    tau: float | None  # or a share of the median distance between logged outputs
    share_of_median: float
    emb_noise: float
    name: ClassVar[str] = "kernel"
    of_policy: ClassVar[bool] = False

    def fit(self, fitter: Fitter) -> OutputKernel:
        """Raises:
        ValueError: no outputs in the log, or half of them equal where a bandwidth is to be found.
        """
        from ..kernels import OutputKernel, median_bandwidth

        tau = self.tau
        if tau is None:
            outputs = fitter.rounds().require_output()
            tau = self.share_of_median * median_bandwidth(outputs, self.emb_noise, fitter.seed)
        return OutputKernel(self.kernel, tau, self.emb_noise)


@dataclass(frozen=True)
class _KernelWeight(Weight):
    kernel: Kernel = field(kw_only=True)
    n_outputs: int = field(kw_only=True)

    @property
    def needs(self) -> tuple[ModelSpec, ...]:  # type: ignore[override]
        return (*super().needs, self.kernel, WRITER)

    def refusal(self, data: LoggedData, models: Models) -> str | None:
        return no_outputs(data) or MarginalWeight.refusal(self, data, models)  # type: ignore[arg-type]

    def alike(self, chunk: Chunk, drawn: Draws) -> FloatArray:
        """K(φ(s_i), φ(s')) of what was drawn, (j, m)."""
        from ..batch import to_array, to_tensor

        j, m = drawn.action.shape
        kernel: OutputKernel = chunk.models.get(self.kernel)
        logged = np.repeat(chunk.rows.require_output()[drawn.part], m, axis=0)
        return to_array(kernel.value(to_tensor(logged), to_tensor(drawn.output), drawn.rounds)).reshape(j, m)

    def density(self, chunk: Chunk, dist: FloatArray, m: int, scope: str) -> FloatArray:
        """E_{a~dist, s'~LLM}[K(φ(s_i), φ(s'))] over m draws, (k,)."""
        out = np.empty(len(chunk))
        for drawn in draws(chunk, dist, m, scope):
            out[drawn.part] = self.alike(chunk, drawn).mean(axis=1, dtype=np.float64)
        return out


@dataclass(frozen=True)
class SharedKernelWeight(_KernelWeight):
    """Σ_a π·K̄_a / Σ_a π0·K̄_a with K̄_a = E[K(φ(s_i), φ(s'))] over what the LLM writes for prompt a: the same
    sentences above and below, so that what they say of the density cancels.

    They are those of every prompt where `n_outputs` is enough for that. Else one is of the logged prompt, whose share
    is exact, and the others of prompts drawn from π + π0.
    """

    def of(self, chunk: Chunk) -> FloatArray:
        ours, theirs = chunk.action_dist, supported_dist(chunk, self.loggers)
        action, stands_for = spread_out(ours + theirs, chunk.rows.action, uniforms(chunk, self.n_outputs, "shared"))
        out = np.empty(len(chunk))
        for drawn in written(chunk, action, "shared"):
            alike = self.alike(chunk, drawn) * stands_for[drawn.part]
            above, below = (
                (np.take_along_axis(dist[drawn.part], drawn.action, axis=1) * alike).sum(axis=1, dtype=np.float64)
                for dist in (ours, theirs)
            )
            out[drawn.part] = np.divide(above, below, out=np.zeros(len(below)), where=below > 0)
        return out


def spread_out(dist: FloatArray, logged: IntArray, uniform: FloatArray) -> tuple[IntArray, FloatArray]:
    """Prompts by which a sum over all of them is estimated, Σ_a f(a) ≈ Σ_j stands_for_j·f(action_j).

    Args:
        dist: (k, |A|) > 0 where f may be; prompts are drawn from it.
        logged: (k,) the prompts that are always among them.
        uniform: (k, m) in [0, 1).

    Returns:
        action: (k, m'), m' being m or, where m >= |A|, so many times |A| as m holds.
        stands_for: (k, m').
    """
    k, n_actions = dist.shape
    m = uniform.shape[1]
    if m >= n_actions:
        times = m // n_actions
        every = np.broadcast_to(np.tile(np.arange(n_actions), times), (k, times * n_actions))
        return every, np.full(every.shape, 1 / times)
    others = dist.astype(np.float64)
    others[np.arange(k), logged] = 0
    action = np.concatenate([logged[:, None], drawn_actions(others, uniform[:, 1:])], axis=1)
    drawn_with = (m - 1) * np.take_along_axis(others, action, axis=1)
    total = np.broadcast_to(others.sum(axis=1, keepdims=True), drawn_with.shape)
    stands_for = np.divide(total, drawn_with, out=np.zeros(drawn_with.shape), where=drawn_with > 0)
    stands_for[:, 0] = 1
    return action, stands_for


@dataclass(frozen=True)
class SampledKernelWeight(_KernelWeight):
    """E_{a~π}[K(φ(s_i), φ(s'))] / E_{a~π0}[K(φ(s_i), φ(s'))], each over sentences of its own."""

    density_outputs: int = field(kw_only=True)

    def of(self, chunk: Chunk) -> FloatArray:
        below = self.density(chunk, supported_dist(chunk, self.loggers), self.density_outputs, "density")
        return self.density(chunk, chunk.action_dist, self.n_outputs, "policy") / (below + _FLOOR)


@dataclass(frozen=True)
class FittedKernelWeight(_KernelWeight):
    """E_{a~π}[K(φ(s_i), φ(s'))] / π̂0(φ(s_i)|x_i) with a density that was fitted or given."""

    fitted: FittedDensity = field(kw_only=True)

    @property
    def needs(self) -> tuple[ModelSpec, ...]:  # type: ignore[override]
        return (*super().needs, self.fitted)

    def refusal(self, data: LoggedData, models: Models) -> str | None:
        return no_outputs(data)

    def of(self, chunk: Chunk) -> FloatArray:
        model: Density = chunk.models.get(self.fitted)
        below = model.density(chunk.rows.obs, chunk.rows.require_output()).astype(np.float64)
        if not (below > 0).all():
            row = int(np.argmin(below > 0))
            raise ValueError(f"density: expected numbers > 0, got {below[row]} in round {chunk.first + row}")
        return self.density(chunk, chunk.action_dist, self.n_outputs, "policy") / below


@dataclass(frozen=True)
class FittedDensity:
    """π̂0(φ(s)|x): a network fitted to kernel values of pairs of outputs ("function"), or the mean over the outputs of
    similar logged rounds ("nearest").
    """

    kernel: Kernel
    by: str
    n_outputs: int  # neighbours of "nearest"
    steps: int  # of "function"
    name: ClassVar[str] = "density"
    of_policy: ClassVar[bool] = False

    def fit(self, fitter: Fitter) -> Density:
        """Raises:
        ValueError: not one logging policy in the data, which a network needs.
        """
        kernel: OutputKernel = fitter.get(self.kernel)
        if self.by == "nearest":
            from ..nearest_density import NearestDensity

            return NearestDensity(fitter.rounds(), kernel, self.n_outputs, fitter.seed)
        from ..density import DensityTraining, fit_density_model

        training = DensityTraining(lr=_LR, steps=self.steps)
        return fit_density_model(fitter.data, fitter.get(WRITER).sampler, training, kernel=kernel, seed=fitter.seed)


@dataclass(frozen=True)
class RSampled(Column):
    """Σ_a π(a|x_i)·E[r̂(x_i, s')] over `n_outputs` sentences that the LLM writes for draws of the policy."""

    model: SentenceReward
    n_outputs: int
    models_reward: ClassVar[bool] = True

    @property
    def needs(self) -> tuple[ModelSpec, ...]:  # type: ignore[override]
        return (self.model, WRITER)

    def refusal(self, data: LoggedData, models: Models) -> str | None:
        return no_outputs(data)

    def of(self, chunk: Chunk) -> FloatArray:
        m, out = self.n_outputs, np.empty(len(chunk))
        for drawn in draws(chunk, chunk.action_dist, m, "baseline"):
            some, predicted = chunk.rows.take(drawn.part), np.empty(drawn.action.size)
            for rows, model in unseen_models(chunk.models.get(self.model), some):
                position = positions(rows, m)
                predicted[position] = model.predict(some.obs.take(np.repeat(rows, m)), drawn.output[position])
            out[drawn.part] = predicted.reshape(-1, m).mean(axis=1)
        return out
