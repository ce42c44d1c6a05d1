"""MovieLens folders: every edition reads alike, and the published rules by hand."""

from __future__ import annotations

import numpy as np
import pytest
from movielens_files import EDITIONS, FILMS, write_movielens

from prompt_bandits.movie.movielens.keyword_sources import (
    choose_keywords,
    cleaned,
    keywords_from_file,
    keywords_from_movielens,
)
from prompt_bandits.movie.movielens.ratings import RatingRules, filter_ratings
from prompt_bandits.movie.movielens.reading import Films, MovieLens, Ratings, Tags, read_movielens
from prompt_bandits.movie.movielens.titles import distinct_titles, split_title

RATINGS = [(7, 1, 5), (7, 5, 4), (7, 8, 1), (8, 1, 3), (8, 9, 5), (9, 12, 2), (9, 13, 5)]


@pytest.mark.parametrize("edition", EDITIONS)
def test_every_edition_gives_the_same_ratings_and_films(tmp_path, edition) -> None:
    data = read_movielens(write_movielens(tmp_path, edition, RATINGS))
    read = zip(data.ratings.user_id.tolist(), data.ratings.item_id.tolist(), data.ratings.rating.tolist(), strict=True)
    assert list(read) == RATINGS
    assert data.ratings.user_id.dtype == np.int32
    assert data.ratings.rating.dtype == np.float32
    assert data.films.item_id.tolist() == [1, 5, 8, 9, 12, 13]
    assert data.films.title.tolist() == [
        "Toy Story",
        "The City of Lost Children",
        "Les Misérables",
        "Mission: Impossible",
        "Hamlet (1990)",
        "Hamlet (1996)",
    ]
    assert data.films.year.tolist() == [1995, 1995, 1995, 1996, 1990, 1996]
    assert data.films.genres.tolist() == [genres for _, _, genres in FILMS]


@pytest.mark.parametrize("edition", ["10m", "25m"])
def test_tags_are_read_with_accents_and_separators(tmp_path, edition) -> None:
    tags = read_movielens(write_movielens(tmp_path, edition, RATINGS)).tags
    assert tags.item_id.tolist() == [1, 1, 5, 9, 8, 9]
    assert tags.tag.tolist() == ["Pixar", " pixar ", "Dystopia", "time::travel", "très beau", "pixar"]


@pytest.mark.parametrize("edition", ["10m", "25m"])
def test_half_stars_are_read(tmp_path, edition) -> None:
    data = read_movielens(write_movielens(tmp_path, edition, [(1, 1, 4.5), (1, 5, 0.5)]))
    assert data.ratings.rating.tolist() == [4.5, 0.5]


def test_words_of_the_tag_genome_count_from_a_relevance_on(tmp_path) -> None:
    folder = write_movielens(tmp_path, "25m", RATINGS, tags=[])
    (folder / "genome-tags.csv").write_text('tagId,tag\n1,dark\n2,"witty, wise"\n')
    (folder / "genome-scores.csv").write_text("movieId,tagId,relevance\n1,1,0.1\n1,2,0.9\n5,1,0.5\n5,2,0.3\n")
    tags = read_movielens(folder).tags
    assert list(zip(tags.item_id.tolist(), tags.tag, strict=True)) == [(1, "witty, wise"), (5, "dark")]
    assert len(read_movielens(folder, genome_relevance=0.05).tags.tag) == 4


def test_latin_1_next_line_characters_do_not_cut_a_film(tmp_path) -> None:
    folder = write_movielens(tmp_path, "1m", RATINGS)
    text = (folder / "movies.dat").read_bytes().replace(b"Toy Story", b"Toy\x85 Story")
    (folder / "movies.dat").write_bytes(text.replace(b"\n", b"\r\n"))
    assert read_movielens(folder).films.title[0] == "Toy\x85 Story"


