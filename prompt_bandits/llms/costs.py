"""What requests take, in tokens and money, before they are sent."""

from __future__ import annotations

import math
from collections.abc import Sequence, Sized
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from prompt_bandits.llms.requests import Sampling, TextRequest

CHARACTERS_PER_TOKEN = 4  # of English; a guess where there is no tokenizer
TEMPLATE_TOKENS, MESSAGE_TOKENS = 64, 16  # what a chat template may add, to a prompt and to each of its messages


class Tokenizer(Protocol):
    """What counts tokens: of transformers, tokenizers or tiktoken."""

    def encode(self, text: str) -> Sized:
        """As many items as the text has tokens."""
        ...


@dataclass(frozen=True)
class Prices:
    """Of a million tokens, in any currency.

    Raises:
        ValueError: a negative or infinite price.
    """

    per_million_prompt_tokens: float
    per_million_new_tokens: float

    def __post_init__(self) -> None:
        for name in ("per_million_prompt_tokens", "per_million_new_tokens"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise ValueError(f"price_{name}: expected a finite number >= 0, got {value}")

    def cost(self, prompt_tokens: int, new_tokens: int) -> float:
        """What so many tokens cost."""
        prompt, new = self.per_million_prompt_tokens * prompt_tokens, self.per_million_new_tokens * new_tokens
        return (prompt + new) / 1_000_000


class Amount(NamedTuple):
    """Tokens, prompt and new ones together, and what they cost."""

    tokens: int = 0
    cost: float = 0.0


@dataclass(frozen=True)
class CostEstimate:
    """What requests take if every answer is as long as it may be."""

    n_requests: int
    prompt_tokens: int
    max_new_tokens: int
    max_cost: float | None = None  # None without prices
    counted: bool = False  # prompt tokens are a tokenizer's, not a guess from the number of characters

    def __str__(self) -> str:
        how = "" if self.counted else f" (guessed at {CHARACTERS_PER_TOKEN} characters each)"
        tokens = f"{self.prompt_tokens:,} prompt tokens{how} and at most {self.max_new_tokens:,} new ones"
        cost = (
            ""
            if self.max_cost is None
            else f": a cost of {'at most' if self.counted else 'about'} {self.max_cost:,.4f}"
        )
        return f"{self.n_requests:,} requests, {tokens}{cost}"


def estimate(
    requests: Sequence[TextRequest],
    sampling: Sampling,
    tokenizer: Tokenizer | None = None,
    prices: Prices | None = None,
    chat: bool = True,
) -> CostEstimate:
    """What the requests would take, without sending any.

    Args:
        requests: all that would be sent.
        sampling: gives the greatest number of new tokens.
        tokenizer: counts prompts; without one a token is taken to be 4 characters.
        prices: for `max_cost`.
        chat: messages are sent, not texts. What a chat template adds is not counted.
    """
    prompt_tokens = sum(_count(text, tokenizer) for request in requests for text in sent_texts(request, chat))
    new_tokens = len(requests) * sampling.max_new_tokens
    cost = None if prices is None else prices.cost(prompt_tokens, new_tokens)
    return CostEstimate(len(requests), prompt_tokens, new_tokens, cost, counted=tokenizer is not None)


def sent_texts(request: TextRequest, chat: bool) -> list[str]:
    """The texts of a request that a server gets."""
    return [message.content for message in request.messages] if chat and request.messages else [request.text]


def most_tokens(request: TextRequest, sampling: Sampling, chat: bool) -> tuple[int, int]:
    """More prompt tokens than a tokenizer makes of a request (its bytes, and a template's part), and new ones."""
    texts = sent_texts(request, chat)
    template = TEMPLATE_TOKENS + MESSAGE_TOKENS * len(texts) if chat else MESSAGE_TOKENS
    return sum(len(text.encode()) for text in texts) + template, sampling.max_new_tokens


def guessed_tokens(request: TextRequest, sampling: Sampling, chat: bool) -> int:
    """About how many tokens a request takes, new ones included."""
    return sum(_count(text, None) for text in sent_texts(request, chat)) + sampling.max_new_tokens


def _count(text: str, tokenizer: Tokenizer | None) -> int:
    return math.ceil(len(text) / CHARACTERS_PER_TOKEN) if tokenizer is None else len(tokenizer.encode(text))
