"""Sentences that the LLM writes for what a policy would choose: draws that do not depend on how rounds are chunked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from prompt_bandits.rounds import Rounds
from prompt_bandits.types import FloatArray, IntArray

from ..protocols import SamplesOutputs
from .chunk import Chunk, unseen_models
from .models import Fitter
from .sentence_models import OUTPUTS, CrossFittedOutputs


@dataclass(frozen=True, eq=False)
class Written:
    """Who writes, and the seed of what is drawn."""

    sampler: SamplesOutputs | CrossFittedOutputs
    seed: int


@dataclass(frozen=True)
class Writer:
    """The LLM, where a simulator is given, else the model of logged outputs."""

    name: ClassVar[str] = "writer"
    of_policy: ClassVar[bool] = False

    def fit(self, fitter: Fitter) -> Written:
        """Raises:
        ValueError: neither outputs in the log nor a simulator that writes.
        """
        from ..sampling import require_sampler

        simulator = fitter.models.simulator
        sampler = fitter.get(OUTPUTS) if simulator is None else require_sampler(simulator, "this estimator")
        return Written(sampler, fitter.seed)


WRITER = Writer()


@dataclass(frozen=True, eq=False)
class Draws:
    """m sentences for each of some rounds of a chunk."""

    part: slice  # which rounds
    action: IntArray  # (j, m) the prompts
    output: FloatArray  # (j·m, d_o) what was written for them, the m of the first round first
    rounds: Rounds  # the j·m rounds that it was drawn from


def draws(chunk: Chunk, dist: FloatArray, m: int, scope: str) -> Iterator[Draws]:
    """m prompts a round from `dist` (k, |A|), and a fresh sentence for each; a few rounds at a time."""
    yield from written(chunk, drawn_actions(dist, uniforms(chunk, m, scope)), scope)


def uniforms(chunk: Chunk, m: int, scope: str) -> FloatArray:
    """(k, m) in [0, 1), for drawing prompts."""
    return Rounds(_writer(chunk).seed, chunk.first, len(chunk), f"ope/{scope}").uniform("actions", m)


def _writer(chunk: Chunk) -> Written:
    writer: Written = chunk.models.get(WRITER)
    return writer


def drawn_actions(dist: FloatArray, uniform: FloatArray) -> IntArray:
    """(k, m) prompts from distributions (k, |A|), which need not sum to 1: one from each m-th of a round's mass, so
    that their shares are nearer to `dist` than those of independent draws (stratified sampling).

    Args:
        dist: (k, |A|).
        uniform: (k, m) in [0, 1).
    """
    (k, m), n_actions = uniform.shape, dist.shape[1]
    cumulative = np.cumsum(dist, axis=1, dtype=np.float64)
    target = (np.arange(m) + uniform) / m * cumulative[:, -1:]
    row = np.arange(k)[:, None]
    scale = np.where(cumulative[:, -1:] > 0, cumulative[:, -1:], 1)
    ends = (cumulative / scale + row).ravel()  # ascending from row to row, so that one search does for all
    found = np.searchsorted(ends, (target / scale + row).ravel(), side="right").reshape(k, m) - row * n_actions
    action = np.clip(found, 0, n_actions - 1)
    for i, j in zip(*np.nonzero(dist[row, action] <= 0), strict=True):  # what rounding of the larger numbers got wrong
        action[i, j] = np.searchsorted(cumulative[i], target[i, j], side="right") % n_actions
    return np.asarray(action)


def written(chunk: Chunk, action: IntArray, scope: str) -> Iterator[Draws]:
    """A fresh sentence for each of the prompts (k, m); a few rounds at a time."""
    k, m = action.shape
    dim = chunk.rows.require_output().shape[1]
    step = max(1, _CELLS // (m * dim))
    for begin in range(0, k, step):
        part = slice(begin, min(begin + step, k))
        first, n = (chunk.first + begin) * m, (part.stop - begin) * m
        rounds = Rounds(_writer(chunk).seed, first, n, f"ope/{scope}/outputs")
        yield Draws(part, action[part], _written(chunk, part, action[part], rounds, dim), rounds)


_CELLS = 1 << 22  # features of sentences that live at a time


def _written(chunk: Chunk, part: slice, action: IntArray, rounds: Rounds, dim: int) -> FloatArray:
    from ..sampling import output_embedding, without_mask

    some, m = chunk.rows.take(part), action.shape[1]
    bare, out = without_mask(some.obs), np.empty((action.size, dim), dtype=np.float32)
    for rows, model in unseen_models(_writer(chunk).sampler, some):
        position = positions(rows, m)
        own = rounds if len(rows) == len(some) else Rounds(rounds.seed, rounds.start + position, scope=rounds.scope)
        flat = bare.take(np.repeat(rows, m))
        out[position] = output_embedding(model, flat, action[rows].ravel(), own, dim)
    return out


def positions(rows: IntArray, m: int) -> IntArray:
    """Where the m things of each of these rows are in a flat array, (len(rows)·m,)."""
    return np.asarray((rows[:, None] * m + np.arange(m)).ravel())
