"""Everything that decides how a MovieLens folder becomes assets, as plain values."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any

from prompt_bandits.llms.post_processing import PostProcessing
from prompt_bandits.llms.requests import Sampling
from prompt_bandits.llms.templates import PromptTemplate
from prompt_bandits.movie.movielens.ratings import RatingRules
from prompt_bandits.movie.rewards.settings import RewardFitting, SentenceRewardFitting


@dataclass(frozen=True)
class Wording:
    """What stands around a text that is encoded, and how many of its tokens are read."""

    prefix: str = ""
    postfix: str = ""
    max_length: int | None = None


@dataclass(frozen=True)
class MovieLensSettings:
    """The published pipeline's settings are the defaults, but that titles are read whole (5 tokens, as published, do
    not tell the parts of a series apart) and that a film has four sentences without a keyword in the place of one.

    Args:
        seed: of everything random.
        n_prompts: so many of the keywords; None: all of a file's, at most 1000 of MovieLens' own.
        keyword_sources, min_films, max_words: of MovieLens' own keywords, as `keywords_from_movielens`.
        rules: which ratings count.
        template, sampling, post: how sentences are written.
        n_base_slots: sentences without a keyword for each film; rewards are compared with them.
        n_slots: sentences for each film and keyword, for the bank; 0 writes none: the environment asks the model.
        dim: of the features of titles, prompts and sentences.
        title, prompt, sentence: how these are worded for the encoder.
        collaborative_filtering, reward: how users are fitted.

    Raises:
        ValueError: a number out of range.
    """

    seed: int = 0
    n_prompts: int | None = None
    keyword_sources: tuple[str, ...] = ("tags", "genres")
    min_films: int = 5
    max_words: int = 3
    rules: RatingRules = field(default_factory=RatingRules)
    template: PromptTemplate = field(default_factory=PromptTemplate)
    sampling: Sampling = field(default_factory=Sampling)
    post: PostProcessing = field(default_factory=PostProcessing)
    n_base_slots: int = 4
    n_slots: int = 0
    dim: int = 20
    title: Wording = field(default_factory=lambda: Wording(PromptTemplate().prefix))
    prompt: Wording = field(
        default_factory=lambda: Wording("Associate the word - ", " - in the context of movie genres")
    )
    sentence: Wording = field(default_factory=lambda: Wording(max_length=20))
    collaborative_filtering: RewardFitting = field(default_factory=RewardFitting.published)
    reward: SentenceRewardFitting = field(default_factory=SentenceRewardFitting.published)

    def __post_init__(self) -> None:
        for name, low in (("seed", 0), ("n_base_slots", 1), ("n_slots", 0), ("dim", 1), ("min_films", 1)):
            if getattr(self, name) < low:
                raise ValueError(f"{name}: expected >= {low}, got {getattr(self, name)}")

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def content_hash(*values: Any) -> str:
    """Of JSON values and arrays' bytes."""
    digest = sha256()
    for value in values:
        digest.update(value if isinstance(value, bytes) else json.dumps(value, sort_keys=True).encode())
    return digest.hexdigest()
