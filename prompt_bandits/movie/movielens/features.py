"""Users fitted to ratings of described films, and features of titles, keywords and sentences."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from prompt_bandits.movie.movielens.catalogue import MovieLensCatalogue
from prompt_bandits.movie.movielens.settings import MovieLensSettings, Wording
from prompt_bandits.movie.movielens.writing import Written
from prompt_bandits.rounds import named_generator
from prompt_bandits.types import FloatArray, TextArray

if TYPE_CHECKING:
    from prompt_bandits.movie.encoders.text_encoder import TextEncoder
    from prompt_bandits.movie.rewards.training import FittedCollaborativeFiltering, FittedSentenceReward

STATES = "states:"
_PCA_TEXTS = 1000  # of each kind, that principal components are found from; keywords: all
_FEATURES = "features.safetensors"


def read_descriptions(catalogue: MovieLensCatalogue, written: Written, seed: int) -> TextArray:
    """(m,) for every rating one of its film's sentences without a keyword, drawn at random."""
    rows, bare = catalogue.interactions, written.bare
    slot = named_generator(seed, "read descriptions").integers(bare.shape[1], size=len(rows))
    drawn: TextArray = bare[rows.item_id, slot]
    return drawn


def fit_users(
    catalogue: MovieLensCatalogue, written: Written, reward_encoder: str, settings: MovieLensSettings
) -> tuple[FittedCollaborativeFiltering, FittedSentenceReward]:
    """Collaborative filtering, and from there the reward from sentences.

    Raises:
        OSError: no such encoder.
        FloatingPointError: a loss is not finite.
    """
    from transformers import AutoModel, AutoTokenizer

    from prompt_bandits.movie.rewards.training import fit_collaborative_filtering, fit_sentence_reward

    rows, seed = catalogue.interactions, settings.seed
    first = fit_collaborative_filtering(
        rows.user_id,
        rows.item_id,
        rows.reward,
        catalogue.n_users,
        catalogue.n_items,
        settings.collaborative_filtering,
        seed,
    )
    fitted = fit_sentence_reward(
        rows.user_id,
        rows.item_id,
        read_descriptions(catalogue, written, seed),
        rows.reward,
        AutoModel.from_pretrained(reward_encoder, use_safetensors=True),
        AutoTokenizer.from_pretrained(reward_encoder),
        first.head,
        settings.reward,
        seed,
    )
    return first, fitted


def encode_catalogue(
    catalogue: MovieLensCatalogue,
    written: Written,
    encoder: str,
    options: dict[str, Any],
    settings: MovieLensSettings,
    folder: Path,
) -> None:
    """Writes features of titles, keywords and sentences to `folder`, and the three encoders, each with the principal
    components of texts in its own wording.
    """
    from safetensors.numpy import save_file

    model = _shared(encoder, options)
    bare = written.bare.T.ravel()  # one sentence of every film comes before a second of any
    texts = {
        "title": (catalogue.title, catalogue.title[:_PCA_TEXTS], settings.title),
        "prompt": (catalogue.keywords, catalogue.keywords, settings.prompt),
        "sentence": (written.text, bare[:_PCA_TEXTS], settings.sentence),
    }
    found: dict[str, FloatArray] = {}
    for kind, (encoded, fitted_to, wording) in texts.items():
        made = _encoder(model, wording, settings.dim, options).fit(fitted_to)
        made.save(folder / kind)
        found[kind] = np.ascontiguousarray(made.encode(encoded))
    save_file(found, folder / _FEATURES)


def features(folder: Path) -> dict[str, FloatArray]:
    """ "title", "prompt" and "sentence": the features that `encode_catalogue` wrote."""
    from safetensors.numpy import load_file

    return dict(load_file(folder / _FEATURES))


def _shared(encoder: str, options: dict[str, Any]) -> Any:
    """What the three encoders share: hidden states, or the name of a sentence-transformers model."""
    from prompt_bandits.movie.encoders import HiddenStates

    name = encoder.removeprefix(STATES)
    place = str(Path(name).expanduser().resolve()) if Path(name).expanduser().is_dir() else name
    return HiddenStates(place, **options) if encoder.startswith(STATES) else place


def _encoder(model: Any, wording: Wording, dim: int, options: dict[str, Any]) -> TextEncoder:
    from prompt_bandits.movie.encoders import LLMStateEncoder, SentenceTransformerEncoder

    around = (wording.prefix, wording.postfix, wording.max_length, dim)
    if isinstance(model, str):
        return SentenceTransformerEncoder(model, *around, **options)
    return LLMStateEncoder(model, *around)