def test_quoted_line_breaks_in_a_csv_stay_in_their_value(tmp_path) -> None:
    folder = write_movielens(tmp_path, "25m", RATINGS, tags=[(7, 1, "two\nlines"), (7, 5, 'a "quoted" one, too')])
    assert read_movielens(folder).tags.tag.tolist() == ["two\nlines", 'a "quoted" one, too']


def test_a_folder_of_no_edition_says_what_was_looked_for(tmp_path) -> None:
    (tmp_path / "ratings.csv").write_text("x")
    with pytest.raises(
        FileNotFoundError, match=r"u\.data and u\.item \(100k\).*ratings\.csv and movies\.csv.*found ratings\.csv"
    ):
        read_movielens(tmp_path)
    with pytest.raises(FileNotFoundError, match="expected a MovieLens folder"):
        read_movielens(tmp_path / "none")


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("ratings.csv", "userId,film,rating\n1,1,5\n", r"ratings\.csv: expected columns userId, movieId, rating"),
        ("ratings.csv", "userId,movieId,rating\n1,1,much\n", r"ratings\.csv: .*much"),
        ("ratings.csv", "userId,movieId,rating\n1,,5\n", r"ratings\.csv: movieId: expected a number in every row"),
        ("ratings.csv", "userId,movieId,rating\n1,1,50\n", r"expected in \(0, 5\], got 50"),
        ("ratings.csv", "userId,movieId,rating\n", "expected at least one, got none"),
        ("ratings.csv", "userId,movieId,rating\n1,99,5\n", r"movies\.csv: expected every film .* 1 are missing, .* 99"),
        ("movies.csv", "movieId,title,genres\n1,a,b\n1,c,d\n", "films: expected each once, got 1 again"),
    ],
)
def test_bad_files_are_named(tmp_path, file, text, message) -> None:
    folder = write_movielens(tmp_path, "25m", RATINGS)
    (folder / file).write_text(text)
    with pytest.raises(ValueError, match=message):
        read_movielens(folder)


def test_a_line_that_is_cut_short_is_named(tmp_path) -> None:
    folder = write_movielens(tmp_path, "1m", RATINGS)
    (folder / "movies.dat").write_text("1::Toy Story (1995)::Comedy\n2::Half\n")
    with pytest.raises(ValueError, match=r"movies\.dat: line 2: expected 3 values between '::', got '2::Half'"):
        read_movielens(folder)


@pytest.mark.parametrize(
    ("raw", "title", "year"),
    [
        ("Matrix, The (1999)", "The Matrix", 1999),
        ("Avventura, L' (a.k.a. Adventure, The) (1960)", "L'Avventura", 1960),
        ("Good, the Bad and the Ugly, The (Buono, il brutto, Il) (1966)", "The Good, the Bad and the Ugly", 1966),
        ("(500) Days of Summer (2009)", "(500) Days of Summer", 2009),
        (
            "Birdman: Or (The Unexpected Virtue of Ignorance) (2014)",
            "Birdman: Or (The Unexpected Virtue of Ignorance)",
            2014,
        ),
        ("1984 (1956)", "1984", 1956),
        ("Death Note (2006–2007)", "Death Note", 2006),
        ("Me, Myself & Irene (2000) ", "Me, Myself & Irene", 2000),
        ("unknown", "unknown", 0),
        ("Babylon 5", "Babylon 5", 0),
    ],
)
def test_titles_as_people_say_them(raw, title, year) -> None:
    assert split_title(raw) == (title, year)


def test_only_titles_of_several_films_get_their_year() -> None:
    assert distinct_titles(["Emma", "Up", "Emma"], [1996, 2009, 0]) == ["Emma (1996)", "Up", "Emma"]


def ratings(rows) -> Ratings:
    user, item, stars = zip(*rows, strict=True)
    return Ratings(np.array(user, np.int32), np.array(item, np.int32), np.array(stars, np.float32))


def rows_of(found) -> set[tuple[int, int, float]]:
    """With the ids that users and films had."""
    return {
        (int(found.user_key[u]), int(found.item_key[i]), float(r))
        for u, i, r in zip(found.user_id, found.item_id, found.reward, strict=True)
    }


