"""A small causal language model that learns the corpus: a stock architecture, its own tokenizer, a stock trainer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prompt_bandits.movie.building.training import trainer_arguments

PAD, END = "<|pad|>", "<|end|>"
_IGNORED = -100  # a label that the loss leaves out


@dataclass(frozen=True)
class LanguageModelSettings:
    """Size and training of the language model."""

    vocabulary: int = 7000
    width: int = 128
    layers: int = 3
    heads: int = 4
    epochs: float = 1.0
    batch_size: int = 64
    learning_rate: float = 4e-3


@dataclass(frozen=True)
class Example:
    """A prompt and how it goes on."""

    prompt: str
    answer: str


def train_tokenizer(examples: Sequence[Example], vocabulary: int) -> Any:
    """A byte-level BPE tokenizer of these texts, as transformers uses it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((text for e in examples for text in (e.prompt, e.answer)), trainer)
    wrapped: Any = PreTrainedTokenizerFast
    return wrapped(tokenizer_object=tokenizer, pad_token=PAD, eos_token=END, padding_side="left", model_max_length=128)


def train_language_model(
    rows: Sequence[tuple[Example, ...]], settings: LanguageModelSettings, seed: int, folder: Path
) -> None:
    """Trains model and tokenizer from scratch and writes them to `folder`, in half precision.

    Args:
        rows: examples that follow each other in one sequence of tokens.
        settings: size and training.
        seed: of everything random.
        folder: to write to.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, Trainer

    tokenizer = train_tokenizer([example for row in rows for example in row], settings.vocabulary)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=settings.width,
        intermediate_size=settings.width * 8 // 3,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        max_position_embeddings=tokenizer.model_max_length,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model: Any = LlamaForCausalLM(config)
        arguments = trainer_arguments(
            folder.parent / "training", seed, settings.epochs, settings.batch_size, settings.learning_rate
        )
        Trainer(
            model=model,
            args=arguments,
            train_dataset=[_encode(tokenizer, row) for row in rows],
            data_collator=lambda batch: _collate(batch, tokenizer.pad_token_id),
        ).train()
    model.generation_config.do_sample = True  # what serves it follows this, not what it was trained for
    model.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def perplexity(folder: Path, examples: Sequence[Example], batch_size: int = 256) -> float:
    """exp of the mean negative log-likelihood a token of the answers."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    model.float().eval()
    rows = [_encode(tokenizer, (example,)) for example in examples]
    total, n_tokens = 0.0, 0
    with torch.inference_mode():
        for start in range(0, len(rows), batch_size):
            batch = _collate(rows[start : start + batch_size], tokenizer.pad_token_id)
            n = int((batch["labels"][:, 1:] != _IGNORED).sum())
            total += float(model(**batch).loss) * n
            n_tokens += n
    return float(np.exp(total / n_tokens))


def _encode(tokenizer: Any, row: Sequence[Example]) -> dict[str, list[int]]:
    """One example after the other; only the answers count for the loss."""
    ids: list[int] = []
    labels: list[int] = []
    for example in row:
        prompt = tokenizer(example.prompt)["input_ids"]
        answer = [*tokenizer(example.answer)["input_ids"], tokenizer.eos_token_id]
        ids += prompt + answer
        labels += [_IGNORED] * len(prompt) + answer
    return {"input_ids": ids, "labels": labels}


def _collate(batch: Sequence[dict[str, list[int]]], pad: int) -> dict[str, Any]:
    """Padded on the right: training needs no common end."""
    import torch

    width = max(len(row["input_ids"]) for row in batch)

    def padded(name: str, fill: int) -> Any:
        return torch.tensor([row[name] + [fill] * (width - len(row[name])) for row in batch])

    ids = padded("input_ids", pad)
    mask = torch.tensor([[1] * len(row["input_ids"]) + [0] * (width - len(row["input_ids"])) for row in batch])
    return {"input_ids": ids, "attention_mask": mask, "labels": padded("labels", _IGNORED)}
