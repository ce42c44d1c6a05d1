"""The density of outputs under the logging policy, π0(φ(s)|x) = E[K(s, s')] over s' that the logging policy would
have shown.

DSO divides by it (Kiyohara et al., 2025). Two ways: a network f(x, o) fitted to kernel values of pairs of outputs
(function approximation), or the mean over fresh outputs (Monte Carlo).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from prompt_bandits.acting import sample_actions, sample_for_rows
from prompt_bandits.protocols import Policy
from prompt_bandits.rounds import Rounds
from prompt_bandits.types import FloatArray, Observation

from .batch import features_of, to_array, to_tensor
from .kernels import OutputKernel
from .losses import squared_loss
from .networks import PairwiseMLP
from .processes import current
from .protocols import Callback, LoggedData, SamplesOutputs
from .reward_models import PairModel
from .sampling import output_embedding, without_mask
from .segments import Segment, segments
from .training import Loss, TrainingConfig, optimise, torch_seed

_FLOOR = 1e-10
_PREPARED = 1 << 15  # pairs of outputs drawn at a time


@dataclass(frozen=True)
class DensityTraining(TrainingConfig):
    """How the density network is fitted. Published values."""

    lr: float = 1e-4
    steps: int = 10_000
    hidden: int = 100


class DensityModel(PairModel):
    """f(x, o) = softplus(MLP[x; q; o], beta=0.5) + 1e-10, as published, fitted to kernel values."""

    saved_as: ClassVar[str] = "density_model"

    def density(self, obs: Observation, output: FloatArray) -> FloatArray:
        """(n,) at the outputs (n, d_o)."""
        return to_array(_positive(torch.from_numpy(self.pairs(obs, output))))


def _positive(raw: Tensor) -> Tensor:
    return softplus(raw, beta=0.5) + _FLOOR


@dataclass(frozen=True, eq=False)
class MonteCarloDensity:
    """mean_j K(o_i, o'_ij) over m fresh outputs of the logging policy for each round.

    Args:
        simulator: samples outputs.
        policy: the logging policy.
        kernel: what the density is the mean of.
        n_outputs: m.
        seed: of the fresh outputs.
    """

    simulator: SamplesOutputs
    policy: Policy
    kernel: OutputKernel = field(default_factory=OutputKernel)
    n_outputs: int = 100
    seed: int = 0

    def density(self, obs: Observation, output: FloatArray) -> FloatArray:
        """(n,) at the outputs (n, d_o)."""
        m, out = self.n_outputs, np.empty(len(obs), dtype=np.float32)
        bare = without_mask(obs)
        step = max(1, _PREPARED // m)
        for begin in range(0, len(obs), step):
            rows = np.arange(begin, min(begin + step, len(obs)))
            chooses = Rounds(self.seed, begin, len(rows), "fit/density/actions")
            action, _ = sample_actions(self.policy, obs.take(rows), chooses, m)
            fresh = Rounds(self.seed, begin * m, len(rows) * m, "fit/density/outputs")
            drawn = output_embedding(self.simulator, bare.take(np.repeat(rows, m)), action.ravel(), fresh)
            logged = to_tensor(np.repeat(output[rows], m, axis=0))
            values = self.kernel.value(logged, to_tensor(drawn), fresh)
            out[rows] = to_array(values).reshape(len(rows), m).mean(axis=1)
        return out + np.float32(_FLOOR)


def fit_density_model(
    data: LoggedData,
    simulator: SamplesOutputs,
    training: DensityTraining | None = None,
    *,
    kernel: OutputKernel | None = None,
    seed: int,
    callback: Callback | None = None,
) -> DensityModel:
    """f(x, o) fitted to K(o1, o2), with o1 and o2 independent outputs of the logging policy for the same round.

    Raises:
        ValueError: the data carries no logging policy, or several.
    """
    training = training or DensityTraining()
    rounds = segments(data, training, seed)
    dim = rounds.like.require_output().shape[1]
    dims = {"dim_features": rounds.like.obs.features().shape[1], "dim_other": dim, "hidden": training.hidden}
    with torch_seed(seed, "density"):
        model = DensityModel(dims)
    network: PairwiseMLP = model.network.to(training.device)
    policy = data.require_logging_policy()
    pairs = _Pairs(rounds.parts, policy, simulator, kernel or OutputKernel(), training, seed)

    def loss(step: int) -> Loss:
        features, first, kernel = pairs.step(step - 1)
        return Loss(squared_loss(_positive(network.pairs(features, first)), kernel))

    optimise(network, loss, training, label="density model", callback=callback)
    return model


class _Pairs:
    """The rounds, outputs and kernel values of every step, prepared many steps at a time."""

    def __init__(
        self,
        parts: Iterator[Segment],
        policy: Policy,
        simulator: SamplesOutputs,
        kernel: OutputKernel,
        training: DensityTraining,
        seed: int,
    ) -> None:
        self.parts, self.policy, self.simulator, self.kernel = parts, policy, simulator, kernel
        self.training, self.seed = training, seed
        self._segment_end = self._prepared_end = self._begin = 0

    def step(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Features (B, d), first outputs (B, d_o) and kernel values (B,) of step 0, 1, …, those of this process."""
        size = self.training.batch_size
        if step >= self._segment_end:
            self._next_segment(step)
        if step >= self._prepared_end:
            self._begin, self._prepared_end = step, min(step + max(1, _PREPARED // size), self._segment_end)
            self._prepare(step * size, self._prepared_end * size)
        own, first = current().rows(size), (step - self._begin) * size
        rows = slice(first + own.start, first + own.stop)
        return self._some[rows], self._first[rows], self._values[rows]

    def _next_segment(self, step: int) -> None:
        """The rounds in memory from this step on, and which of them all their steps ask for."""
        segment, training = next(self.parts), self.training
        self.obs, self.features = segment.data.obs, features_of(segment.data.obs, training.device)
        self._segment_begin, self._segment_end = step, int(min(training.steps, step + segment.steps))
        size = training.batch_size
        rounds = self._rounds(step * size, (self._segment_end - step) * size, "rows")
        self.row = rounds.integers("row", len(segment.data))
        self.action = sample_for_rows(self.policy, self.obs, self.row, rounds.uniform("actions", 2))

    def _prepare(self, begin: int, end: int) -> None:
        training, first = self.training, self._segment_begin * self.training.batch_size
        asked = slice(begin - first, end - first)
        rows = self.row[asked]
        obs = without_mask(self.obs).take(rows)
        outputs = []
        for which in (0, 1):
            rounds = self._rounds(begin, end - begin, f"output {which}")
            drawn = output_embedding(self.simulator, obs, self.action[asked, which], rounds)
            outputs.append(to_tensor(drawn, training.device))
        self._first, second = outputs
        noise_rounds = self._rounds(begin, end - begin, "noise")
        self._values = self.kernel.value(self._first, second, noise_rounds)
        self._some = self.features[to_tensor(rows, training.device)]

    def _rounds(self, begin: int, n: int, purpose: str) -> Rounds:
        return Rounds(self.seed, begin, n, f"fit/density/{purpose}")
