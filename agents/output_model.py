"""What the frozen LLM writes on average, E[φ(s)|q, a], fitted to sampled or logged outputs.

Asking the LLM for every (query, prompt) pair is out of reach; a few outputs for each prompt are not. The model is a
linear mixed model (Laird and Ware, 1982): φ = β·[1, q, e_a, q⊗e_a] + v_a + ε, in which every prompt has an effect
v_a of its own, shrunken towards what its features tell by how much its outputs vary.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from prompt_bandits.datasets import BanditDataset
from prompt_bandits.rounds import Rounds, named_generator
from prompt_bandits.types import FloatArray, IntArray, Observation, Output

from .protocols import LoggedData, SamplesOutputs
from .sampling import output_embedding, without_mask
from .segments import in_memory

_SWEEPS = 30
_HELD_OUT = 0.2
_KEPT_RESIDUALS = 4096
_ROWS = 1 << 16
_MOST_PRODUCTS, _MOST_FEATURES = 400, 256
_MOST = 1 << 18  # outputs in all, unless that is less than one a prompt


@dataclass(frozen=True, eq=False)
class OutputModel:
    """A fitted E[φ(s)|q, a], and by how much outputs differ from it. Also stands in for the LLM: `respond` gives the
    mean plus one of the residuals.
    """

    shift: FloatArray  # (d_q, d_o) what a query adds
    effect: FloatArray  # (|A|, d_o) what a prompt adds, the intercept included
    interaction: FloatArray  # (d_q, d_a, d_o) what they add together; empty where validation found nothing
    center: FloatArray  # (d_q,) of the queries
    prompts: FloatArray  # (|A|, d_a) embeddings of the prompts that it was fitted for
    residuals: FloatArray  # (m, d_o) of held-out outputs
    r_squared: float  # on held-out outputs
    saved_as: ClassVar[str] = "output_model"

    def mean(self, obs: Observation, action: IntArray) -> FloatArray:
        """E[φ(s)|q_i, a_i], (n, d_o)."""
        self._check(obs)
        query = _queries(obs) - self.center
        mean = query @ self.shift + self.effect[action]
        if self.interaction.any():
            mean += np.einsum("nq,na,qao->no", query, self.prompts[action], self.interaction, optimize=True)
        return np.asarray(mean)

    def project(self, obs: Observation, direction: FloatArray) -> FloatArray:
        """E[φ(s)|q_i, a]·direction_i for every prompt, (n, |A|), given directions (n, d_o)."""
        self._check(obs)
        query = _queries(obs) - self.center
        own = ((query @ self.shift) * direction).sum(axis=1, keepdims=True)
        out = own + direction @ self.effect.T
        if self.interaction.any():
            mixed = np.einsum("nq,no,qao->na", query, direction, self.interaction, optimize=True)
            out = out + mixed @ self.prompts.T
        return np.asarray(out)

    def respond(self, obs: Observation, action: IntArray | None, rounds: Rounds) -> Output:
        """Stands in for the LLM, where nobody may ask it: embeddings only.

        Raises:
            ValueError: no action; what the LLM writes without a prompt is not in the log.
        """
        if action is None:
            raise ValueError("action: a model of logged outputs knows nothing of outputs without a prompt, got None")
        drawn = self.residuals[rounds.integers("residual", len(self.residuals))]
        return Output((self.mean(obs, action) + drawn).astype(np.float32))

    def mean_by_prompt(self) -> FloatArray:
        """E[φ(s)|a] for an average query, (|A|, d_o)."""
        return self.effect

    def _check(self, obs: Observation) -> None:
        table = obs.prompts.embedding
        if table.shape != self.prompts.shape or not np.array_equal(table, self.prompts):
            raise ValueError(
                f"prompts: expected the {len(self.prompts)} that the model of outputs was fitted for, got other "
                f"embeddings, {table.shape}"
            )
        if _queries(obs).shape[1] != len(self.center):
            raise ValueError(f"query: expected {len(self.center)} features, got {_queries(obs).shape[1]}")


def fit_output_model(
    data: LoggedData, simulator: SamplesOutputs | None = None, *, n_outputs: int = 16, seed: int, memory_mb: int = 256
) -> OutputModel:
    """Fits the model to the logged outputs and, where the LLM may be asked, to fresh ones for logged queries.

    Whether query and prompt interact is decided on held-out outputs; with more than 400 products of their features it
    is taken for granted that they do not.

    Args:
        data: logged rounds with output embeddings; of a large folder, so many as fit into `memory_mb`.
        simulator: samples outputs; None: the logged ones have to do.
        n_outputs: fresh outputs a prompt; fewer where that would be more than 262,144 in all.
        seed: of what is sampled and held out.
        memory_mb: of rows at a time.

    Raises:
        ValueError: no output embeddings, or a simulator whose outputs are of another kind than the logged ones.
    """
    rows = in_memory(data, memory_mb, seed)
    if len(rows) > _MOST:
        rows = rows.take(np.sort(named_generator(seed, "rows").permutation(len(rows))[:_MOST]))
    logged = _Outputs(_queries(rows.obs), rows.action, rows.require_output())
    seen = logged if simulator is None else logged.joined(_fresh(rows, simulator, n_outputs, seed))
    held_out = named_generator(seed, "held-out outputs").random(len(seen.action)) < _HELD_OUT
    if held_out.all() or not held_out.any():
        held_out = np.arange(len(held_out)) >= len(held_out) // 2
    train, judged = seen.take(~held_out), seen.take(held_out)
    prompts = rows.obs.prompts.embedding
    kinds = (False, True) if logged.query.shape[1] * prompts.shape[1] <= _MOST_PRODUCTS else (False,)
    candidates = {kind: _MixedModel.fit(train, prompts, interact=kind) for kind in kinds}
    error = {kind: float(np.square(judged.output - fit.predict(judged)).mean()) for kind, fit in candidates.items()}
    interact = min(error, key=lambda kind: error[kind])
    residuals = (judged.output - candidates[interact].predict(judged))[:_KEPT_RESIDUALS]
    residuals -= residuals.mean(axis=0)
    total = float(np.square(judged.output - train.output.mean(axis=0)).mean())
    whole = _MixedModel.fit(seen, prompts, interact=interact)
    return whole.model(residuals, 1 - error[interact] / total if total > 0 else 1.0)


def _queries(obs: Observation) -> FloatArray:
    """What the LLM sees of a round beside the prompt: the query, or the context where there is none."""
    return np.asarray(obs.context if obs.query is None else obs.query, dtype=np.float64)


def _fresh(rows: BanditDataset, simulator: SamplesOutputs, n_outputs: int, seed: int) -> _Outputs:
    n_actions = rows.n_actions
    n_outputs = max(1, min(n_outputs, _MOST // n_actions))
    n = n_outputs * n_actions
    row = named_generator(seed, "queries").integers(len(rows), size=n)
    action = np.tile(np.arange(n_actions), n_outputs)
    bare, dim = without_mask(rows.obs), rows.require_output().shape[1]
    parts = [
        output_embedding(
            simulator,
            bare.take(row[begin : begin + _ROWS]),
            action[begin : begin + _ROWS],
            Rounds(seed, begin, min(_ROWS, n - begin), "fit/output model"),
            dim,
        )
        for begin in range(0, n, _ROWS)
    ]
    return _Outputs(_queries(rows.obs)[row], action, np.concatenate(parts))


@dataclass(frozen=True, eq=False)
class _Outputs:
    query: FloatArray  # (N, d_q)
    action: IntArray  # (N,)
    output: FloatArray  # (N, d_o)

    def take(self, keep: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> _Outputs:
        return _Outputs(self.query[keep], self.action[keep], self.output[keep])

    def joined(self, other: _Outputs) -> _Outputs:
        return _Outputs(*(np.concatenate([getattr(self, f), getattr(other, f)]) for f in ("query", "action", "output")))


@dataclass(frozen=True, eq=False)
class _MixedModel:
    center: FloatArray  # (d_q,)
    fixed: FloatArray  # (1 + d_q + d_a (+ d_q·d_a), d_o)
    effect: FloatArray  # (|A|, d_o) of each prompt, beside its features'
    prompts: FloatArray  # (|A|, d_a); d_a = 0 where there are too many features to be of use
    table: FloatArray  # all features

    @classmethod
    def fit(cls, seen: _Outputs, prompts: FloatArray, *, interact: bool) -> _MixedModel:
        """Expectation maximisation: coefficients given the effects, then effects and both variances given those."""
        from scipy.linalg import cho_factor, cho_solve

        table = prompts
        if prompts.shape[1] > _MOST_FEATURES:
            prompts = prompts[:, :0]
        center = seen.query.mean(axis=0)
        design = _design(seen.query - center, prompts[seen.action], interact=interact)
        gram = design.T @ design
        gram[np.diag_indices_from(gram)] += 1e-7 * np.trace(gram) / len(gram)
        solve = partial(cho_solve, cho_factor(gram))
        count = np.bincount(seen.action, minlength=len(prompts))[:, None]
        effect = np.zeros((len(prompts), seen.output.shape[1]))
        fixed = solve(design.T @ seen.output)
        noise = between = (seen.output - design @ fixed).var(axis=0) / 2 + _TINY
        for _ in range(_SWEEPS):
            fixed = solve(design.T @ (seen.output - effect[seen.action]))
            rest = seen.output - design @ fixed
            total = np.stack([np.bincount(seen.action, column, len(prompts)) for column in rest.T], axis=1)
            precision = count + noise / between
            effect, spread = total / precision, noise / precision
            within = np.square(rest - effect[seen.action]).sum(axis=0) + (count * spread).sum(axis=0)
            noise, between = within / len(rest) + _TINY, (np.square(effect) + spread).mean(axis=0) + _TINY
        return cls(center, fixed, effect, prompts, table)

    def predict(self, at: _Outputs) -> FloatArray:
        interact = len(self.fixed) > 1 + len(self.center) + self.prompts.shape[1]
        design = _design(at.query - self.center, self.prompts[at.action], interact=interact)
        return np.asarray(design @ self.fixed + self.effect[at.action])

    def model(self, residuals: FloatArray, r_squared: float) -> OutputModel:
        d_q, d_a, d_o = len(self.center), self.prompts.shape[1], self.fixed.shape[1]
        intercept, shift, slope, rest = np.split(self.fixed, [1, 1 + d_q, 1 + d_q + d_a])
        together = rest.reshape(d_q, d_a, d_o) if len(rest) else np.zeros((d_q, 0, d_o))
        effect = intercept + self.prompts @ slope + self.effect
        return OutputModel(shift, effect, together, self.center, self.table, residuals, r_squared)


_TINY = 1e-9


def _design(query: FloatArray, prompt: FloatArray, *, interact: bool) -> FloatArray:
    """[1, q, e_a] and, if they interact, q⊗e_a; (N, p)."""
    columns = [np.ones((len(query), 1)), query, prompt]
    if interact:
        columns.append((query[:, :, None] * prompt[:, None, :]).reshape(len(query), -1))
    return np.concatenate(columns, axis=1)
