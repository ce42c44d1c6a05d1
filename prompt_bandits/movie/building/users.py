"""Simulated users: tastes over aspects, and what they thought of films whose description they read.

A user likes a film, described by a sentence, with probability

    sigmoid(own mood + the film's appeal + 2·taste·film + 4·taste·(what the sentence promises))

where `film` has unit length, and a sentence promises its keyword's aspects: fully, a little, or the contrary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from prompt_bandits.movie.building.catalogue import ASPECTS, Catalogue
from prompt_bandits.movie.building.corpus import EXPRESSED, Described, describe
from prompt_bandits.rounds import named_generator
from prompt_bandits.types import FloatArray, IntArray

_FILM, _SENTENCE = 2.0, 4.0
_WAYS, _STRENGTH = 6, 0.75


@dataclass(frozen=True)
class UserSettings:
    """How many users there are, and how much they tell."""

    n_users: int = 600
    readings: int = 300  # descriptions that a user read and judged
    per_film: int = 200  # different descriptions of a film
    without_keyword: float = 0.25  # share of those that have none


@dataclass(frozen=True, eq=False)
class Readings:
    """Who read which description of which film, and whether they liked it."""

    user_id: IntArray  # (m,)
    film: IntArray  # (m,)
    liked: FloatArray  # (m,) 0 or 1
    described: Sequence[Described]  # m

    def take(self, rows: IntArray) -> Readings:
        """Those at `rows`."""
        chosen = [self.described[i] for i in rows]
        return Readings(self.user_id[rows], self.film[rows], self.liked[rows], chosen)


def draw_tastes(n_users: int, seed: int) -> FloatArray:
    """(n_users, 24) how much each user seeks an aspect, or avoids it where negative.

    Aspects are liked together in a few ways, of which each user has some of each, or of their contrary.
    """
    generator = named_generator(seed, "tastes")
    ways = generator.standard_normal((_WAYS, len(ASPECTS)))
    taste = generator.standard_normal((n_users, _WAYS)) @ ways
    return _STRENGTH * taste / taste.std() + 0.1 * generator.standard_normal(taste.shape)  # type: ignore[no-any-return]


def read_and_judge(catalogue: Catalogue, taste: FloatArray, settings: UserSettings, seed: int) -> Readings:
    """What the users made of films and descriptions; they meet films the more often the better these suit them."""
    generator = named_generator(seed, "readings")
    film_aspects = np.stack([film.aspects() for film in catalogue.films])
    film_aspects /= np.linalg.norm(film_aspects, axis=1, keepdims=True)
    keyword_aspects = np.stack([keyword.aspects() for keyword in catalogue.keywords])
    mood = 0.4 * generator.standard_normal(len(taste))
    appeal = 0.4 * generator.standard_normal(len(catalogue.films))
    affinity = taste @ film_aspects.T
    chance = np.exp(affinity)
    chance /= chance.sum(axis=1, keepdims=True)
    descriptions = [_descriptions(catalogue, film, settings, generator) for film in range(len(catalogue.films))]
    user_id, films, described, logit = [], [], [], []
    for user in range(len(taste)):
        for film in generator.choice(len(catalogue.films), settings.readings, p=chance[user]).tolist():
            read = descriptions[film][int(generator.integers(settings.per_film))]
            promised = 0.0
            if read.keyword is not None:
                promised = EXPRESSED[str(read.level)] * taste[user] @ keyword_aspects[read.keyword]
            user_id.append(user)
            films.append(film)
            described.append(read)
            logit.append(mood[user] + appeal[film] + _FILM * affinity[user, film] + _SENTENCE * promised)
    liked = generator.random(len(logit)) < 1 / (1 + np.exp(-np.array(logit)))
    return Readings(np.array(user_id), np.array(films), liked.astype(np.float64), described)


def _descriptions(
    catalogue: Catalogue, film: int, settings: UserSettings, generator: np.random.Generator
) -> list[Described]:
    """What may be read of a film: keywords that suit it come more often."""
    bare = generator.random(settings.per_film) < settings.without_keyword
    suits = np.array([1.0 + keyword.relevance(catalogue.films[film]) for keyword in catalogue.keywords])
    keyword = generator.choice(len(suits), settings.per_film, p=suits / suits.sum())
    return [describe(catalogue, film, None if bare[i] else int(keyword[i]), generator) for i in range(len(bare))]
