"""A language model that runs here, through transformers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from prompt_bandits.llms.local_models import LoadedModel, ModelSource
from prompt_bandits.llms.requests import Completion, GenerationError, Message, Sampling, TextRequest
from prompt_bandits.progress import progress_bar

_DTYPES = ("float32", "bfloat16", "float16")


class HuggingFaceLM:
    """A causal language model of transformers, loaded when first asked.

    A row's answer is a function of its request: batch size, order and neighbours change at most the rounding of the
    model's numbers, in which a draw on a boundary may flip (once in many thousand tokens in float32; often in 16 bits).
    Of the model's own generation settings only the end tokens are used; the rest is what `Sampling` says.

    Args:
        model: a folder, or an id on the hub. Weights are safetensors.
        revision: of an id; a branch means the commit that it is at.
        device: such as `"cuda:1"`; None is the GPU where there is one.
        device_map: spreads the model over devices, as in `from_pretrained` (needs accelerate), in place of `device`.
        dtype: `"float32"`, `"bfloat16"` or `"float16"`; None is that of the weights.
        batch_size: rows generated together; halved for good where memory does not suffice.
        chat: ask in the tokenizer's chat template; None does so where it has one.
        trust_remote_code: runs code that comes with the model.
        progress: a progress bar for several batches that take longer than a second, where there is a terminal.

    Raises:
        FileNotFoundError: no such folder, or no model in it; later for an id that is not to be had.
        ValueError: another argument that does not fit.
    """

    def __init__(
        self,
        model: str | Path,
        revision: str | None = None,
        *,
        device: str | None = None,
        device_map: str | dict[str, Any] | None = None,
        dtype: str | None = None,
        batch_size: int = 256,
        chat: bool | None = None,
        trust_remote_code: bool = False,
        progress: bool = True,
    ) -> None:
        if device is not None and device_map is not None:
            raise ValueError(f"device: expected none beside device_map, got {device!r} and {device_map!r}")
        if dtype is not None and dtype not in _DTYPES:
            raise ValueError(f"dtype: expected one of {', '.join(_DTYPES)} or None, got {dtype!r}")
        if batch_size < 1:
            raise ValueError(f"batch_size: expected >= 1, got {batch_size}")
        self.source, self.dtype, self.chat = ModelSource(str(model), revision, trust_remote_code), dtype, chat
        self._device, self._device_map, self._batch_size, self._progress = device, device_map, batch_size, progress

    @property
    def identity(self) -> dict[str, str]:
        """Model, revision, dtype, and whether asked as a chat; a folder is its content, not its path."""
        return dict(self._identity)

    @property
    def loaded(self) -> LoadedModel:
        """Model and tokenizer; loaded here."""
        return self._loaded

    @property
    def batch_size(self) -> int:
        """Rows generated together."""
        return self._batch_size

    @cached_property
    def _identity(self) -> dict[str, str]:
        form = {None: "where there is a template", True: "yes", False: "no"}[self.chat]
        return {"backend": "transformers", **self.source.identity(), "dtype": self.dtype or "auto", "chat": form}

    @cached_property
    def _loaded(self) -> LoadedModel:
        loaded = self.source.load(self.dtype or "auto", self._device, self._device_map)
        if self.chat and not loaded.tokenizer.chat_template:
            raise ValueError(f"chat: expected a model whose tokenizer has a chat template, {self.source.name} has none")
        return loaded

    def complete(self, requests: Sequence[TextRequest], sampling: Sampling) -> Iterator[tuple[int, Completion]]:
        """(position, answer), a batch at a time, long prompts first.

        Prompts that leave no room for `max_new_tokens` in the model's context have the outcome `"context_limit"`.

        Raises:
            GenerationError: one prompt alone does not fit into memory, or the model's numbers overflow.
            ValueError: `max_new_tokens` is more than the model's context, or an empty prompt to a model without a
                beginning token.
        """
        if not requests:
            return
        prompts = self._tokenize(requests)
        room = self._room(sampling)
        waiting = sorted((i for i, ids in enumerate(prompts) if len(ids) <= room), key=lambda i: -len(prompts[i]))
        for i, ids in enumerate(prompts):
            if len(ids) > room:
                yield i, Completion("", "context_limit", len(ids))
        shown = self._progress and len(waiting) > self._batch_size
        with progress_bar(len(waiting), "generate", shown) as bar:
            while waiting:
                batch = waiting[: self._batch_size]
                answers = self._attempt([requests[i] for i in batch], [prompts[i] for i in batch], sampling)
                if answers is None:
                    continue
                yield from zip(batch, answers, strict=True)
                waiting = waiting[len(batch) :]
                bar.update(len(batch))

    def _attempt(
        self, requests: list[TextRequest], prompts: list[list[int]], sampling: Sampling
    ) -> list[Completion] | None:
        """The answers of a batch; None where memory does not suffice, with the batch size halved."""
        import torch

        from prompt_bandits.llms.generating import generate

        try:
            return generate(self._loaded, requests, prompts, sampling)
        except torch.cuda.OutOfMemoryError as error:
            if len(requests) == 1:
                raise GenerationError(f"out of memory for one prompt of {len(prompts[0])} tokens: {error}") from error
            self._batch_size = len(requests) // 2
        torch.cuda.empty_cache()
        return None

    def _room(self, sampling: Sampling) -> float:
        """Tokens that a prompt may have."""
        context = self._loaded.context
        if context is None:
            return float("inf")
        if sampling.max_new_tokens >= context:
            raise ValueError(
                f"max_new_tokens: expected less than the model's context of {context}, got {sampling.max_new_tokens}"
            )
        return context - sampling.max_new_tokens

    def _tokenize(self, requests: Sequence[TextRequest]) -> list[list[int]]:
        tokenizer = self._loaded.tokenizer
        as_chat = bool(tokenizer.chat_template) if self.chat is None else self.chat
        texts = [_rendered(tokenizer, request.messages) if as_chat else request.text for request in requests]
        rows: list[list[int]] = tokenizer(texts, add_special_tokens=not as_chat)["input_ids"]
        if not all(rows) and tokenizer.bos_token_id is None:
            raise ValueError("prompt: expected a text, got an empty one, and this model has no beginning token")
        return [ids or [tokenizer.bos_token_id] for ids in rows]


def _rendered(tokenizer: Any, messages: Sequence[Message]) -> str:
    """A chat as the model was trained to read it; where it knows no system turn, that goes before the user's first."""
    from jinja2 import TemplateError

    turns = [{"role": message.role, "content": message.content} for message in messages]
    try:
        return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
    except TemplateError:
        if len(turns) < 2 or turns[0]["role"] != "system":
            raise
    first = {"role": turns[1]["role"], "content": f"{turns[0]['content']}\n\n{turns[1]['content']}"}
    return str(tokenizer.apply_chat_template([first, *turns[2:]], tokenize=False, add_generation_prompt=True))
