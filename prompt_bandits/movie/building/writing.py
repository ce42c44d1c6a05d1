"""The bank's sentences: everything that the language model is asked, on all cores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prompt_bandits.llms.bank import NO_PROMPT
from prompt_bandits.llms.requests import Sampling, TextRequest, slot_key
from prompt_bandits.llms.templates import PromptTemplate
from prompt_bandits.movie.building.processes import in_processes
from prompt_bandits.types import IntArray, TextArray, text_array


@dataclass(frozen=True)
class WritingTask:
    """What is asked for one film: every keyword and none, so many slots each."""

    title: str
    keywords: tuple[str, ...]
    n_slots: int
    n_base_slots: int
    template: PromptTemplate

    def requests(self) -> list[TextRequest]:
        """Keyword by keyword, slot by slot; those without a keyword last."""
        asked: list[tuple[str | None, int]] = [(word, slot) for word in self.keywords for slot in range(self.n_slots)]
        asked += [(None, slot) for slot in range(self.n_base_slots)]
        return [self.template.request(self.title, word, slot_key(slot)) for word, slot in asked]

    def columns(self) -> tuple[IntArray, IntArray]:
        """Keyword (or `NO_PROMPT`) and slot of each request."""
        n = len(self.keywords)
        keyword = np.concatenate([np.repeat(np.arange(n), self.n_slots), np.full(self.n_base_slots, NO_PROMPT)])
        slot = np.concatenate([np.tile(np.arange(self.n_slots), n), np.arange(self.n_base_slots)])
        return keyword, slot


def write_all(
    tasks: Sequence[WritingTask], language_model: Path, sampling: Sampling
) -> tuple[IntArray, IntArray, IntArray, TextArray]:
    """(N,) film, keyword, slot and sentence of all that is asked; processes of one thread each share the films."""
    written = in_processes(_write, tasks, _start, (str(language_model), sampling), "write sentences")
    columns = [task.columns() for task in tasks]
    film = np.repeat(np.arange(len(tasks)), [len(keyword) for keyword, _ in columns])
    keyword, slot = (np.concatenate([column[i] for column in columns]) for i in range(2))
    return film, keyword, slot, text_array(text for texts in written for text in texts)


_state: dict[str, Any] = {}  # of a worker


def _start(language_model: str, sampling: Sampling) -> None:
    from prompt_bandits.llms.huggingface import HuggingFaceLM

    _state["model"] = HuggingFaceLM(language_model, dtype="float32", device="cpu", progress=False)
    _state["sampling"] = sampling


def _write(task: WritingTask) -> list[str]:
    requests = task.requests()
    texts = [""] * len(requests)
    for i, completion in _state["model"].complete(requests, _state["sampling"]):
        texts[i] = completion.text.strip()
    return texts
