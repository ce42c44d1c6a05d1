"""MovieLens folders: ratings, films and tags of any of its editions, read into one form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from prompt_bandits.movie.movielens import formats
from prompt_bandits.movie.movielens.data import Films, MovieLens, Ratings, Tags

__all__ = ["EDITIONS", "Edition", "Films", "MovieLens", "Ratings", "Tags", "read_movielens"]


@dataclass(frozen=True)
class Edition:
    """How an edition is written: its files of ratings and of films, and what reads them and its tags."""

    ratings_file: str
    films_file: str
    ratings: Callable[[Path], Ratings]
    films: Callable[[Path], Films]
    tags: Callable[[Path, float], Tags]


EDITIONS = {
    "100k": Edition("u.data", "u.item", formats.ratings_tabs, formats.films_pipes, formats.no_tags),
    "1M, 10M": Edition("ratings.dat", "movies.dat", formats.ratings_colons, formats.films_colons, formats.tags_colons),
    "20M, 25M, 32M, latest": Edition(
        "ratings.csv", "movies.csv", formats.ratings_csv, formats.films_csv, formats.tags_csv
    ),
}
"""The editions that differ in form."""


def read_movielens(folder: str | Path, *, genome_relevance: float = 0.5) -> MovieLens:
    """The ratings, films and tags of a MovieLens folder; the edition is known by the files that are there.

    Args:
        folder: what a MovieLens archive unpacks to.
        genome_relevance: a word of the tag genome counts as a tag of a film from this relevance on.

    Raises:
        FileNotFoundError: no such folder, or no edition's files in it; the message lists what was looked for.
        ValueError: a file that does not read as its edition's, or a film that is rated but not described.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: expected a MovieLens folder, found none")
    name = _recognise(folder)
    edition = EDITIONS[name]
    ratings = edition.ratings(folder / edition.ratings_file)
    films = edition.films(folder / edition.films_file)
    unknown = np.setdiff1d(ratings.item_id, films.item_id)
    if len(unknown):
        raise ValueError(
            f"{folder / edition.films_file}: expected every film that is rated, {len(unknown)} are missing, such as "
            f"{', '.join(map(str, unknown[:5]))}"
        )
    return MovieLens(name, ratings, films, edition.tags(folder, genome_relevance))


def _recognise(folder: Path) -> str:
    for name, edition in EDITIONS.items():
        if (folder / edition.ratings_file).is_file() and (folder / edition.films_file).is_file():
            return name
    looked = "; ".join(f"{form.ratings_file} and {form.films_file} ({name})" for name, form in EDITIONS.items())
    found = ", ".join(sorted(file.name for file in folder.iterdir())[:10]) or "nothing"
    raise FileNotFoundError(f"{folder}: expected the files of a MovieLens edition: {looked}; found {found}")
