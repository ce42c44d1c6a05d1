"""What a text model is asked and what it answers, whichever model it is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Protocol, runtime_checkable

OUTCOMES = ("stop", "length", "context_limit", "content_filter")
"""How an answer ended: by itself, at `max_new_tokens`, refused for the length of the prompt, or refused by a filter.

The last two have no text.
"""


@dataclass(frozen=True)
class Message:
    """One turn of a chat."""

    role: str  # "system", "user" or "assistant"
    content: str


@dataclass(frozen=True)
class Sampling:
    """How text is drawn from a model.

    Args:
        temperature: 0 takes the likeliest token.
        top_p: smallest set of likeliest tokens with this much probability; 1 keeps all.
        top_k: so many likeliest tokens; 0 keeps all.
        max_new_tokens: an answer's greatest length.
        stop: strings before which an answer ends.

    Raises:
        ValueError: a number out of range, or an empty stop string.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_new_tokens: int = 30
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"temperature: expected a finite number >= 0, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p: expected a number in (0, 1], got {self.top_p}")
        if self.top_k < 0:
            raise ValueError(f"top_k: expected >= 0, got {self.top_k}")
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens: expected >= 1, got {self.max_new_tokens}")
        object.__setattr__(self, "stop", tuple(self.stop))
        if not all(self.stop):
            raise ValueError(f"stop: expected no empty string, got {self.stop}")


@dataclass(frozen=True)
class TextRequest:
    """One answer to write.

    Args:
        text: the whole prompt as text, for a model without a chat template.
        messages: the same as turns of a chat.
        key: what the draw depends on beside the prompt; equal keys and prompts give equal answers.
    """

    text: str
    messages: tuple[Message, ...]
    key: str


@dataclass(frozen=True)
class Completion:
    """One answer."""

    text: str
    outcome: str = "stop"  # one of OUTCOMES
    prompt_tokens: int = 0
    new_tokens: int = 0


@runtime_checkable
class TextModel(Protocol):
    """A model that completes text: one method, and a name that says which model it is."""

    @property
    def identity(self) -> dict[str, str]:
        """What tells this model from others, model and revision at least; no keys, no addresses with passwords."""
        ...

    def complete(self, requests: Sequence[TextRequest], sampling: Sampling) -> Iterator[tuple[int, Completion]]:
        """(position in `requests`, answer), each as soon as it is there, in any order.

        Raises:
            GenerationError: some could not be had; what arrived before was yielded.
        """
        ...


def slot_key(slot: int) -> str:
    """The key of a request for one of several answers to the same prompt."""
    return f"slot {slot}"


class GenerationError(RuntimeError):
    """A text model could not answer; what had arrived is kept."""


def request_fingerprint(identity: dict[str, str], request: TextRequest, sampling: Sampling) -> str:
    """The key of an answer in caches: model, prompt, sampling and the request's own key."""
    content = {
        "identity": identity,
        "text": request.text,
        "messages": [[m.role, m.content] for m in request.messages],
        "sampling": asdict(sampling),
        "key": request.key,
    }
    return sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
