"""Where keyword prompts come from: a file, or the tags and genres of MovieLens."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from prompt_bandits.logs.sources import open_source
from prompt_bandits.movie.movielens.data import MovieLens
from prompt_bandits.rounds import named_generator
from prompt_bandits.types import IntArray, TextArray, text_array

COLUMNS = ("prompt", "text", "vocab")
SOURCES = ("tags", "genres")


def keywords_from_file(file: str | Path) -> TextArray:
    """The keywords of a table (`.csv`, `.jsonl`, `.parquet`), sorted, each once: its only column, or `prompt`, `text`
    or `vocab`. Words stay as they are, but for spaces at their ends.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no such column, or no words.
    """
    source = open_source(file)
    named = [name for name in source.columns if name.strip().lower() in COLUMNS]
    column = source.columns[0] if len(source.columns) == 1 else named[0] if len(named) == 1 else None
    if column is None:
        raise ValueError(
            f"{file}: expected one column, or one of {', '.join(COLUMNS)}, got {', '.join(map(str, source.columns))}"
        )
    words = {str(w).strip() for chunk in source.chunks([column]) for w in chunk.values[column] if w is not None}
    return _sorted(words, str(file))


def keywords_from_movielens(
    data: MovieLens,
    sources: Sequence[str] = SOURCES,
    *,
    min_films: int = 5,
    max_words: int = 3,
    item_id: IntArray | None = None,
) -> TextArray:
    """Tags and genres as keywords, sorted, each once, in lower case.

    Args:
        sources: of "tags" and "genres".
        min_films: how many films a word is used for, at least.
        max_words: longer tags are left out.
        item_id: films to look at, by MovieLens' numbers; all unless given.

    Raises:
        ValueError: an unknown source, or no word is left.
    """
    for name in sources:
        if name not in SOURCES:
            raise ValueError(f"sources: expected some of {', '.join(SOURCES)}, got {name!r}")
    wanted = set((data.films.item_id if item_id is None else item_id).tolist())
    films_of: dict[str, set[int]] = {}
    for film, word in _mentions(data, sources):
        if film in wanted:
            films_of.setdefault(word, set()).add(film)
    words = (cleaned(word) for word, films in _joined(films_of).items() if len(films) >= min_films)
    short = {word for word in words if word and len(word.split()) <= max_words}
    return _sorted(short, f"{data.edition}: {' and '.join(sources)} of at least {min_films} films")


def choose_keywords(keywords: TextArray, n_prompts: int | None, seed: int = 0) -> TextArray:
    """`n_prompts` of the keywords, drawn without replacement, in their order; all for None.

    Raises:
        ValueError: more than there are, or fewer than one.
    """
    if n_prompts is None:
        return keywords
    if not 1 <= n_prompts <= len(keywords):
        raise ValueError(f"n_prompts: expected 1 … {len(keywords)} (the keywords that there are), got {n_prompts}")
    drawn = named_generator(seed, "keywords").permutation(len(keywords))[:n_prompts]
    return keywords[np.sort(drawn)]


def cleaned(word: str) -> str:
    """Lower case, single spaces, no quotes or marks at the ends; empty where there is no letter."""
    word = re.sub(r"\s+", " ", unicodedata.normalize("NFKC", word)).lower()
    word = re.sub(r"^[^\w(]+|[^\w)!?.]+$", "", word)
    return word if any(character.isalpha() for character in word) else ""


def _mentions(data: MovieLens, sources: Sequence[str]) -> Iterable[tuple[int, str]]:
    if "tags" in sources:
        yield from zip(data.tags.item_id.tolist(), data.tags.tag.tolist(), strict=True)
    if "genres" in sources:
        for film, genres in zip(data.films.item_id.tolist(), data.films.genres.tolist(), strict=True):
            yield from ((film, genre) for genre in genres.split("|"))


def _joined(films_of: dict[str, set[int]]) -> dict[str, set[int]]:
    """Spellings that clean to the same word, together."""
    joined: dict[str, set[int]] = {}
    for word, films in films_of.items():
        joined.setdefault(cleaned(word), set()).update(films)
    return joined


def _sorted(words: set[str], origin: str) -> TextArray:
    found = sorted(word for word in words if word)
    if not found:
        raise ValueError(f"{origin}: expected keywords, found none")
    return text_array(found)
