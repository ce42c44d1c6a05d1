"""A small sentence encoder that learns what sentences mean: a stock model in sentence-transformers' format.

What a text means is known here: which aspects it promises, and which the film has that it tells of. The encoder learns
the principal components of that, so that texts that mean alike are near each other; keywords alone and titles alone are
texts too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prompt_bandits.movie.building.catalogue import ASPECTS, Catalogue
from prompt_bandits.movie.building.corpus import EXPRESSED, Described
from prompt_bandits.movie.building.training import trainer_arguments
from prompt_bandits.rounds import named_generator
from prompt_bandits.types import FloatArray

_FILM_SHARE = 0.4  # of a film's aspects in what a sentence means, beside 1 for what it promises


@dataclass(frozen=True)
class EncoderSettings:
    """Size and training of the sentence encoder."""

    vocabulary: int = 6000
    width: int = 96
    layers: int = 2
    heads: int = 4
    dim: int = 20
    epochs: float = 2.0
    batch_size: int = 64
    learning_rate: float = 2e-3


def meaning(catalogue: Catalogue, described: Described) -> FloatArray:
    """(48,) what a sentence promises, and the film that it tells of."""
    film = catalogue.films[described.film].aspects()
    promised: FloatArray = np.zeros(len(ASPECTS))
    if described.keyword is not None:
        promised = EXPRESSED[str(described.level)] * catalogue.keywords[described.keyword].aspects()
    return np.concatenate([promised, _FILM_SHARE * film / np.linalg.norm(film)])


def texts_with_meaning(
    catalogue: Catalogue, described: Sequence[Described], dim: int, seed: int
) -> tuple[list[str], FloatArray]:
    """Sentences, keywords and titles in random order, and the (n, dim) principal components of what they mean."""
    from sklearn.decomposition import PCA

    none = np.zeros(len(ASPECTS))
    texts = [item.sentence for item in described]
    meanings = [meaning(catalogue, item) for item in described]
    films = [(film.query, np.concatenate([none, film.aspects()])) for film in catalogue.films]
    words = [(word.text, np.concatenate([word.aspects(), none])) for word in catalogue.keywords]
    for text, means in (films + words) * max(1, len(described) // (20 * (len(films) + len(words)))):
        texts.append(text)
        meanings.append(means)
    target = PCA(dim, random_state=0).fit_transform(np.stack(meanings))
    order = named_generator(seed, "texts").permutation(len(texts))
    return [texts[i] for i in order], (target / target.std())[order]


def train_sentence_encoder(
    texts: Sequence[str], target: FloatArray, settings: EncoderSettings, seed: int, folder: Path
) -> None:
    """Trains an encoder from scratch to give `target` (n, dim) and writes it to `folder`, in half precision."""
    import torch
    from datasets import Dataset
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.sentence_transformer.losses import MSELoss

    arguments = trainer_arguments(
        folder.parent / "training",
        seed,
        settings.epochs,
        settings.batch_size,
        settings.learning_rate,
        SentenceTransformerTrainingArguments,
    )
    rows = Dataset.from_dict({"sentence": list(texts), "label": target.astype(np.float32).tolist()})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = _untrained(texts, settings, folder.parent / "encoder_base")
        SentenceTransformerTrainer(model=model, args=arguments, train_dataset=rows, loss=MSELoss(model)).train()
    model.half().save_pretrained(str(folder), create_model_card=False)


def _untrained(texts: Sequence[str], settings: EncoderSettings, base: Path) -> Any:
    """A small DistilBERT whose first token stands for the text, and a projection."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Pooling, Transformer
    from torch import nn

    from prompt_bandits.movie.building.wordpiece import small_distilbert, train_wordpiece

    tokenizer = train_wordpiece(texts, settings.vocabulary)
    small_distilbert(tokenizer, settings.width, settings.layers, settings.heads).save_pretrained(base)
    tokenizer.save_pretrained(base)
    parts = [
        Transformer(str(base)),
        Pooling(settings.width, pooling_mode="cls"),
        Dense(settings.width, settings.dim, activation_function=nn.Identity()),
    ]
    return SentenceTransformer(modules=parts, device="cpu")
