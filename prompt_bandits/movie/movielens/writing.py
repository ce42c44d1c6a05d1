"""What a language model writes about the films of a MovieLens folder, kept in a cache as it arrives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from prompt_bandits.llms.bank import NO_PROMPT
from prompt_bandits.llms.cache import CachedLM, SentenceCache
from prompt_bandits.llms.requests import Completion, GenerationError, TextModel, TextRequest, slot_key
from prompt_bandits.movie.movielens.catalogue import MovieLensCatalogue
from prompt_bandits.movie.movielens.settings import MovieLensSettings
from prompt_bandits.progress import progress_bar
from prompt_bandits.types import IntArray, TextArray, text_array

_WITHOUT_TEXT = ("context_limit", "content_filter")
_AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class Written:
    """Sentences about films, with a keyword or without one."""

    film: IntArray  # (N,)
    keyword: IntArray  # (N,) NO_PROMPT for none
    slot: IntArray  # (N,)
    text: TextArray  # (N,) empty where the model refused

    @property
    def bare(self) -> TextArray:
        """(n_items, K0) those without a keyword."""
        rows = np.flatnonzero(self.keyword == NO_PROMPT)
        return self.text[rows].reshape(-1, int(self.slot[rows].max()) + 1)


def write_catalogue(
    catalogue: MovieLensCatalogue,
    model: TextModel,
    cache: SentenceCache,
    settings: MovieLensSettings,
    say: Callable[[str], None],
) -> Written:
    """Sentences of every film without a keyword, film by film, and after that with every keyword, if asked for.

    Raises:
        GenerationError: some could not be had; what had arrived is in the cache.
    """
    asked = [(film, NO_PROMPT, slot) for film in range(catalogue.n_items) for slot in range(settings.n_base_slots)]
    asked += [
        (film, keyword, slot)
        for film in range(catalogue.n_items)
        for keyword in range(len(catalogue.keywords))
        for slot in range(settings.n_slots)
    ]
    columns = np.array(asked, dtype=np.int64)
    say(f"sentences: {len(asked):,} to write, {len(cache):,} are in {cache.path}")
    texts, outcomes, remembering = list[str](), Counter[str](), CachedLM(model, cache)
    with progress_bar(len(asked), "sentences") as bar:
        for begin in range(0, len(asked), _AT_ONCE):
            requests = [_request(catalogue, settings, *row) for row in asked[begin : begin + _AT_ONCE]]
            try:
                answers = _in_order(remembering.complete(requests, settings.sampling), len(requests), bar.update)
            except GenerationError as error:
                message = f"{error}; what had arrived is in {cache.path}, and the same call goes on"
                raise GenerationError(message) from error
            outcomes.update(answer.outcome for answer in answers)
            texts += [settings.post(answer.text) for answer in answers]
    refused = sum(outcomes[outcome] for outcome in _WITHOUT_TEXT)
    say(f"sentences: {len(texts):,} written" + (f", {refused:,} refused by the model and empty" if refused else ""))
    return Written(columns[:, 0], columns[:, 1], columns[:, 2], text_array(texts))


def _request(
    catalogue: MovieLensCatalogue, settings: MovieLensSettings, film: int, keyword: int, slot: int
) -> TextRequest:
    word = None if keyword == NO_PROMPT else catalogue.keywords[keyword]
    return settings.template.request(catalogue.title[film], word, slot_key(slot))


def _in_order(arriving: Iterator[tuple[int, Completion]], n: int, arrived: Callable[[int], object]) -> list[Completion]:
    """Answers in the order of their requests."""
    answers: dict[int, Completion] = {}
    for i, answer in arriving:
        answers[i] = answer
        arrived(1)
    if len(answers) < n:
        raise GenerationError(f"{len(answers)} of {n} answers had arrived when the model stopped without an error")
    return [answers[i] for i in range(n)]
