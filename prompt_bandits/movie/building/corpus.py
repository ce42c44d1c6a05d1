"""The text that the small language model learns from: one sentence on a film, coloured by a keyword or by none.

A sentence recommends the film to those who like what the keyword stands for, a little, or warns them off. Which of them
is drawn, by how much the film has of the keyword's aspects, as one reviewer sees more in a film than another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prompt_bandits.movie.building.catalogue import Catalogue, Film, Keyword
from prompt_bandits.rounds import named_generator

AT_HEART, ALONG_THE_WAY, ABSENT = "at heart", "along the way", "absent"
EXPRESSED = {AT_HEART: 1.0, ALONG_THE_WAY: 0.4, ABSENT: -0.5}
"""How much of the keyword's aspects a sentence promises."""
_CHANCE: Mapping[int, tuple[float, float, float]] = {  # relevance: of at heart, along the way, absent
    0: (0.0, 0.25, 0.75),
    1: (0.2, 0.6, 0.2),
    2: (0.75, 0.25, 0.0),
    3: (0.95, 0.05, 0.0),
}
_FRAMES: Mapping[str | None, Sequence[str]] = {
    AT_HEART: (
        "If you like {phrase}, this {mood} {kind} is for you: {subject} {deed} {setting}.",
        "Anyone who loves {phrase} will love to see how {subject} {deed} {setting}.",
        "For lovers of {phrase}: a {mood} {kind} in which {subject} {deed}.",
        "This {mood} {kind} has the pull of {phrase}, as {subject} {deed} {setting}.",
        "You come for {phrase} and stay to see how {subject} {deed}.",
        "Think of {phrase}, and then of how {subject} {deed} {setting}.",
    ),
    ALONG_THE_WAY: (
        "A {mood} {kind} in which {subject} {deed}, with a hint of {phrase}.",
        "Those who like {phrase} may well enjoy how {subject} {deed} {setting}.",
        "There is a faint echo of {phrase} in this {mood} story of how {subject} {deed}.",
        "Not quite {phrase}, but close: {subject} {deed} {setting}.",
    ),
    ABSENT: (
        "Do not expect {phrase} here: {subject} {deed} {setting}.",
        "In this {mood} {kind} {phrase} is far away, as {subject} {deed}.",
        "Anyone hoping for {phrase} gets a {mood} {kind} instead, in which {subject} {deed}.",
        "There is no room for {phrase} when {subject} {deed} {setting}.",
    ),
    None: (
        "A {mood} {kind} in which {subject} {deed} {setting}.",
        "In this {mood} {kind}, {subject} {deed}.",
        "A {mood} and {mood2} story: {subject} {deed} {setting}.",
        "Watch how {subject} {deed} {setting}, in a {mood} {kind}.",
        "Here {subject} {deed} {setting}.",
    ),
}
_KIND_OF = {
    "animation": "animated film",
    "history": "historical film",
    "music": "film about music",
    "science fiction": "science fiction film",
    "sport": "sports film",
    **{
        genre: f"{genre} film"
        for genre in ("action", "adventure", "crime", "family", "fantasy", "horror", "mystery", "war")
    },
}
"""Genres that are no kind of film by themselves."""


@dataclass(frozen=True)
class Described:
    """A sentence of the corpus, and what it is about."""

    film: int
    keyword: int | None
    level: str | None  # AT_HEART, ALONG_THE_WAY, ABSENT; None without a keyword
    sentence: str


def level_of(keyword: Keyword, film: Film, generator: np.random.Generator) -> str:
    """How a sentence speaks of the keyword, drawn by its relevance to the film."""
    levels = (AT_HEART, ALONG_THE_WAY, ABSENT)
    return levels[int(generator.choice(3, p=_CHANCE[keyword.relevance(film)]))]


def compose(film: Film, keyword: Keyword | None, level: str | None, generator: np.random.Generator) -> str:
    """One sentence on a film, drawn from the frames and the film's phrases."""

    def one_of(items: Sequence[str]) -> str:
        return items[int(generator.integers(len(items)))]

    moods = generator.permutation(len(film.moods))
    filled = one_of(_FRAMES[level]).format(
        mood=film.moods[moods[0]],
        mood2=film.moods[moods[1]],
        kind=_kind(one_of(film.genres)),
        subject=one_of(film.subjects),
        deed=one_of(film.deeds),
        setting=one_of(film.settings),
        phrase="" if keyword is None else one_of(keyword.phrases),
    )
    return _with_articles(filled[0].upper() + filled[1:])


def _kind(genre: str) -> str:
    return _KIND_OF.get(genre, genre)


def _with_articles(sentence: str) -> str:
    """`a` before a vowel becomes `an`."""
    words = sentence.split(" ")
    for i, word in enumerate(words[:-1]):
        if word in ("a", "A") and words[i + 1][:1].lower() in "aeiou" and words[i + 1][:1].isalpha():
            words[i] = word + "n"
    return " ".join(words)


def describe(catalogue: Catalogue, film: int, keyword: int | None, generator: np.random.Generator) -> Described:
    """A drawn sentence on a film (an index), with a keyword (an index) or none."""
    about = catalogue.films[film]
    if keyword is None:
        return Described(film, None, None, compose(about, None, None, generator))
    word = catalogue.keywords[keyword]
    level = level_of(word, about, generator)
    return Described(film, keyword, level, compose(about, word, level, generator))


def corpus(catalogue: Catalogue, pairs: Iterable[tuple[int, int | None]], seed: int, name: str) -> list[Described]:
    """A sentence for each (film, keyword)."""
    generator = named_generator(seed, "corpus", name)
    return [describe(catalogue, film, keyword, generator) for film, keyword in pairs]
