"""The facts that the shipped assets are built from: films, keywords, and what both have to do with tastes."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np

from prompt_bandits.types import FloatArray

ASPECTS = (
    "action",
    "adventure",
    "suspense",
    "mystery",
    "crime",
    "romance",
    "comedy",
    "heartbreak",
    "horror",
    "fantasy",
    "science",
    "history",
    "war",
    "family",
    "friendship",
    "youth",
    "music",
    "spectacle",
    "wit",
    "mind",
    "justice",
    "survival",
    "ambition",
    "darkness",
)
"""What a film may be liked or disliked for."""
_FACTS = Path(__file__).parent.parent / "facts"
_FULL = 3  # strength of an aspect at a film's heart


@dataclass(frozen=True)
class Film:
    """A well-known film, and phrases that tell of it: any subject does any deed in any setting."""

    title: str
    year: int
    genres: tuple[str, ...]
    strength: dict[str, int]  # aspect: 1 (somewhat) … 3 (at its heart)
    subjects: tuple[str, ...]
    deeds: tuple[str, ...]
    settings: tuple[str, ...]
    moods: tuple[str, ...]

    @property
    def query(self) -> str:
        """What the user asks about."""
        return f"{self.title} ({self.year})"

    def aspects(self) -> FloatArray:
        """(24,) how much of each aspect it has, 0 … 1."""
        return np.array([self.strength.get(aspect, 0) / _FULL for aspect in ASPECTS])


@dataclass(frozen=True)
class Keyword:
    """A candidate prompt: a word that steers a description, and phrases that express it."""

    text: str
    aspect: str
    second_aspect: str | None
    phrases: tuple[str, ...]

    def aspects(self) -> FloatArray:
        """(24,) which tastes it speaks to: 1 for its own aspect, 0.4 for its second one."""
        return np.array([1.0 if a == self.aspect else 0.4 if a == self.second_aspect else 0.0 for a in ASPECTS])

    def relevance(self, film: Film) -> int:
        """0 (not in the film) … 3 (at its heart)."""
        second = film.strength.get(self.second_aspect, 0) - 1 if self.second_aspect else 0
        return max(film.strength.get(self.aspect, 0), second, 0)


@dataclass(frozen=True)
class Catalogue:
    """Films in order of their titles and keywords in order of their texts."""

    films: tuple[Film, ...]
    keywords: tuple[Keyword, ...]

    def part(self, n_films: int | None, n_keywords: int | None) -> Catalogue:
        """Some of it, evenly spread; None: all."""
        return Catalogue(_spread(self.films, n_films), _spread(self.keywords, n_keywords))


@cache
def read_catalogue() -> Catalogue:
    """The catalogue of the package."""
    films = tuple(sorted((_film(row) for row in _rows("films.csv")), key=lambda film: film.query))
    keywords = tuple(sorted((_keyword(row) for row in _rows("keywords.csv")), key=lambda keyword: keyword.text))
    return Catalogue(films, keywords)


def facts_hash() -> str:
    """A hash of the facts' files."""
    digest = sha256()
    for file in sorted(_FACTS.glob("*.csv")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _spread(items: tuple, n: int | None) -> tuple:  # type: ignore[type-arg]
    if n is None or n >= len(items):
        return items
    return tuple(items[i * len(items) // n] for i in range(n))


def _rows(name: str) -> Iterator[dict[str, str]]:
    with (_FACTS / name).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _film(row: dict[str, str]) -> Film:
    strength = dict(entry.split(":") for entry in row["aspects"].split("|"))
    return Film(
        title=row["title"],
        year=int(row["year"]),
        genres=tuple(row["genres"].split("|")),
        strength={aspect: int(value) for aspect, value in strength.items()},
        subjects=_several(row, "subject", 2),
        deeds=_several(row, "deed", 2),
        settings=_several(row, "setting", 2),
        moods=_several(row, "mood", 3),
    )


def _keyword(row: dict[str, str]) -> Keyword:
    return Keyword(row["keyword"], row["aspect"], row["second_aspect"] or None, _several(row, "phrase", 4))


def _several(row: dict[str, str], name: str, n: int) -> tuple[str, ...]:
    return tuple(row[f"{name}_{i + 1}"] for i in range(n))
