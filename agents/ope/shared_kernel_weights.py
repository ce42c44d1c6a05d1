"""Kernel weights whose numerator and density are of the same sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from prompt_bandits.types import FloatArray, IntArray

from .chunk import Chunk
from .kernel_weights import KernelWeight
from .marginal_weights import supported_dist
from .sentence_draws import Draws, drawn_actions, uniforms, written

_KEPT_FEATURES = 1 << 23  # of sentences, kept for other kernels


@dataclass(frozen=True)
class SharedKernelWeight(KernelWeight):
    """Σ_a π·K̄_a / Σ_a π0·K̄_a with K̄_a = E[K(φ(s_i), φ(s'))] over what the LLM writes for prompt a: the same
    sentences above and below, so that what they say of the density cancels.

    They are those of every prompt where `n_outputs` is enough for that. Else one is of the logged prompt, whose share
    is exact, and the others of prompts drawn from π + π0.
    """

    def of(self, chunk: Chunk) -> FloatArray:
        ours, theirs = chunk.action_dist, supported_dist(chunk, self.loggers)
        stands_for, sentences = self._sentences(chunk, ours + theirs)
        out = np.empty(len(chunk))
        for drawn in sentences:
            alike = self.alike(chunk, drawn) * stands_for[drawn.part]
            above, below = (
                (np.take_along_axis(dist[drawn.part], drawn.action, axis=1) * alike).sum(axis=1, dtype=np.float64)
                for dist in (ours, theirs)
            )
            out[drawn.part] = np.divide(above, below, out=np.zeros(len(below)), where=below > 0)
        return out

    def _sentences(self, chunk: Chunk, dist: FloatArray) -> tuple[FloatArray, Iterable[Draws]]:
        """How many prompts each stands for, and the sentences: the same for kernels of all widths, and written once for
        all of them where they take little memory.
        """

        def write() -> tuple[FloatArray, Iterator[Draws]]:
            action, stands_for = spread_out(dist, chunk.rows.action, uniforms(chunk, self.n_outputs, "shared"))
            return stands_for, written(chunk, action, "shared")

        def keep() -> tuple[FloatArray, list[Draws]]:
            stands_for, sentences = write()
            return stands_for, list(sentences)

        if chunk.rows.require_output().size * self.n_outputs > _KEPT_FEATURES:
            return write()
        kept: tuple[FloatArray, list[Draws]] = chunk.kept(("shared sentences", self.n_outputs, self.loggers), keep)
        return kept


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
