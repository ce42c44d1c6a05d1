"""What the frozen LLM writes on average, E[φ(s)|q, a], fitted to sampled or logged outputs.

Asking the LLM for every (query, prompt) pair is mostly out of reach; a few outputs for each prompt are not. The model
is a linear mixed model (Laird and Ware, 1982): φ = β·[1, q, e_a, q⊗e_a] + v_a + ε, in which every prompt has an effect
v_a of its own, shrunken towards what its features tell by how much its outputs vary. Where the same few queries come
again and again, and the LLM costs nothing to ask, every pair has an effect of its own, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import ClassVar

import numpy as np

from prompt_bandits.datasets import BanditDataset
from prompt_bandits.rounds import Rounds, named_generator
from prompt_bandits.types import FloatArray, IntArray, Observation, Output

from .pair_outputs import PairMeans, sample_pairs
from .protocols import LoggedData, SamplesOutputs
from .sampling import output_embedding, without_mask
from .segments import in_memory

_SWEEPS = 30
_HELD_OUT = 0.2
_KEPT_RESIDUALS = 4096
_ROWS = 1 << 16
_MOST_PRODUCTS, _MOST_FEATURES = 400, 256
_MOST = 1 << 18  # outputs in all, unless that is less than one a prompt
_OF_PAIR = 2  # outputs of a query with a prompt, where all pairs are asked for


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
    residuals: FloatArray  # (r, d_o) of held-out outputs
    r_squared: float  # on held-out outputs
    known: FloatArray  # (m, d_q) queries of which every prompt's outputs were sampled; mostly none
    deviation: FloatArray  # (m, |A|, d_o) by how much those differ from what the rest of the model says
    saved_as: ClassVar[str] = "output_model"

    def mean(self, obs: Observation, action: IntArray) -> FloatArray:
        """E[φ(s)|q_i, a_i], (n, d_o)."""
        self._check(obs)
        return self.predict(_queries(obs), action)

    def predict(self, query: FloatArray, action: IntArray) -> FloatArray:
        """The same for queries (n, d_q)."""
        off = query - self.center
        mean = off @ self.shift + self.effect[action]
        if self.interaction.any():
            mean += np.einsum("nq,na,qao->no", off, self.prompts[action], self.interaction, optimize=True)
        for k, rows in self._known_among(query):
            mean[rows] += self.deviation[k, action[rows]]
        return np.asarray(mean)

    def average(self, obs: Observation, action_dist: FloatArray) -> FloatArray:
        """E[φ(s)|q_i] of what a policy would have the LLM write, (n, d_o), given its probabilities (n, |A|)."""
        self._check(obs)
        query = _queries(obs)
        out = (query - self.center) @ self.shift + action_dist @ self.effect
        if self.interaction.any():
            mixed = action_dist @ self.prompts
            out += np.einsum("nq,na,qao->no", query - self.center, mixed, self.interaction, optimize=True)
        for k, rows in self._known_among(query):
            out[rows] += action_dist[rows] @ self.deviation[k]
        return np.asarray(out)

    def project(self, obs: Observation, direction: FloatArray) -> FloatArray:
        """E[φ(s)|q_i, a]·direction_i for every prompt, (n, |A|), given directions (n, d_o)."""
        self._check(obs)
        query = _queries(obs) - self.center
        own = ((query @ self.shift) * direction).sum(axis=1, keepdims=True)
        out = own + direction @ self.effect.T
        if self.interaction.any():
            mixed = np.einsum("nq,no,qao->na", query, direction, self.interaction, optimize=True)
            out = out + mixed @ self.prompts.T
        for k, rows in self._known_among(_queries(obs)):
            out[rows] += direction[rows] @ self.deviation[k].T
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

    def with_pairs(self, pairs: PairMeans) -> OutputModel:
        """The same, and what each of these pairs differs by."""
        every = np.arange(len(self.effect))
        predicted = [self.predict(np.broadcast_to(query, (len(every), len(query))), every) for query in pairs.query]
        return replace(self, known=pairs.query, deviation=pairs.deviation(np.stack(predicted)))

    @cached_property
    def _number(self) -> dict[bytes, int]:
        return {query.tobytes(): k for k, query in enumerate(self.known)}

    def _known_among(self, query: FloatArray) -> Iterator[tuple[int, IntArray]]:
        """The number of a known query, and the rows (of n) that ask it."""
        if not self._number:
            return
        number = np.array([self._number.get(row.tobytes(), -1) for row in query])
        order = np.argsort(number, kind="stable")
        found, begin = np.unique(number[order], return_index=True)
        for k, rows in zip(found, np.split(order, begin[1:]), strict=True):
            if k >= 0:
                yield int(k), rows

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

    Where queries recur, all of them are asked with every prompt, twice, if that is no more than 262,144 outputs and the
    LLM is not a costly one: it says for most tasks of few queries how they and prompts interact better than features.

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
    pairs = None
    if simulator is not None:
        pairs = sample_pairs(rows, logged.query, simulator, n_outputs=_OF_PAIR, most=_MOST, seed=seed)
    candidates = {kind: _fit(train, prompts, pairs, interact=kind) for kind in kinds}
    residual = {kind: judged.output - model.predict(judged.query, judged.action) for kind, model in candidates.items()}
    error = {kind: float(np.square(left).mean()) for kind, left in residual.items()}
    interact = min(error, key=lambda kind: error[kind])
    left = residual[interact][:_KEPT_RESIDUALS]
    total = float(np.square(judged.output - train.output.mean(axis=0)).mean())
    r_squared = 1 - error[interact] / total if total > 0 else 1.0
    whole = _fit(seen, prompts, pairs, interact=interact)
    return replace(whole, residuals=left - left.mean(axis=0), r_squared=r_squared)


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


def _fit(seen: _Outputs, prompts: FloatArray, pairs: PairMeans | None, *, interact: bool) -> OutputModel:
    """Expectation maximisation: coefficients given the effects, then effects and both variances given those."""
    from scipy.linalg import cho_factor, cho_solve

    useful = prompts if prompts.shape[1] <= _MOST_FEATURES else prompts[:, :0]
    center = seen.query.mean(axis=0)
    design = _design(seen.query - center, useful[seen.action], interact=interact)
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
    return _model(fixed, effect, center, prompts, useful, pairs)


_TINY = 1e-9


def _model(
    fixed: FloatArray,
    effect: FloatArray,
    center: FloatArray,
    prompts: FloatArray,
    useful: FloatArray,
    pairs: PairMeans | None,
) -> OutputModel:
    """Coefficients by what they belong to."""
    d_q, d_a, d_o = len(center), useful.shape[1], fixed.shape[1]
    intercept, shift, slope, rest = np.split(fixed, [1, 1 + d_q, 1 + d_q + d_a])
    together = rest.reshape(d_q, d_a, d_o) if len(rest) else np.zeros((d_q, 0, d_o))
    by_prompt = intercept + useful @ slope + effect
    nothing = np.zeros((0, d_q)), np.zeros((0, len(prompts), d_o))
    model = OutputModel(shift, by_prompt, together, center, prompts, np.zeros((0, d_o)), 0.0, *nothing)
    return model if pairs is None else model.with_pairs(pairs)


def _design(query: FloatArray, prompt: FloatArray, *, interact: bool) -> FloatArray:
    """[1, q, e_a] and, if they interact, q⊗e_a; (N, p)."""
    columns = [np.ones((len(query), 1)), query, prompt]
    if interact:
        columns.append((query[:, :, None] * prompt[:, None, :]).reshape(len(query), -1))
    return np.concatenate(columns, axis=1)
