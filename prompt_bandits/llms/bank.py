"""Sentences that a frozen LLM wrote beforehand: rounds then need no LLM."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prompt_bandits.protocols import FrozenLLM
from prompt_bandits.rounds import Rounds
from prompt_bandits.types import FiniteOutputs, FloatArray, IntArray, Observation, Output, TextArray, text_array

NO_PROMPT = -1
"""The prompt id of sentences that were written without a prompt."""


@dataclass(frozen=True, eq=False)
class SentenceBank:
    """Written sentences by query, prompt and sample slot.

    Every (query, prompt) that is in the bank has all `n_slots` slots; make one with `from_columns`.
    """

    text: TextArray  # (N,)
    embedding: FloatArray  # (N, d_o) f32
    rows: IntArray  # (n_queries, n_prompts, K) rows of `text`; −1 where nothing is written
    base_rows: IntArray  # (n_queries, K0) rows of the sentences without a prompt; −1 likewise

    @classmethod
    def from_columns(
        cls,
        query_id: NDArray[Any],
        prompt_id: NDArray[Any],
        slot: NDArray[Any],
        text: Iterable[str],
        embedding: FloatArray,
        shape: tuple[int, int],
    ) -> SentenceBank:
        """The bank of N sentences, each with its query, prompt (`NO_PROMPT` for none) and slot.

        Args:
            query_id, prompt_id, slot: (N,) integers.
            text: N sentences.
            embedding: (N, d_o).
            shape: (n_queries, n_prompts).

        Raises:
            ValueError: columns of different lengths, an id out of range, or a slot that is there twice or missing.
        """
        texts = text_array(text)
        query_id, prompt_id, slot = (np.asarray(column, dtype=np.int64) for column in (query_id, prompt_id, slot))
        for name, column in (("prompt_id", prompt_id), ("slot", slot), ("text", texts), ("embedding", embedding)):
            if len(column) != len(query_id):
                raise ValueError(f"bank.{name}: expected {len(query_id)} rows, got {len(column)}")
        for name, column, low, high in (
            ("query_id", query_id, 0, shape[0]),
            ("prompt_id", prompt_id, NO_PROMPT, shape[1]),
            ("slot", slot, 0, len(texts)),
        ):
            if len(column) and not (column.min() >= low and column.max() < high):
                raise ValueError(f"bank.{name}: expected {low} … {high - 1}, got {column.min()} … {column.max()}")
        base = prompt_id == NO_PROMPT
        prompted = _table(query_id[~base] * shape[1] + prompt_id[~base], slot[~base], np.flatnonzero(~base), shape)
        bare = _table(query_id[base], slot[base], np.flatnonzero(base), shape[:1])
        return cls(texts, np.asarray(embedding, dtype=np.float32), prompted, bare)

    @property
    def n_slots(self) -> int:
        """K, the sentences for each query and prompt."""
        return int(self.rows.shape[2])

    def __len__(self) -> int:
        return len(self.text)

    def outputs(self, rows: IntArray) -> Output:
        """Sentences and their embeddings at these rows."""
        return Output(self.embedding[rows], self.text[rows])


def _table(group: IntArray, slot: IntArray, row: IntArray, shape: tuple[int, ...]) -> IntArray:
    """(*shape, K) the row of each group's slot, −1 where a group has none.

    Raises:
        ValueError: a slot twice, or a group with some of the slots only.
    """
    k = int(slot.max()) + 1 if len(slot) else 0
    table = np.full((int(np.prod(shape)), k), -1, dtype=np.int64)
    table[group, slot] = row
    if (table >= 0).sum() != len(row):
        raise ValueError("bank.slot: expected every slot of a query and prompt once, got one twice")
    some = (table >= 0).any(axis=1) & (table < 0).any(axis=1)
    if some.any():
        raise ValueError(f"bank.slot: expected all {k} slots or none, got some only for group {int(some.argmax())}")
    return table.reshape(*shape, k)


class BankLLM:
    """A frozen LLM that reads from a bank; a round picks one of its slots.

    Args:
        bank: what is written.
        fallback: writes what is not in the bank; None: that is an error.
    """

    def __init__(self, bank: SentenceBank, fallback: FrozenLLM | None = None) -> None:
        self.bank, self.fallback = bank, fallback

    @property
    def costly(self) -> bool:
        """Whether what is not in the bank calls a language model."""
        return bool(getattr(self.fallback, "costly", False))

    def generate(self, obs: Observation, action: IntArray | None, rounds: Rounds) -> Output:
        """Sentences of the bank, (n,); of the fallback where it has none.

        Raises:
            ValueError: a sentence that is not in the bank, and no fallback.
        """
        rows = self._rows(obs, action, rounds)
        missing = rows < 0
        if not missing.any():
            return self.bank.outputs(rows)
        if self.fallback is None:
            raise ValueError(
                f"bank: {self._name(obs, action, int(missing.argmax()))} is not in it; expected a fallback"
            )
        return self._with_fallback(obs, action, rounds, rows)

    def finite_outputs(self, obs: Observation) -> FiniteOutputs | None:
        """All sentences of every prompt, for exact values; None where the bank lacks one of them."""
        queries, group = np.unique(_query_id(obs), return_inverse=True)
        return self._finite(self.bank.rows[np.ix_(queries, obs.prompts.prompt_id)], group)

    def finite_base_outputs(self, obs: Observation) -> FiniteOutputs | None:
        """The sentences without a prompt, as those of a single one."""
        queries, group = np.unique(_query_id(obs), return_inverse=True)
        return self._finite(self.bank.base_rows[queries][:, None], group)

    def _finite(self, rows: IntArray, group: IntArray) -> FiniteOutputs | None:
        if rows.shape[2] == 0 or (rows < 0).any():
            return None
        return FiniteOutputs(group, rows, Output(self.bank.embedding, self.bank.text))

    def _rows(self, obs: Observation, action: IntArray | None, rounds: Rounds) -> IntArray:
        """(n,) rows of the bank, −1 where there is none."""
        query_id = _query_id(obs)
        table = self.bank.base_rows if action is None else self.bank.rows
        if not table.shape[-1]:
            return np.full(len(obs), -1)
        slot = rounds.integers("llm", table.shape[-1])
        if action is None:
            return np.asarray(table[query_id, slot])
        return np.asarray(table[query_id, obs.prompts.prompt_id[action], slot])

    def _with_fallback(self, obs: Observation, action: IntArray | None, rounds: Rounds, rows: IntArray) -> Output:
        assert self.fallback is not None
        missing = np.flatnonzero(rows < 0)
        some = Rounds(rounds.seed, rounds.round_id[missing], scope=rounds.scope)
        written = self.fallback.generate(obs.take(missing), None if action is None else action[missing], some)
        known = self.bank.outputs(np.maximum(rows, 0))
        assert known.embedding is not None
        assert known.text is not None
        if written.embedding is None or written.text is None:
            raise ValueError("bank: expected sentences and embeddings from the fallback, as the bank has, got one only")
        known.embedding[missing], known.text[missing] = written.embedding, written.text
        return known

    def _name(self, obs: Observation, action: IntArray | None, row: int) -> str:
        query = _query_id(obs)[row] if obs.query_text is None else repr(obs.query_text[row])
        if action is None:
            return f"query {query} without a prompt"
        prompt = int(action[row]) if obs.prompts.text is None else repr(obs.prompts.text[action[row]])
        return f"query {query} with prompt {prompt}"


def _query_id(obs: Observation) -> IntArray:
    if obs.query_id is None:
        raise ValueError("query_id: expected the rounds' query ids, which say where to look in the bank, got none")
    return obs.query_id
