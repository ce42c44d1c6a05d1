"""Sampling in which a row's tokens depend on its own request and nothing else.

Token t of a row is the inverse CDF of the model's distribution at a uniform u(request, t). Equal requests give equal
answers whatever the batch, up to the rounding of the model's own numbers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import (
    LogitsProcessor,
    StoppingCriteria,
    StopStringCriteria,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from prompt_bandits.llms.requests import Sampling, TextRequest
from prompt_bandits.types import FloatArray


def request_uniforms(requests: Sequence[TextRequest], n_tokens: int) -> FloatArray:
    """(n, n_tokens) uniforms in [0, 1), float32; a row is a function of its request's prompt and key.

    Fewer tokens are the first of more.
    """
    drawn = np.empty((len(requests), n_tokens), dtype=np.float32)
    for row, request in enumerate(requests):
        label = json.dumps([request.text, [[m.role, m.content] for m in request.messages], request.key])
        key = int.from_bytes(blake2b(label.encode(), digest_size=16).digest(), "little")
        drawn[row] = np.random.Generator(np.random.Philox(key=key)).random(n_tokens, dtype=np.float32)
    return drawn


class KeyedSampling(LogitsProcessor):
    """Makes the sampled token the likeliest one, for `generate(do_sample=False)`.

    Args:
        uniforms: (n, max_new_tokens), one for each row and token.
        prompt_length: tokens of the (padded) prompts.
    """

    def __init__(self, uniforms: Tensor, prompt_length: int) -> None:
        self._uniforms = uniforms
        self._prompt_length = prompt_length
        self._finite = torch.ones((len(uniforms), 1), dtype=torch.bool, device=uniforms.device)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores (n, V) of the next token → the same with the sampled one at infinity."""
        step = min(input_ids.shape[1] - self._prompt_length, self._uniforms.shape[1] - 1)
        cdf = scores.float().softmax(dim=-1).cumsum(dim=-1)
        total = cdf[:, -1:]
        self._finite &= total.isfinite()
        token = torch.searchsorted(cdf, self._uniforms[:, step : step + 1] * total, right=True)
        token = token.clamp_(max=scores.shape[1] - 1)
        allowed = scores.gather(1, token) > -torch.inf  # parallel sums need not be monotone to the last bit
        return scores.scatter(1, token, torch.where(allowed, torch.inf, -torch.inf).to(scores.dtype))

    def all_finite(self) -> bool:
        """Whether no row's probabilities were NaN, as they are after an overflow."""
        return bool(self._finite.all())


class StopsInAnswer(StoppingCriteria):
    """Ends a row whose answer, without its prompt, has one of the stop strings.

    Args:
        tokenizer: of the model.
        stop: the strings.
        prompt_length: tokens of the (padded) prompts.
    """

    def __init__(self, tokenizer: Any, stop: Sequence[str], prompt_length: int) -> None:
        self._found = StopStringCriteria(tokenizer, list(stop))
        self._prompt_length = prompt_length

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        """(n,) True where a row has ended."""
        ended: Tensor = self._found(input_ids[:, self._prompt_length :], scores, **kwargs)
        return ended


def warpers(sampling: Sampling) -> list[LogitsProcessor]:
    """What changes the model's distribution before a token is drawn from it."""
    found: list[LogitsProcessor] = []
    if sampling.temperature != 1:
        found.append(TemperatureLogitsWarper(float(sampling.temperature)))
    if sampling.top_k:
        found.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        found.append(TopPLogitsWarper(sampling.top_p))
    return found
