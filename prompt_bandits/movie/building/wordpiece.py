"""What the small encoders start from: a tokenizer of the corpus, and an untrained model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_SPECIAL = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}


def train_wordpiece(texts: Sequence[str], vocabulary: int, max_length: int = 64) -> Any:
    """A WordPiece tokenizer of these texts with BERT's special tokens, as transformers uses it."""
    from tokenizers import BertWordPieceTokenizer
    from transformers import PreTrainedTokenizerFast

    tokenizer = BertWordPieceTokenizer(lowercase=True)
    tokenizer.train_from_iterator(
        texts, vocab_size=vocabulary, min_frequency=1, special_tokens=list(_SPECIAL.values()), show_progress=False
    )
    tokens = {f"{name}_token": token for name, token in _SPECIAL.items()}
    wrapped: Any = PreTrainedTokenizerFast
    return wrapped(tokenizer_object=_with_ends(tokenizer), model_max_length=max_length, **tokens)


def _with_ends(tokenizer: Any) -> Any:
    """The tokenizer, putting [CLS] first and [SEP] last."""
    from tokenizers.processors import BertProcessing

    inner = tokenizer._tokenizer
    inner.post_processor = BertProcessing(("[SEP]", inner.token_to_id("[SEP]")), ("[CLS]", inner.token_to_id("[CLS]")))
    return inner


def small_distilbert(tokenizer: Any, width: int, layers: int, heads: int) -> Any:
    """An untrained DistilBERT of this size."""
    from transformers import DistilBertConfig, DistilBertModel

    return DistilBertModel(
        DistilBertConfig(
            vocab_size=len(tokenizer),
            dim=width,
            hidden_dim=4 * width,
            n_layers=layers,
            n_heads=heads,
            max_position_embeddings=tokenizer.model_max_length,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
