"""Small MovieLens folders, written as each edition is."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

EDITIONS = ("100k", "1m", "10m", "25m")
GENRES_100K = (
    *(
        "unknown",
        "Action",
        "Adventure",
        "Animation",
        "Children's",
        "Comedy",
        "Crime",
        "Documentary",
        "Drama",
        "Fantasy",
    ),
    *("Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
FILMS = [
    (1, "Toy Story (1995)", "Animation|Comedy"),
    (5, "City of Lost Children, The (Cité des enfants perdus, La) (1995)", "Adventure|Sci-Fi"),
    (8, "Misérables, Les (1995)", "Drama|Musical"),
    (9, "Mission: Impossible (1996)", "Action|Adventure"),
    (12, "Hamlet (1990)", "Drama"),
    (13, "Hamlet (1996)", "Drama"),
]
TAGS = [
    (7, 1, "Pixar"),
    (8, 1, " pixar "),
    (8, 5, "Dystopia"),
    (9, 9, "time::travel"),
    (7, 8, "très beau"),
    (7, 9, "pixar"),
]
Rating = tuple[int, int, float]  # user, film, stars


def write_movielens(
    folder: Path,
    edition: str,
    ratings: Iterable[Rating],
    films: Sequence[tuple[int, str, str]] = FILMS,
    tags: Sequence[tuple[int, int, str]] = TAGS,
) -> Path:
    """A folder with these ratings, films and tags (where the edition has any), in the edition's own form."""
    folder.mkdir(parents=True, exist_ok=True)
    {"100k": _write_100k, "1m": _write_1m, "10m": _write_10m, "25m": _write_25m}[edition](
        folder, list(ratings), films, tags
    )
    return folder


def rated_by_taste(n_users: int, n_films: int, seed: int = 0) -> tuple[list[Rating], list[tuple[int, str, str]]]:
    """Whole stars of users who all saw every film and like one of two genres; the films too."""
    generator = np.random.Generator(np.random.Philox(seed))
    genres = ["Comedy|Romance" if film % 2 else "Horror|Thriller" for film in range(n_films)]
    films = [(3 * film + 1, f"Épisode {film}, The ({1960 + film})", genres[film]) for film in range(n_films)]
    stars = [
        (
            user + 11,
            films[film][0],
            float(generator.choice([5, 4, 2, 1], p=likes if (user + film) % 2 else likes[::-1])),
        )
        for user in range(n_users)
        for film in range(n_films)
        for likes in [[0.7, 0.1, 0.1, 0.1]]
    ]
    return stars, films


def _write_100k(folder: Path, ratings: list[Rating], films: Sequence[tuple[int, str, str]], tags: object) -> None:
    (folder / "u.data").write_text("".join(f"{u}\t{i}\t{r:g}\t881250949\n" for u, i, r in ratings))
    lines = []
    for film, title, genres in films:
        flags = "|".join(str(int(genre in genres.split("|"))) for genre in GENRES_100K)
        lines.append(f"{film}|{title}|01-Jan-1995||http://example/{film}|{flags}\n")
    (folder / "u.item").write_text("".join(lines), encoding="latin-1")


def _write_1m(folder: Path, ratings: list[Rating], films: Sequence[tuple[int, str, str]], tags: object) -> None:
    _write_colons(folder, ratings, films, "latin-1")


def _write_10m(
    folder: Path, ratings: list[Rating], films: Sequence[tuple[int, str, str]], tags: Sequence[tuple[int, int, str]]
) -> None:
    _write_colons(folder, ratings, films, "utf-8")
    (folder / "tags.dat").write_text("".join(f"{u}::{i}::{tag}::1215184630\n" for u, i, tag in tags), encoding="utf-8")


def _write_colons(folder: Path, ratings: list[Rating], films: Sequence[tuple[int, str, str]], encoding: str) -> None:
    (folder / "ratings.dat").write_text("".join(f"{u}::{i}::{r:g}::978300760\n" for u, i, r in ratings))
    text = "".join(f"{film}::{title}::{genres}\n" for film, title, genres in films)
    (folder / "movies.dat").write_text(text, encoding=encoding)


def _write_25m(
    folder: Path, ratings: list[Rating], films: Sequence[tuple[int, str, str]], tags: Sequence[tuple[int, int, str]]
) -> None:
    for name, header, rows in (
        ("ratings", ("userId", "movieId", "rating", "timestamp"), [(*rating, 1147880044) for rating in ratings]),
        ("movies", ("movieId", "title", "genres"), films),
        ("tags", ("userId", "movieId", "tag", "timestamp"), [(*tag, 1439472355) for tag in tags]),
    ):
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *rows])