TWELVE = [
    *((1, 10, 5), (1, 20, 1), (1, 30, 4)),  # 4 stars are left out
    *((2, 10, 2), (2, 20, 5)),
    *((3, 30, 5), (3, 20, 3), (3, 10, 5)),
    *((4, 10, 3), (4, 20, 2)),  # likes nothing
    (2, 30, 5),
    (5, 30, 1),  # likes nothing; without them nobody dislikes film 30
]


def test_twelve_ratings_by_hand() -> None:
    found = filter_ratings(ratings(TWELVE), RatingRules(min_positive=1, min_negative=1))
    assert rows_of(found) == {(1, 10, 1), (1, 20, 0), (2, 10, 0), (2, 20, 1), (3, 20, 0), (3, 10, 1)}
    assert found.user_key.tolist() == [1, 2, 3]
    assert found.item_key.tolist() == [10, 20]
    assert found.pairs.shape == (6, 2)


def test_numbers_are_given_in_order_of_appearance() -> None:
    rows = [(9, 50, 5), (3, 20, 1), (9, 20, 1), (3, 50, 5)]
    found = filter_ratings(ratings(rows), RatingRules(min_positive=0, min_negative=0))
    assert found.user_key.tolist() == [9, 3]
    assert found.item_key.tolist() == [50, 20]
    assert rows_of(found) == {(u, i, float(r == 5)) for u, i, r in rows}


def test_four_and_a_half_stars_are_negative_as_published_and_positive_if_asked() -> None:
    rows = ratings([(1, 1, 4.5), (1, 2, 5), (1, 3, 3.5), (1, 4, 4)])
    rules = {"min_positive": 0, "min_negative": 0, "balanced": False}
    assert rows_of(filter_ratings(rows, RatingRules(**rules))) == {(1, 1, 0), (1, 2, 1), (1, 3, 0)}
    assert rows_of(filter_ratings(rows, RatingRules(positive_from=4.5, **rules))) == {(1, 1, 1), (1, 2, 1), (1, 3, 0)}


def one_by_one(rows, least) -> set[tuple[int, int, int]]:
    """The rows left when one user or film without `least` rows of both kinds goes at a time."""
    left = {row for row in rows if row[2] != 4}
    while True:
        for place in (0, 1):
            for one in sorted({row[place] for row in left}):
                own = [row for row in left if row[place] == one]
                if min(sum(row[2] == 5 for row in own), sum(row[2] < 5 for row in own)) < least:
                    left -= set(own)
                    break
            else:
                continue
            break
        else:
            return left


def test_what_is_left_is_what_leaves_one_by_one_leave() -> None:
    generator = np.random.Generator(np.random.Philox(1))
    shares = np.linspace(0.3, 1, 30)
    rows = [
        (u, i, int(generator.choice([5, 5, 4, 3, 1])))
        for u in range(30)
        for i in range(25)
        if generator.random() < shares[u] * shares[i]
    ]
    found = filter_ratings(ratings(rows), RatingRules(min_positive=2, min_negative=2, balanced=False))
    expected = {(u, i, float(r == 5)) for u, i, r in one_by_one(rows, 2)}
    assert 100 < len(expected) < 0.9 * sum(r != 4 for _, _, r in rows)
    assert rows_of(found) == expected


def test_each_users_ratings_are_balanced_at_random() -> None:
    rows = [(u, i, 5 if i < 5 + u else 1) for u in range(3) for i in range(12)]
    rules = RatingRules(min_positive=0, min_negative=0)
    found = [filter_ratings(ratings(rows), rules, seed=seed) for seed in (0, 0, 1)]
    for user, share in enumerate((5, 6, 5)):
        rewards = found[0].reward[found[0].user_id == user]
        assert (rewards == 1).sum() == (rewards == 0).sum() == share
    assert [rows_of(f) == rows_of(found[0]) for f in found] == [True, True, False]
    np.testing.assert_array_equal(found[0].pairs, found[1].pairs)
    assert np.any(np.diff(found[0].user_id) < 0)  # shuffled


