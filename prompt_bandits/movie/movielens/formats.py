"""The files of MovieLens editions: what separates their columns, and what the columns are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from prompt_bandits.movie.movielens.data import Films, Ratings, Tags
from prompt_bandits.movie.movielens.titles import distinct_titles, split_title
from prompt_bandits.types import text_array

_GENRES_100K = (
    *("Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy"),
    *("Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)


def ratings_tabs(file: Path) -> Ratings:
    """user, film, rating, time between tabs."""
    return _ratings_separated(file, "\t", ("user", "item", "rating", "time"))


def ratings_colons(file: Path) -> Ratings:
    """`1::122::5::838985046`: read with a single colon, which gives empty columns between."""
    return _ratings_separated(file, ":", ("user", "_1", "item", "_2", "rating", "_3", "time"))


def ratings_csv(file: Path) -> Ratings:
    """With a header."""
    return Ratings(*read_columns(file, {"userId": "int32", "movieId": "int32", "rating": "float32"}).values())


def films_pipes(file: Path) -> Films:
    """film | title | release | video release | address | 19 flags of genres, the first for none."""

    def rows() -> Iterator[tuple[str, str, str]]:
        for fields in _fields(file, "|", 6 + len(_GENRES_100K)):
            flagged = [name for name, flag in zip(_GENRES_100K, fields[6:], strict=True) if flag == "1"]
            yield fields[0], fields[1], "|".join(flagged)

    return _films(rows(), file)


def films_colons(file: Path) -> Films:
    """film::title::genres."""
    return _films(((film, title, genres) for film, title, genres in _fields(file, "::", 3)), file)


def films_csv(file: Path) -> Films:
    """With a header."""
    film, title, genres = read_columns(file, {"movieId": "int64", "title": "str", "genres": "str"}, lines=True).values()
    return _films(zip(map(str, film.tolist()), title, genres, strict=True), file)


def no_tags(folder: Path, relevance: float) -> Tags:
    """For an edition that has none."""
    return Tags.of([], [])


def tags_colons(folder: Path, relevance: float) -> Tags:
    """tags.dat, where it is there: user::film::tag::time."""
    file = folder / "tags.dat"
    if not file.is_file():
        return Tags.of([], [])
    rows = list(_fields(file, "::", 4))
    return Tags.of([_integer(film, file) for _, film, _, _ in rows], (tag for _, _, tag, _ in rows))


def tags_csv(folder: Path, relevance: float) -> Tags:
    """tags.csv and the words of the tag genome, as far as they are there."""
    parts = [Tags.of([], [])]
    if (folder / "tags.csv").is_file():
        parts.append(
            Tags.of(*read_columns(folder / "tags.csv", {"movieId": "int64", "tag": "str"}, lines=True).values())
        )
    names, scores = folder / "genome-tags.csv", folder / "genome-scores.csv"
    if names.is_file() and scores.is_file():
        word = dict(
            zip(*(column for column in read_columns(names, {"tagId": "int64", "tag": "str"}).values()), strict=True)
        )
        film, tag, score = read_columns(scores, {"movieId": "int64", "tagId": "int64", "relevance": "float32"}).values()
        parts.append(Tags.of(film[score >= relevance], (word[i] for i in tag[score >= relevance].tolist())))
    return Tags(np.concatenate([part.item_id for part in parts]), np.concatenate([part.tag for part in parts]))


def read_columns(file: Path, wanted: dict[str, str], lines: bool = False, **reading: Any) -> dict[str, Any]:
    """Columns of a delimited file, by name: arrays of a NumPy type, or lists of texts for "str".

    Args:
        file: UTF-8.
        wanted: the columns and their types.
        lines: quoted texts may hold line breaks (slower).
        reading: pyarrow's read and parse options.

    Raises:
        ValueError: a missing column, an empty number, or a value of another type.
    """
    import pyarrow as pa
    from pyarrow import csv

    types = {name: pa.string() if kind == "str" else pa.from_numpy_dtype(kind) for name, kind in wanted.items()}
    converting = csv.ConvertOptions(include_columns=list(wanted), column_types=types, strings_can_be_null=False)
    reading.setdefault("parse_options", csv.ParseOptions(newlines_in_values=lines))
    try:
        table = csv.read_csv(file, convert_options=converting, **reading)
    except (pa.ArrowException, KeyError) as error:
        raise ValueError(f"{file}: expected columns {', '.join(wanted)}: {error}") from error
    found: dict[str, Any] = {}
    for name, kind in wanted.items():
        column = table.column(name)
        if column.null_count:
            raise ValueError(f"{file}: {name}: expected a number in every row, {column.null_count} are empty")
        found[name] = column.to_pylist() if kind == "str" else column.to_numpy()
        table = table.drop_columns([name])  # frees it
    return found


def _ratings_separated(file: Path, delimiter: str, names: Sequence[str]) -> Ratings:
    from pyarrow import csv

    columns = read_columns(
        file,
        {"user": "int32", "item": "int32", "rating": "float32"},
        read_options=csv.ReadOptions(column_names=list(names)),
        parse_options=csv.ParseOptions(delimiter=delimiter, quote_char=False),
    )
    return Ratings(*columns.values())


def _films(rows: Iterable[tuple[str, str, str]], file: Path) -> Films:
    """From (film, title as it is written, genres)."""
    ids, titles, years, genres = [], [], [], []
    for film, raw, kinds in rows:
        title, year = split_title(raw)
        ids.append(_integer(film, file))
        titles.append(title)
        years.append(year)
        genres.append("" if kinds.startswith("(no genres") else kinds)
    distinct = text_array(distinct_titles(titles, years))
    return Films(np.array(ids, np.int64), distinct, np.array(years, np.int64), text_array(genres))


def _fields(file: Path, separator: str, n: int) -> Iterator[list[str]]:
    """The fields of every line; the last but one may contain "::", as a title or a tag does."""
    for number, line in enumerate(_decoded(file).split("\n")):
        line = line.rstrip("\r")
        fields = line.split(separator)
        if separator == "::" and len(fields) > n:
            fields = [*fields[: n - 2], separator.join(fields[n - 2 : -1]), fields[-1]]
        if line and len(fields) != n:
            raise ValueError(f"{file}: line {number + 1}: expected {n} values between {separator!r}, got {line!r}")
        if line:
            yield fields


def _decoded(file: Path) -> str:
    """The older editions are Latin-1, the newer ones UTF-8; hardly any Latin-1 with accents is valid UTF-8."""
    raw = file.read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _integer(text: str, file: Path) -> int:
    if not text.strip().isdigit():
        raise ValueError(f"{file}: expected the number of a film, got {text!r}")
    return int(text)
