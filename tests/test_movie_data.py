"""The movie task's tables and contexts, and tables that people bring."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from prompt_bandits.movie.contexts import MovieContexts, split_users
from prompt_bandits.movie.custom import tables_from
from prompt_bandits.movie.folder import seal
from prompt_bandits.movie.table_files import write_tables
from prompt_bandits.movie.tables import MovieTables, subset_prompts
from prompt_bandits.protocols import ContextQuerySource
from prompt_bandits.rounds import Rounds, named_generator
from prompt_bandits.types import Prompts

ARRAYS = {
    "user_embedding": [[0, 1], [2, 3], [4, 5], [6, 7]],
    "title": ["Up", "Alien", "Brazil"],
    "item_embedding": [[1.0, 0], [0, 1], [1, 1]],
    "prompts": ["dark", "funny"],
    "prompt_embedding": [[1, 2, 3], [4, 5, 6]],
    "interactions": [[0, 0], [1, 2], [3, 1], [3, 2]],
}


def tables(**changes) -> MovieTables:
    return MovieTables.from_arrays(**(ARRAYS | changes))


def big_tables() -> MovieTables:
    """60 users of whom user u asked for u % 3 + 1 films."""
    generator = np.random.Generator(np.random.Philox(5))
    pairs = [(user, (user + i) % 8) for user in range(60) for i in range(user % 3 + 1)]
    return MovieTables.from_arrays(
        generator.normal(size=(60, 4)),
        [f"film {i}" for i in range(8)],
        generator.normal(size=(8, 2)),
        ["a"],
        [[0]],
        pairs,
    )


def test_tables_know_their_sizes_and_types() -> None:
    made = tables()
    assert (made.n_users, made.n_items, made.n_prompts) == (4, 3, 2)
    assert made.user_embedding.dtype == made.item_embedding.dtype == made.prompts.embedding.dtype == np.float32
    assert made.interactions.dtype == np.int64
    assert repr(made) == "MovieTables(4 users, 3 films, 2 prompts, 4 interactions)"
    assert tables(interactions=None).interactions is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"user_embedding": [[0, 1], [2, np.nan]]},
            "user_embedding: expected finite numbers, got NaN or infinity in row 1",
        ),
        ({"user_embedding": [0, 1]}, r"user_embedding: expected shape \(n, d\)"),
        ({"user_embedding": [["a"]]}, "user_embedding: expected numbers"),
        ({"item_embedding": [[1, 0]]}, "item_embedding: expected 3 rows, got 1"),
        ({"title": ["Up", " ", "x"]}, "title: expected a text that is not empty, got ' ' in row 1"),
        ({"title": ["Up", None, "x"]}, "title: .* got None in row 1"),
        ({"prompts": ["dark", "dark"]}, r"prompts\.text: expected every text once, got 'dark' in rows 0 and 1"),
        ({"prompts": ["dark", ""]}, r"prompts\.text: expected a text that is not empty"),
        ({"prompt_embedding": None}, "prompt_embedding: expected features"),
        ({"interactions": [[0, 0], [4, 0]]}, r"interactions: expected a user in 0 … 3, got 4 in row 1"),
        ({"interactions": [[0, -1]]}, r"interactions: expected a film in 0 … 2, got -1 in row 0"),
        ({"interactions": [[0.5, 1]]}, "interactions: expected integers"),
        ({"interactions": np.zeros((0, 2), int)}, "m >= 1"),
        ({"interaction_reward": np.zeros(3)}, "interaction_reward: expected 4 rows, got 3"),
        ({"interactions": None, "interaction_reward": np.zeros(3)}, "interaction_reward: expected none"),
        ({"year": np.zeros(2, int)}, "year: expected 3 rows, got 2"),
        ({"user_key": np.zeros(3, int)}, "user_key: expected 4 rows, got 3"),
    ],
)
def test_tables_that_do_not_fit_are_refused(changes, message) -> None:
    with pytest.raises(ValueError, match=message):
        tables(**changes)


def test_prompts_without_texts_are_refused() -> None:
    with pytest.raises(ValueError, match=r"prompts\.text: expected the words of every prompt, got none"):
        tables(prompts=Prompts.one_hot(2))


def test_a_subset_of_prompts_keeps_their_ids_and_order() -> None:
    prompts = Prompts.from_embedding(np.arange(40.0)[:, None], [f"p{i}" for i in range(40)])
    some = subset_prompts(prompts, 10, named_generator(3, "n_actions"))
    assert len(some) == 10
    assert some.prompt_id.tolist() == sorted(set(some.prompt_id.tolist()))
    assert some.embedding[:, 0].tolist() == some.prompt_id.tolist()
    assert some.text.tolist() == [f"p{i}" for i in some.prompt_id]
    assert some.same_as(subset_prompts(prompts, 10, named_generator(3, "n_actions")))
    assert not some.same_as(subset_prompts(prompts, 10, named_generator(4, "n_actions")))
    assert subset_prompts(prompts, None, named_generator(0)) is prompts
    with pytest.raises(ValueError, match=r"n_actions: expected 1 … 40 \(the prompts that there are\), got 41"):
        subset_prompts(prompts, 41, named_generator(0))


@pytest.mark.parametrize("ratio", [0.0, 0.3, 0.5, 1.0])
def test_train_and_test_users_are_disjoint_and_all_there(ratio) -> None:
    split = split_users(50, ratio, world_seed=1)
    assert len(split["test"]) == round(50 * ratio)
    assert sorted([*split["train"], *split["test"]]) == list(range(50))


def test_a_smaller_test_split_is_part_of_a_larger_one_and_the_seed_matters() -> None:
    small, large, other = (
        split_users(50, 0.2, 1)["test"],
        split_users(50, 0.5, 1)["test"],
        split_users(50, 0.5, 2)["test"],
    )
    assert set(small) < set(large)
    assert set(large) != set(other)
    with pytest.raises(ValueError, match=r"test_ratio: expected in \[0, 1\], got 1.5"):
        split_users(5, 1.5, 0)


@pytest.mark.parametrize("how", ["interactions", "independent"])
def test_contexts_are_rows_of_the_tables(how) -> None:
    data = big_tables()
    source = MovieContexts(data, how=how)
    assert isinstance(source, ContextQuerySource)
    obs = source.observe(Rounds(0, 0, 500), data.prompts)
    np.testing.assert_array_equal(obs.context, data.user_embedding[obs.user_id])
    np.testing.assert_array_equal(obs.query, data.item_embedding[obs.query_id])
    assert obs.query_text.tolist() == data.title[obs.query_id].tolist()
    assert obs.user_id.dtype == obs.query_id.dtype == np.int64
    assert set(obs.user_id) <= set(source.users)


@pytest.mark.parametrize("how", ["interactions", "independent"])
def test_splits_never_share_a_user(how) -> None:
    data = big_tables()
    seen = [
        set(MovieContexts(data, split, 0.4, 7, how).observe(Rounds(0, 0, 3000), data.prompts).user_id)
        for split in ("train", "test")
    ]
    assert not seen[0] & seen[1]
    assert len(seen[0] | seen[1]) == 60


@pytest.mark.parametrize("how", ["interactions", "independent"])
def test_a_round_does_not_depend_on_its_batch(how) -> None:
    data = big_tables()
    source = MovieContexts(data, how=how)
    whole = source.observe(Rounds(3, 0, 2500), data.prompts)
    for start, n in ((0, 1), (1000, 100), (2499, 1)):
        part = source.observe(Rounds(3, start, n), data.prompts)
        np.testing.assert_array_equal(part.user_id, whole.user_id[start : start + n])
        np.testing.assert_array_equal(part.query_id, whole.query_id[start : start + n])
    scattered = source.observe(Rounds(3, np.array([2000, 5, 1023])), data.prompts)
    np.testing.assert_array_equal(scattered.user_id, whole.user_id[[2000, 5, 1023]])


def test_interaction_rows_are_drawn_uniformly() -> None:
    data = big_tables()
    source = MovieContexts(data, test_ratio=0, how="interactions")
    obs = source.observe(Rounds(0, 0, 60_000), data.prompts)
    n_rows = len(data.interactions)
    share = np.bincount(obs.user_id, minlength=60) / 60_000
    np.testing.assert_allclose(share, (np.arange(60) % 3 + 1) / n_rows, atol=5 * np.sqrt(3 / n_rows / 60_000))
    assert {(u, i) for u, i in zip(obs.user_id, obs.query_id, strict=True)} == set(
        map(tuple, data.interactions.tolist())
    )


def test_independent_contexts_reach_every_user_and_film_alike() -> None:
    data = big_tables()
    obs = MovieContexts(data, test_ratio=0, how="independent").observe(Rounds(0, 0, 60_000), data.prompts)
    count = np.bincount(obs.user_id * 8 + obs.query_id, minlength=480)
    np.testing.assert_allclose(count, 125, atol=5 * np.sqrt(125))


def test_contexts_that_cannot_be_are_refused() -> None:
    data = tables()
    with pytest.raises(ValueError, match="split: expected one of train, test, got 'val'"):
        MovieContexts(data, "val")
    with pytest.raises(ValueError, match="contexts: expected one of interactions, independent, got 'x'"):
        MovieContexts(data, how="x")
    with pytest.raises(
        ValueError, match="split 'test': expected at least one user, got none of 4 users with test_ratio=0"
    ):
        MovieContexts(data, "test", 0)
    with pytest.raises(ValueError, match=r"interactions: expected rows \[user, film\], got none"):
        MovieContexts(tables(interactions=None))
    only = split_users(4, 0.5, 0)["train"][0]
    with pytest.raises(ValueError, match="split 'test': expected interactions of its 2 users, got none"):
        MovieContexts(tables(interactions=[[only, 0]]), "test")


OWN = {
    "users": {"user_id": ["ann", "bob"], "embedding": [[1.0, 2.0], [3.0, 4.0]]},
    "items": {
        "query_id": [70, 50],
        "title": ["Up", "Alien"],
        "year": [2009, None],
        "genres": [["Family", "Comedy"], "Horror"],
    },
    "prompts": {"text": ["funny", "dark"]},
    "interactions": {"user_id": ["bob", "ann", "bob"], "query_id": [50, 70, 70], "reward": [1, 0, 0.5]},
}


class Encoder:
    """(length, number of a's)."""

    def encode(self, texts):
        return np.array([[len(text), text.lower().count("a")] for text in texts])


def own(**changes) -> MovieTables:
    return tables_from(**(OWN | {"encoder": Encoder()} | changes))


def check_own(made: MovieTables) -> None:
    """That they are OWN."""
    np.testing.assert_array_equal(made.user_embedding, [[1, 2], [3, 4]])
    assert made.title.tolist() == ["Up", "Alien"]
    np.testing.assert_array_equal(made.item_embedding, [[2, 0], [5, 1]])
    assert made.prompts.text.tolist() == ["funny", "dark"]
    np.testing.assert_array_equal(made.prompts.embedding, [[5, 0], [4, 1]])
    assert made.interactions.tolist() == [[1, 1], [0, 0], [1, 0]]
    assert made.interaction_reward.tolist() == [1, 0, 0.5]
    assert made.year.tolist() == [2009, 0]
    assert made.genres.tolist() == ["Family|Comedy", "Horror"]
    assert made.user_key.tolist() == ["ann", "bob"]
    assert made.item_key.tolist() == [70, 50]


@pytest.mark.parametrize("users", [["ann", "bob"], [2**40, 7]])
def test_tables_come_back_from_a_folder_as_they_were(users, tmp_path) -> None:
    asked = [users[1], users[0], users[1]]
    made = own(users=OWN["users"] | {"user_id": users}, interactions=OWN["interactions"] | {"user_id": asked})
    write_tables(tmp_path, made)
    found = seal(tmp_path, {}).tables
    assert found.user_key.dtype.kind == made.user_key.dtype.kind
    assert found.user_key.tolist() == users
    check_own(replace(found, user_key=np.array(["ann", "bob"], dtype=object)))


def test_tables_without_ids_of_their_own_come_back_without(tmp_path) -> None:
    write_tables(tmp_path, tables())
    assert (seal(tmp_path, {}).tables.user_key, seal(tmp_path, {}).tables.item_key) == (None, None)


def test_own_tables_as_dicts() -> None:
    check_own(own())


def test_own_tables_as_data_frames() -> None:
    check_own(own(**{name: pd.DataFrame(table) for name, table in OWN.items()}))


def test_own_tables_as_files(tmp_path) -> None:
    files = {}
    for name, table in OWN.items():
        frame = pd.DataFrame(table)
        if name == "interactions":
            frame.to_parquet(tmp_path / f"{name}.parquet")
        elif name == "items":
            (tmp_path / "items.jsonl").write_text(
                "\n".join(
                    json.dumps(row)
                    for row in [
                        {"query_id": 70, "title": "Up", "year": 2009, "genres": ["Family", "Comedy"]},
                        {"query_id": 50, "title": "Alien", "genres": "Horror"},
                    ]
                )
            )
        else:
            frame.to_csv(tmp_path / f"{name}.csv", index=False)
        files[name] = next(tmp_path.glob(f"{name}.*"))
    check_own(own(**files))


def test_ids_are_the_same_as_numbers_texts_and_floats() -> None:
    users = {"user_id": ["1", "2"], "embedding": [[0.0], [1.0]]}
    items = pd.DataFrame({"query_id": [5.0, 6.0], "title": ["a", "b"]})
    made = own(users=users, items=items, interactions={"user_id": [2, 1], "query_id": ["6", "5"]})
    assert made.interactions.tolist() == [[1, 1], [0, 0]]
    assert made.user_key.tolist() == [1, 2]
    assert made.interaction_reward is None


def test_embeddings_in_columns_of_numbers() -> None:
    wide = {"user_id": [1, 2], "embedding_1": [3, 4], "embedding_0": [1, 2]}
    np.testing.assert_array_equal(own(users=wide, interactions=None).user_embedding, [[1, 3], [2, 4]])
    named = {"user_id": [1, 2], "age": [30, 40], "rich": [0, 1], "name": ["a", "b"]}
    made = own(users=named, interactions=None, user_features=["rich", "age"])
    np.testing.assert_array_equal(made.user_embedding, [[0, 30], [1, 40]])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"users": {"name": ["a"]}}, "users: expected columns user_id, got name"),
        ({"users": {"user_id": [1]}}, "users: expected a column embedding, or embedding_0"),
        (
            {"users": {"user_id": [1, 1], "embedding": [[0], [1]]}},
            "users: (.|\n)*row 1: user_id: expected every id once, got '1, as in row 0'",
        ),
        (
            {"users": {"user_id": [1, None], "embedding": [[0], [1]]}},
            "users: (.|\n)*row 1: user_id: expected an id, got None",
        ),
        (
            {"users": {"user_id": [1, 2], "embedding": [[0, 1], [1]]}},
            r"users: (.|\n)*row 1: embedding: expected 2 finite numbers, got \[1\]",
        ),
        ({"users": {"user_id": [1], "embedding_0": ["x"]}}, "row 0: embedding_0: expected a finite number, got 'x'"),
        ({"users": {"user_id": [1], "embedding_1": [0]}}, "users: expected columns embedding_0"),
        (
            {"items": {"query_id": [1], "title": [""]}},
            "items: (.|\n)*row 0: title: expected a text that is not empty, got ''",
        ),
        (
            {"items": {"query_id": [1], "title": ["a"], "year": ["old"]}},
            "row 0: year: expected an integer from 0, got 'old'",
        ),
        ({"items": {"query_id": [], "title": []}}, "items: expected at least one row, got none"),
        (
            {"prompts": {"text": ["a", "b", "a"]}},
            "prompts: (.|\n)*row 2: text: expected every text once, got 'a, as in row 0'",
        ),
        (
            {"interactions": {"user_id": ["cid"], "query_id": [70]}},
            "interactions: (.|\n)*row 0: user_id: expected an id of the table of users, got 'cid'",
        ),
        (
            {"interactions": {"user_id": ["ann"], "query_id": [71]}},
            "row 0: query_id: expected an id of the table of items, got 71",
        ),
        (
            {"interactions": {"user_id": ["ann"], "query_id": [70], "reward": [None]}},
            "row 0: reward: expected a finite number",
        ),
        ({"encoder": None}, "items: expected a column embedding, or embedding_0, …, or an encoder; got neither"),
    ],
)
def test_own_tables_that_do_not_fit_are_told_by_table_row_and_column(changes, message) -> None:
    with pytest.raises(ValueError, match=message):
        own(**changes)


def test_a_table_of_another_file_is_named(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"users\.csv"):
        own(users=tmp_path / "users.csv")
