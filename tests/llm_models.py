"""A tiny causal language model with random weights, as a folder for `from_pretrained`; made-up models; requests."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from prompt_bandits.llms.requests import Completion, GenerationError, Message, Sampling, TextModel, TextRequest
from prompt_bandits.llms.templates import PromptTemplate

TITLES = ["Alien", "The Third Man", "Amélie", "Seven Samurai", "2001: A Space Odyssey", "Heat", "Up", "Pulp Fiction"]
KEYWORDS = ["space", "slow", "love and friendship", "war", "funny", "noir"]
TEMPLATE = PromptTemplate()
SAMPLING = Sampling(max_new_tokens=8)

_SENTENCES = [
    "Broadly describe in a sentence the genres of the movie without including the name or any specifics of the movie.",
    *(f"Title: {title}\nKeyword: {word}\nMovie description: " for title in TITLES for word in KEYWORDS),
    "A slow and moving drama about love, war and friendship. It is funny. It is dark.\n",
]
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}[{{ message['role'] }}] {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant] {% endif %}"
)
STRICT_CHAT_TEMPLATE = (
    "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant') }}{% endif %}"
    "<{{ message['content'] }}>{% endfor %}"
)


def save_tiny_model(
    folder: Path,
    *,
    chat_template: str | None = None,
    pad_token: str | None = None,
    max_positions: int = 128,
    seed: int = 0,
) -> Path:
    """A Llama of two layers whose next token depends sharply on all tokens before it."""
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_byte_pairs(), bos_token="<s>", eos_token="</s>", pad_token=pad_token
    )
    if chat_template is not None:
        tokenizer.chat_template = chat_template
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=max_positions,
        initializer_range=0.3,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, do_sample=True, temperature=0.3, top_k=2, repetition_penalty=3.0
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _byte_pairs():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=["<s>", "</s>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_SENTENCES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return tokenizer


class MadeUpModel:
    """Answers with a text that tells the request; remembers what it was asked, and dies where told.

    Args:
        name: of the model.
        dies_after: raises after so many answers of a call.
        refuses: prompts with this in them get no text.
    """

    def __init__(self, name: str = "made up", dies_after: int | None = None, refuses: str | None = None) -> None:
        self.identity = {"model": name, "revision": "1"}
        self.dies_after, self.refuses = dies_after, refuses
        self.asked: list[TextRequest] = []

    def complete(self, requests: Sequence[TextRequest], sampling: Sampling) -> Iterator[tuple[int, Completion]]:
        self.asked += requests
        for n, (i, request) in enumerate(reversed(list(enumerate(requests)))):
            if n == self.dies_after:
                raise GenerationError("the server is gone")
            if self.refuses is not None and self.refuses in request.text:
                yield i, Completion("", "content_filter", 7)
            else:
                number = zlib.crc32(f"{request.text}{request.key}".encode())
                yield i, Completion(f" A film. No. {number} ({request.key})\n", "stop", 7, 5)


def asking(*texts: str, key: str = "slot 0") -> list[TextRequest]:
    return [TextRequest(text, (Message("user", text),), key) for text in texts]


def some_requests(n: int) -> list[TextRequest]:
    """Prompts of many lengths, with and without a keyword."""
    prompts = [None, *KEYWORDS]
    return [
        TEMPLATE.request(" ".join(TITLES[: 1 + i % 5]), prompts[i % len(prompts)], f"slot {i % 3}") for i in range(n)
    ]


def answers(model: TextModel, requests: list[TextRequest], sampling: Sampling = SAMPLING) -> list[Completion]:
    """The answers in the order of the requests, each of which is answered once."""
    pairs = list(model.complete(requests, sampling))
    assert sorted(i for i, _ in pairs) == list(range(len(requests)))
    return [completion for _, completion in sorted(pairs, key=lambda pair: pair[0])]
