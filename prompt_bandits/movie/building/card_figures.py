"""The figures of the asset card: how good language model, sentences, reward simulator and task are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from prompt_bandits.llms.bank import NO_PROMPT
from prompt_bandits.movie.building.judge import KeywordJudge
from prompt_bandits.movie.building.language_model import perplexity
from prompt_bandits.movie.building.personalisation import Personalisation, personalisation
from prompt_bandits.movie.folder import MovieFolder
from prompt_bandits.movie.rewards import SentenceReward, TableFeatures
from prompt_bandits.movie.rewards.folder import SentenceFeaturizer, load_head
from prompt_bandits.movie.rewards.quality import HeldOutQuality, held_out_quality
from prompt_bandits.rounds import named_generator
from prompt_bandits.types import text_array

if TYPE_CHECKING:
    from prompt_bandits.movie.building.pipeline import Build

_JUDGED = 20_000  # sentences
_PERPLEXITY_OF = 4000  # sentences
_USERS = 200  # that values are averaged over


@dataclass(frozen=True, eq=False)
class CardFigures:
    """What the card says, measured."""

    n_parameters: int
    perplexity: float  # of held-out corpus sentences, a token
    expressed: float  # share of the bank's sentences that the judge takes for their keyword's
    expressed_by_corpus: float  # the same of corpus sentences: what the judge can do
    n_sentences: int
    distinct: float  # share
    words: float  # a sentence, on average
    quality: HeldOutQuality  # of the reward simulator on held-out readings
    values: Personalisation
    best_aspects: dict[str, float]  # aspect of the best keyword: share of (user, film)


def measure(build: Build, folder: MovieFolder) -> CardFigures:
    """All of it, from the built parts."""
    sentences = folder.sentences
    keyword_aspects = [keyword.aspect for keyword in build.catalogue.keywords]
    values = _values(folder)
    aspects = dict.fromkeys(sorted(set(keyword_aspects)), 0.0)
    for aspect, share in zip(keyword_aspects, values.share_of_users, strict=True):
        aspects[aspect] += float(share)
    expressed, by_corpus = _expressed(build, folder)
    examples = [build.example(item) for item in build.held_out(_PERPLEXITY_OF)]
    return CardFigures(
        n_parameters=_parameters(folder.language_model),
        perplexity=perplexity(folder.language_model, examples),
        expressed=expressed,
        expressed_by_corpus=by_corpus,
        n_sentences=len(sentences.text),
        distinct=len(set(sentences.text)) / len(sentences.text),
        words=float(np.mean([len(text.split()) for text in sentences.text])),
        quality=_quality(build, folder.reward),
        values=values,
        best_aspects=aspects,
    )


def reward_of(folder: MovieFolder) -> SentenceReward:
    """The folder's reward simulator on its bank."""
    sentences = folder.sentences
    table = TableFeatures(sentences.text, sentences.reward_features)
    return SentenceReward(load_head(folder.reward), table, sentences.reward_features[folder.bank.base_rows])


def _values(folder: MovieFolder) -> Personalisation:
    users = np.sort(named_generator(0, "card", "users").permutation(folder.tables.n_users)[:_USERS])
    return personalisation(reward_of(folder), folder.bank, folder.sentences.reward_features, users)


def _expressed(build: Build, folder: MovieFolder) -> tuple[float, float]:
    """Share of the bank's and of fresh corpus sentences in which the judge finds their keyword."""
    sentences = folder.sentences
    held_out = build.held_out(3 * _JUDGED, "judge")
    n_train = len(held_out) * 5 // 6
    corpus_keyword = np.array([item.keyword for item in held_out])
    texts = [item.sentence for item in held_out]
    judge = KeywordJudge(texts[:n_train], corpus_keyword[:n_train])
    prompted = np.flatnonzero(sentences.prompt_id != NO_PROMPT)
    chosen = prompted[named_generator(0, "card", "judged").permutation(len(prompted))[:_JUDGED]]
    by_model = judge.expresses(list(sentences.text[chosen]), sentences.prompt_id[chosen])
    by_corpus = judge.expresses(texts[n_train:], corpus_keyword[n_train:])
    return float(by_model.mean()), float(by_corpus.mean())


def _quality(build: Build, reward: Path) -> HeldOutQuality:
    _, readings = build.readings()
    held_out = build.held_out_readings(readings)
    texts = text_array(readings.described[i].sentence for i in held_out)
    probability = load_head(reward).probability(
        readings.user_id[held_out], readings.film[held_out], SentenceFeaturizer(reward).encode(texts)
    )
    return held_out_quality(probability, readings.liked[held_out])


def _parameters(language_model: Path) -> int:
    from safetensors import safe_open

    with safe_open(language_model / "model.safetensors", "np") as weights:
        return sum(int(np.prod(weights.get_slice(name).get_shape())) for name in weights.keys())  # noqa: SIM118
