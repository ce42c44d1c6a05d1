"""One batch through a local model: padded on the left, drawn by key, stripped of its prompt by position."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from prompt_bandits.llms.local_models import LoadedModel
from prompt_bandits.llms.requests import Completion, GenerationError, Sampling, TextRequest

if TYPE_CHECKING:
    from torch import Tensor


def generate(
    loaded: LoadedModel, requests: Sequence[TextRequest], prompts: Sequence[list[int]], sampling: Sampling
) -> list[Completion]:
    """Answers to tokenized `prompts`, all in one batch.

    Raises:
        GenerationError: NaN among the model's probabilities.
    """
    import torch
    from transformers import GenerationConfig

    from prompt_bandits.llms.keyed_sampling import KeyedSampling, StopsInAnswer, request_uniforms, warpers

    model, pad = loaded.model, loaded.pad_token
    ids, mask = left_padded(prompts, pad)
    length = ids.shape[1]
    settings = GenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=sampling.max_new_tokens,
        do_sample=False,
        use_cache=True,
        eos_token_id=sorted(loaded.end_tokens) or None,
        pad_token_id=pad,
    )
    processors: list[Any] = []
    if sampling.temperature > 0:
        uniforms = torch.from_numpy(request_uniforms(requests, sampling.max_new_tokens))
        processors = [*warpers(sampling), KeyedSampling(uniforms.to(model.device), length)]
    stops = [StopsInAnswer(loaded.tokenizer, sampling.stop, length)] if sampling.stop else []
    with torch.inference_mode():
        written = model.generate(
            ids.to(model.device),
            attention_mask=mask.to(model.device),
            generation_config=settings,
            logits_processor=processors,
            stopping_criteria=stops,
        )
    if processors and not processors[-1].all_finite():
        raise GenerationError("the model's probabilities are not finite: use another dtype or a higher temperature")
    rows = written[:, length:].tolist()
    own = [_own_tokens(row, loaded.end_tokens, pad) for row in rows]
    texts = loaded.tokenizer.batch_decode([row[:n] for row, n in zip(rows, own, strict=True)], skip_special_tokens=True)
    return [_completion(text, n, len(prompt), sampling) for text, n, prompt in zip(texts, own, prompts, strict=True)]


def left_padded(prompts: Sequence[list[int]], pad: int) -> tuple[Tensor, Tensor]:
    """(n, longest) token ids with padding before them, and the mask that is 1 on the prompts' own."""
    import torch

    longest = max(len(ids) for ids in prompts)
    return (
        torch.tensor([[pad] * (longest - len(ids)) + ids for ids in prompts]),
        torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in prompts]),
    )


def _own_tokens(row: list[int], end_tokens: frozenset[int], pad: int) -> int:
    """How many of a row's tokens are its answer: those before its end token and before what filled it up."""
    n = next((position for position, token in enumerate(row) if token in end_tokens), len(row))
    while n and row[n - 1] == pad:
        n -= 1
    return n


def _completion(text: str, new_tokens: int, prompt_tokens: int, sampling: Sampling) -> Completion:
    cuts = [at for stop in sampling.stop if (at := text.find(stop)) >= 0]
    outcome = "length" if new_tokens == sampling.max_new_tokens and not cuts else "stop"
    return Completion(text[: min(cuts)] if cuts else text, outcome, prompt_tokens, new_tokens)
