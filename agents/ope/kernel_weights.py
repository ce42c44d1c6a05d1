"""Importance weights of sentences by a kernel: how often something like what was written would have been written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from prompt_bandits.types import FloatArray

from ..protocols import Density, LoggedData
from .chunk import Chunk
from .columns import Weight
from .marginal_weights import MarginalWeight, supported_dist
from .models import Fitter, Models, ModelSpec
from .sentence_draws import WRITER, Draws, draws
from .sentence_models import no_outputs

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
class KernelWeight(Weight):
    """What weights by a kernel share."""

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
class SampledKernelWeight(KernelWeight):
    """E_{a~π}[K(φ(s_i), φ(s'))] / E_{a~π0}[K(φ(s_i), φ(s'))], each over sentences of its own."""

    density_outputs: int = field(kw_only=True)

    def of(self, chunk: Chunk) -> FloatArray:
        below = self.density(chunk, supported_dist(chunk, self.loggers), self.density_outputs, "density")
        return self.density(chunk, chunk.action_dist, self.n_outputs, "policy") / (below + _FLOOR)


@dataclass(frozen=True)
class FittedKernelWeight(KernelWeight):
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
