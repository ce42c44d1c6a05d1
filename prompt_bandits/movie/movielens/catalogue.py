"""What a MovieLens folder comes to: users, films, keywords, and who liked what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from prompt_bandits.movie.movielens.keyword_sources import choose_keywords, keywords_from_file, keywords_from_movielens
from prompt_bandits.movie.movielens.ratings import Interactions, filter_ratings
from prompt_bandits.movie.movielens.reading import read_movielens
from prompt_bandits.movie.movielens.settings import MovieLensSettings, content_hash
from prompt_bandits.types import FloatArray, IntArray, TextArray, text_array

_MOST_OWN_KEYWORDS = 1000


@dataclass(frozen=True, eq=False)
class MovieLensCatalogue:
    """Films in the order of `interactions.item_key`."""

    interactions: Interactions
    title: TextArray  # (n_items,)
    year: IntArray  # (n_items,)
    genres: TextArray  # (n_items,)
    keywords: TextArray  # (|A|,), sorted

    @property
    def n_users(self) -> int:
        return len(self.interactions.user_key)

    @property
    def n_items(self) -> int:
        return len(self.title)

    def hash(self) -> str:
        """Of all that later stages depend on."""
        rows = self.interactions
        arrays = [array.tobytes() for array in (rows.user_id, rows.item_id, rows.reward)]
        return content_hash(self.title.tolist(), self.keywords.tolist(), *arrays)

    def tastes_in_words(self) -> TextArray:
        """(n_users,) the genres that each user liked more often than others, and those less often."""
        rows = self.interactions
        n_rows = np.bincount(rows.user_id, minlength=self.n_users)
        surprise = rows.reward - (np.bincount(rows.user_id, rows.reward) / n_rows)[rows.user_id]
        kinds = [set(genres.split("|")) - {""} for genres in self.genres]
        names = sorted(set().union(*kinds))
        score = np.zeros((self.n_users, len(names)))
        for column, name in enumerate(names):
            has = np.array([name in own for own in kinds])[rows.item_id]
            score[:, column] = np.bincount(rows.user_id[has], surprise[has], self.n_users)
        return text_array(_in_words(names, own) for own in score)


def movielens_catalogue(
    folder: str | Path, prompts: str | Path | None, settings: MovieLensSettings, say: Callable[[str], None]
) -> MovieLensCatalogue:
    """Reads and filters; keywords come from the file `prompts`, or from MovieLens' tags and genres.

    Raises:
        FileNotFoundError, ValueError: as `read_movielens`, `filter_ratings` and the sources of keywords.
    """
    data = read_movielens(folder)
    say(f"MovieLens ({data.edition}): {len(data.ratings):,} ratings of {len(data.films.title):,} films")
    kept = filter_ratings(data.ratings, settings.rules, seed=settings.seed)
    say(f"ratings: {len(kept):,} are left, of {len(kept.user_key):,} users and {len(kept.item_key):,} films")
    order = np.argsort(data.films.item_id)
    rows = order[np.searchsorted(data.films.item_id, kept.item_key, sorter=order)]
    if prompts is not None:
        found, n = keywords_from_file(prompts), settings.n_prompts
    else:
        found = keywords_from_movielens(
            data,
            settings.keyword_sources,
            min_films=settings.min_films,
            max_words=settings.max_words,
            item_id=kept.item_key,
        )
        n = min(len(found), _MOST_OWN_KEYWORDS) if settings.n_prompts is None else settings.n_prompts
    keywords = choose_keywords(found, n, settings.seed)
    say(f"keywords: {len(keywords):,} of {len(found):,}")
    films = data.films
    return MovieLensCatalogue(kept, films.title[rows], films.year[rows], films.genres[rows], keywords)


def _in_words(names: list[str], score: FloatArray) -> str:
    order = np.argsort(-score, kind="stable")
    liked = ", ".join(names[i] for i in order[:3] if score[i] > 0)
    avoided = ", ".join(names[i] for i in order[::-1][:2] if score[i] < 0)
    return "; ".join(part for part in (liked and f"likes {liked}", avoided and f"avoids {avoided}") if part)