def test_rules_that_leave_nothing_say_so() -> None:
    with pytest.raises(
        ValueError, match="10 positive and 10 negative ratings each, none of 5 users and 3 films is left"
    ):
        filter_ratings(ratings(TWELVE))
    with pytest.raises(ValueError, match="positive_from"):
        RatingRules(positive_from=6)
    with pytest.raises(ValueError, match="see balanced=False"):
        filter_ratings(ratings([(1, 1, 5)]), RatingRules(min_positive=0, min_negative=0))


def movielens(tags, genres=("", "", "")) -> MovieLens:
    films = Films(np.arange(3), np.array(["A", "B", "C"], object), np.zeros(3, np.int64), np.array(genres, object))
    return MovieLens("25M", ratings([(1, 0, 5)]), films, Tags.of([film for film, _ in tags], [tag for _, tag in tags]))


def test_keywords_are_tags_and_genres_of_enough_films() -> None:
    tags = [
        (0, "Dark"),
        (1, "dark "),
        (2, " DARK"),
        (0, "slow"),
        (0, "slow"),
        (1, "one two three four"),
        (2, "one two three four"),
    ]
    data = movielens(tags, ("Sci-Fi|Drama", "Drama", "Sci-Fi"))
    assert keywords_from_movielens(data, min_films=2).tolist() == ["dark", "drama", "sci-fi"]
    assert keywords_from_movielens(data, ["tags"], min_films=3).tolist() == ["dark"]
    assert keywords_from_movielens(data, min_films=1, max_words=4).tolist() == [
        "dark",
        "drama",
        "one two three four",
        "sci-fi",
        "slow",
    ]
    assert keywords_from_movielens(data, min_films=1, item_id=np.array([1])).tolist() == ["dark", "drama"]
    with pytest.raises(ValueError, match="expected keywords, found none"):
        keywords_from_movielens(data, ["tags"], min_films=4)
    with pytest.raises(ValueError, match="sources: expected some of tags, genres, got 'plots'"):
        keywords_from_movielens(data, ["plots"])


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        ('"Feel-Good!"', "feel-good!"),
        ("  très\tBEAU ", "très beau"),
        ("1980s", "1980s"),
        ("***", ""),
        ("42", ""),
        ("ﬁlm", "film"),
    ],
)
def test_cleaned_words(raw, word) -> None:
    assert cleaned(raw) == word


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.csv", "words\nb\na\nb\n", ["a", "b"]),
        ("b.csv", "number,vocab\n1,zoo\n2,Ärger\n", ["zoo", "Ärger"]),
        ("c.csv", 'prompt,x\n"a, b",1\n ,2\n', ["a, b"]),
        ("d.jsonl", '{"text": "q"}\n{"text": "p"}\n', ["p", "q"]),
    ],
)
def test_keywords_of_a_file_are_sorted_and_each_once(tmp_path, name, text, expected) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert keywords_from_file(tmp_path / name).tolist() == expected


def test_a_file_without_a_column_of_keywords_says_so(tmp_path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    with pytest.raises(ValueError, match="expected one column, or one of prompt, text, vocab, got x, y"):
        keywords_from_file(tmp_path / "a.csv")


def test_a_choice_of_keywords_is_seeded_and_in_order() -> None:
    words = np.array([f"w{i:03}" for i in range(200)], object)
    chosen = choose_keywords(words, 50, seed=3)
    assert chosen.tolist() == sorted(set(chosen))
    assert len(chosen) == 50
    assert chosen.tolist() == choose_keywords(words, 50, seed=3).tolist() != choose_keywords(words, 50, seed=4).tolist()
    assert choose_keywords(words, None) is words
    with pytest.raises(ValueError, match="n_prompts: expected 1 … 200"):
        choose_keywords(words, 201)
