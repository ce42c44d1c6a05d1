"""A frozen LLM made of a text model, a template and an encoder."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from prompt_bandits.llms.failures import RequestsFailed
from prompt_bandits.llms.post_processing import PostProcessing
from prompt_bandits.llms.requests import Completion, GenerationError, Sampling, TextModel, TextRequest, slot_key
from prompt_bandits.llms.templates import PromptTemplate
from prompt_bandits.protocols import SentenceEncoder
from prompt_bandits.rounds import Rounds
from prompt_bandits.types import FloatArray, IntArray, Observation, Output, TextArray, text_array

_REFUSALS = ("context_limit", "content_filter")


@dataclass(frozen=True)
class Refused:
    """An answer without a text."""

    query: str
    prompt: str | None
    outcome: str  # "context_limit" or "content_filter"


@dataclass(eq=False)
class TextLLM:
    """Writes sentences with a text model. Observations need `query_text`, and prompts their texts.

    A round draws one of `n_slots` slots, and equal (query, prompt, slot) are one request: asked once in a batch, and
    once ever where the model is a `CachedLM`.

    Args:
        model: writes.
        template: what it is asked.
        sampling: how it draws.
        encoder: gives the sentences' embeddings; without one there are none.
        n_slots: different answers to a query and prompt; None asks anew in every round.
        post: what is kept of an answer.

    Raises:
        ValueError: `n_slots` < 1.
    """

    model: TextModel
    template: PromptTemplate = field(default_factory=PromptTemplate)
    sampling: Sampling = field(default_factory=Sampling)
    encoder: SentenceEncoder | None = None
    n_slots: int | None = 4
    post: PostProcessing = field(default_factory=PostProcessing)
    _refused: dict[Refused, None] = field(default_factory=dict, init=False, repr=False)

    costly: ClassVar[bool] = True  # the oracle asks for no more than it was told to

    def __post_init__(self) -> None:
        if self.n_slots is not None and self.n_slots < 1:
            raise ValueError(f"n_slots: expected >= 1 or None, got {self.n_slots}")

    @property
    def refused(self) -> list[Refused]:
        """Answers without a text, each once; their sentence is empty."""
        return list(self._refused)

    def generate(self, obs: Observation, action: IntArray | None, rounds: Rounds) -> Output:
        """Sentences of `n` rounds for the actions (n,), or without a prompt.

        Raises:
            GenerationError: the model could not answer all; says how many are missing, and a `RequestsFailed` which
                rounds' they are.
            ValueError: queries or prompts without texts.
        """
        if len(obs) == 0:
            return self._output(np.array([], dtype=object), np.array([], dtype=np.int64))
        asked, row_of = self._distinct(obs, action, rounds)
        requests = [self.template.request(*what) for what in asked]
        answers = self._complete(requests, row_of)
        self._list_refused(asked, answers)
        return self._output(text_array(self.post(answer.text) for answer in answers), row_of)

    def _distinct(
        self, obs: Observation, action: IntArray | None, rounds: Rounds
    ) -> tuple[list[tuple[str, str | None, str]], IntArray]:
        """The different (query, prompt, key), and for every round (n,) which of them is its own."""
        if obs.query_text is None:
            raise ValueError("query_text: expected the queries as texts, got none")
        if action is not None and obs.prompts.text is None:
            raise ValueError("prompts.text: expected the prompts as texts, got none")
        prompts = [None] * len(obs) if action is None else obs.prompts.text[action].tolist()  # type: ignore[index]
        numbers: dict[tuple[str, str | None, str], int] = {}
        row_of = [
            numbers.setdefault(what, len(numbers))
            for what in zip(obs.query_text.tolist(), prompts, self._keys(rounds), strict=True)
        ]
        return list(numbers), np.array(row_of, dtype=np.int64)

    def _keys(self, rounds: Rounds) -> list[str]:
        """What an answer depends on beside query and prompt."""
        if self.n_slots is None:
            return [f"{rounds.seed}/{rounds.scope}/{round_id}" for round_id in rounds.round_id.tolist()]
        return [slot_key(slot) for slot in rounds.integers("llm", self.n_slots).tolist()]

    def _complete(self, requests: list[TextRequest], row_of: IntArray) -> list[Completion]:
        answers: dict[int, Completion] = {}
        cause: GenerationError | None = None
        try:
            for i, answer in self.model.complete(requests, self.sampling):
                answers[i] = answer  # noqa: PERF403  what came before an error stays
        except RequestsFailed as error:
            rows = [np.flatnonzero(row_of == i).tolist() for i in range(len(requests))]
            raise error.among(len(row_of), rows, "rounds") from None
        except GenerationError as error:
            cause = error
        if len(answers) == len(requests):
            return [answers[i] for i in range(len(requests))]
        raise GenerationError(
            f"{len(answers)} of {len(requests)} answers had arrived, {len(requests) - len(answers)} are missing: "
            f"{cause or 'the model stopped without an error'}"
        ) from cause

    def _list_refused(self, asked: list[tuple[str, str | None, str]], answers: list[Completion]) -> None:
        found = [
            Refused(query, prompt, answer.outcome)
            for (query, prompt, _), answer in zip(asked, answers, strict=True)
            if answer.outcome in _REFUSALS
        ]
        if not found:
            return
        self._refused.update(dict.fromkeys(found))
        counts = ", ".join(f"{outcome}: {n}" for outcome, n in sorted(Counter(one.outcome for one in found).items()))
        warnings.warn(
            f"{len(found)} of {len(asked)} sentences are empty ({counts}), the first for query {found[0].query!r} and "
            f"prompt {found[0].prompt!r}; `refused` lists all",
            stacklevel=3,
        )

    def _output(self, texts: TextArray, row_of: IntArray) -> Output:
        """The output of rounds whose sentence is `texts[row_of]`; every text is encoded once."""
        if self.encoder is None:
            return Output(text=texts[row_of])
        numbers: dict[str, int] = {}
        number_of = np.array([numbers.setdefault(text, len(numbers)) for text in texts.tolist()], dtype=np.int64)
        embedding: FloatArray = self.encoder.encode(text_array(numbers))
        return Output(embedding[number_of[row_of]], texts[row_of])
