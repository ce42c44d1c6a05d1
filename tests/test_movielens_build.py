"""From a MovieLens folder to an environment, in every edition's form, with tiny models."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from llm_models import MadeUpModel, save_tiny_model
from movielens_files import EDITIONS, rated_by_taste, write_movielens

from prompt_bandits.llms.bank import NO_PROMPT
from prompt_bandits.llms.post_processing import PostProcessing
from prompt_bandits.llms.requests import GenerationError, Sampling
from prompt_bandits.movie.config import MovieConfig
from prompt_bandits.movie.encoders import load_encoder
from prompt_bandits.movie.folder import MovieFolder, open_folder
from prompt_bandits.movie.movielens.build import build_from_movielens
from prompt_bandits.movie.movielens.catalogue import MovieLensCatalogue, movielens_catalogue
from prompt_bandits.movie.movielens.features import read_descriptions
from prompt_bandits.movie.movielens.ratings import Interactions, RatingRules
from prompt_bandits.movie.movielens.settings import MovieLensSettings, Wording
from prompt_bandits.movie.movielens.writing import Written
from prompt_bandits.movie.rewards.folder import SentenceFeaturizer
from prompt_bandits.movie.rewards.settings import RewardFitting, SentenceRewardFitting
from prompt_bandits.policies import Uniform
from prompt_bandits.types import text_array

RATINGS, FILMS = rated_by_taste(20, 16)
TAGS = [(11, film, tag) for tag in ("Funny ", "scary", "rare") for film, _, _ in FILMS[: 1 if tag == "rare" else 9]]
SETTINGS = MovieLensSettings(
    seed=3,
    rules=RatingRules(min_positive=3, min_negative=3),
    sampling=Sampling(max_new_tokens=6),
    post=PostProcessing(first_line=True),
    n_base_slots=2,
    dim=3,
    sentence=Wording(" ", ".", max_length=20),
    collaborative_filtering=RewardFitting(dim=3, hidden=8, max_epochs=3),
    reward=SentenceRewardFitting(dim=3, hidden=8, max_epochs=3, freeze_base=True, max_length=20),
)


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """A causal language model and a DistilBERT, untrained."""
    from prompt_bandits.movie.building.wordpiece import small_distilbert, train_wordpiece
    from prompt_bandits.movie.rewards.fitting import torch_seed

    folder = tmp_path_factory.mktemp("models")
    save_tiny_model(folder / "llm", pad_token="<pad>")
    tokenizer = train_wordpiece([title for _, title, _ in FILMS] + ["a film, no. 0123456789 (slot)"], 300)
    with torch_seed(0, "tiny"):
        small_distilbert(tokenizer, 16, 1, 2).save_pretrained(folder / "bert")
    tokenizer.save_pretrained(folder / "bert")
    return folder


@pytest.fixture
def prompts(tmp_path) -> Path:
    file = tmp_path / "prompts.csv"
    file.write_text("vocab\nslow\ncosy\nloud\nodd\n")
    return file


def build(models: Path, folder: Path, out: Path, **changes) -> MovieFolder:
    arguments = {
        "llm": f"hf:{models / 'llm'}",
        "reward_encoder": models / "bert",
        "settings": SETTINGS,
        "say": lambda line: None,
    }
    return build_from_movielens(folder, out, **(arguments | changes))


@pytest.mark.slow
def test_every_edition_becomes_the_same_assets_and_an_environment(tmp_path, models, prompts) -> None:
    manifests = []
    for edition in EDITIONS:
        folder = write_movielens(tmp_path / edition, edition, RATINGS, FILMS, TAGS)
        made = build(models, folder, tmp_path / f"{edition}-assets", prompts=prompts)
        manifests.append({name: sha for name, sha in made.manifest["files"].items() if not name.startswith("card")})
    assert all(manifest == manifests[0] for manifest in manifests)
    check_tables(made)
    env = gym.make("MovieDescription-v0", assets=str(made.path), llm=f"hf:{models / 'llm'}", n_slots=2, split="test")
    env.reset(seed=0)
    _, _, _, _, info = env.step(1)
    assert info["prompt"] == "loud"
    assert info["query_text"].startswith("The Épisode")
    assert np.isfinite(info["expected_reward"])


def check_tables(made: MovieFolder) -> None:
    tables = made.tables
    assert tables.prompts.text.tolist() == ["cosy", "loud", "odd", "slow"]
    assert tables.user_embedding.shape[1] == tables.item_embedding.shape[1] == tables.prompts.embedding.shape[1] == 3
    assert set(tables.title) <= {f"The Épisode {film}" for film in range(16)}
    assert set(tables.genres) == {"Comedy|Romance", "Horror|Thriller"}
    assert len(tables.interactions) == 2 * int(tables.interaction_reward.sum()) > 0
    taken = dict(zip(tables.title.tolist(), tables.year.tolist(), strict=True))
    assert all(year == 1960 + int(title.split()[-1]) for title, year in taken.items())
    assert all(about.startswith("likes Comedy") or "likes Horror" in about or not about for about in made.user_about)
    card = (made.path / "card.md").read_text()
    assert f"| {tables.n_users} · {tables.n_items} · 4 |" in card
    assert (made.path / "card" / "reward_distribution.png").stat().st_size > 1000


@pytest.mark.slow
def test_the_bank_plays_without_the_model(tmp_path, models, prompts) -> None:
    """With a sentence for every film, keyword and slot; no prompt is worth nothing on average."""
    from sentence_transformers import SentenceTransformer

    SentenceTransformer(str(models / "bert"), device="cpu").save(str(tmp_path / "sentences"))
    folder = write_movielens(tmp_path / "ml", "25m", RATINGS, FILMS, TAGS)
    settings = replace(SETTINGS, n_slots=2)
    model = MadeUpModel()
    encoder = str(tmp_path / "sentences")
    made = build(models, folder, tmp_path / "out", llm=model, encoder=encoder, prompts=prompts, settings=settings)
    tables, sentences = made.tables, made.sentences
    assert len(sentences.text) == tables.n_items * (2 + 4 * 2)
    assert len(model.asked) == len(sentences.text)
    assert sentences.text[0].startswith("A film. No. ")
    np.testing.assert_allclose(
        SentenceFeaturizer(made.reward).encode(sentences.text), sentences.reward_features, atol=2e-3
    )
    saved = load_encoder(made.encoder)
    assert (saved.prefix, saved.postfix, saved.dim) == (" ", ".", 3)
    np.testing.assert_allclose(saved.encode(sentences.text), sentences.embedding, atol=2e-3)
    of_descriptions = saved.fit(sentences.text[sentences.prompt_id < 0])
    np.testing.assert_allclose(of_descriptions.reduction.components, saved.reduction.components, atol=1e-4)
    simulator = MovieConfig(assets=str(made.path)).build()
    assert np.isfinite(simulator.policy_value(Uniform(), 50).value)
    obs = simulator.observe(simulator.rounds(0, 0, 400))
    bare = simulator.respond(obs, None, simulator.rounds(0, 0, 400))
    assert abs(simulator.expected_reward(obs, bare).mean()) < 0.05


def test_films_keep_their_titles_and_ratings_through_the_filter(tmp_path) -> None:
    folder = write_movielens(tmp_path / "ml", "25m", RATINGS, FILMS[::-1], TAGS)
    made = movielens_catalogue(folder, None, SETTINGS, lambda line: None)
    rows = made.interactions
    assert made.title.tolist() == [f"The Épisode {(key - 1) // 3}" for key in rows.item_key]
    stars = {(user, film): rating for user, film, rating in RATINGS}
    for user, film, reward in zip(rows.user_key[rows.user_id], rows.item_key[rows.item_id], rows.reward, strict=True):
        assert reward == (stars[int(user), int(film)] == 5)


def test_every_rating_reads_one_of_its_films_descriptions() -> None:
    rows = Interactions(np.zeros(90, int), np.arange(90) % 3, np.ones(90), np.arange(1), np.arange(3))
    catalogue = MovieLensCatalogue(
        rows, text_array("abc"), np.zeros(3, int), text_array(["", "", ""]), text_array(["x"])
    )
    texts = text_array(f"{film}{slot}" for film in range(3) for slot in range(2))
    written = Written(np.repeat(np.arange(3), 2), np.full(6, NO_PROMPT), np.tile([0, 1], 3), texts)
    read = read_descriptions(catalogue, written, seed=0)
    assert [int(text[0]) for text in read] == rows.item_id.tolist()
    assert set(read) == set(texts)
    assert read.tolist() == read_descriptions(catalogue, written, seed=0).tolist()


def test_tastes_in_words_by_hand() -> None:
    """User 0 likes half of what they see: comedies, no horror. User 1 likes all alike."""
    rows = Interactions(
        np.array([0, 0, 0, 1, 1]), np.array([0, 1, 2, 0, 1]), np.array([1, 0, 1, 1, 1.0]), np.arange(2), np.arange(3)
    )
    genres = text_array(["Comedy|Drama", "Horror|Drama", ""])
    catalogue = MovieLensCatalogue(rows, text_array("abc"), np.zeros(3, int), genres, text_array(["x"]))
    assert catalogue.tastes_in_words().tolist() == ["likes Comedy; avoids Horror, Drama", ""]


@pytest.mark.slow
def test_own_keywords_are_tags_and_genres_of_the_films_that_are_left(tmp_path, models) -> None:
    folder = write_movielens(tmp_path / "ml", "10m", RATINGS, FILMS, TAGS)
    made = build(models, folder, tmp_path / "out")
    assert made.tables.prompts.text.tolist() == ["comedy", "funny", "horror", "romance", "scary", "thriller"]


def test_a_build_that_dies_while_writing_asks_for_nothing_twice(tmp_path, models, prompts) -> None:
    folder = write_movielens(tmp_path / "ml", "1m", RATINGS, FILMS)
    out = tmp_path / "out"
    arguments = {"prompts": prompts, "encoder": f"states:{models / 'llm'}"}
    dying = MadeUpModel(dies_after=5)
    with pytest.raises(GenerationError, match=r"the server is gone; what had arrived is in .*out.sentences.sqlite"):
        build(models, folder, out, llm=dying, **arguments)
    assert not out.exists()
    going_on = MadeUpModel()
    build(models, folder, out, llm=going_on, **arguments)
    n = len(dying.asked)
    assert len(going_on.asked) == n - 5
    assert (out.parent / "out.sentences.sqlite").is_file()
    again = MadeUpModel()
    build(models, folder, out, llm=again, overwrite=True, **arguments)
    assert not again.asked


def test_a_build_that_dies_later_fits_nothing_twice(tmp_path, models, prompts) -> None:
    folder = write_movielens(tmp_path / "ml", "1m", RATINGS, FILMS)
    lines: list[str] = []
    arguments = {"llm": MadeUpModel(), "prompts": prompts, "encoder": f"states:{models / 'llm'}", "say": lines.append}
    with pytest.raises(TypeError, match="no_such_option"):
        build(models, folder, tmp_path / "out", encoder_options={"no_such_option": 1}, **arguments)
    assert "reward …" in lines
    assert not (tmp_path / "out").exists()
    lines.clear()
    build(models, folder, tmp_path / "out", **arguments)
    assert "reward: done before" in lines
    assert "encoders …" in lines
    assert not list(tmp_path.glob(".out*"))
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["movielens"]["seed"] == 3
    assert manifest["models"]["llm"] == {"model": "made up", "revision": "1"}
    assert manifest["template"]["middle"] == "\nKeyword: "


def test_refused_descriptions_are_counted_and_empty(tmp_path, models, prompts) -> None:
    folder = write_movielens(tmp_path / "ml", "1m", RATINGS, FILMS)
    lines: list[str] = []
    model = MadeUpModel(refuses="Épisode 3")
    made = build(
        models,
        folder,
        tmp_path / "out",
        llm=model,
        prompts=prompts,
        encoder=f"states:{models / 'llm'}",
        say=lines.append,
    )
    assert any("2 refused by the model and empty" in line for line in lines)
    empty = made.sentences.query_id[made.sentences.text == ""]
    assert made.tables.title[empty].tolist() == ["The Épisode 3", "The Épisode 3"]
    assert "| empty sentences | 2 |" in (made.path / "card.md").read_text()


def test_what_is_there_is_not_replaced_unasked(tmp_path, models) -> None:
    with pytest.raises(FileExistsError, match="expected nothing there, or overwrite=True"):
        build(models, tmp_path, tmp_path)


def test_a_model_of_ones_own_needs_an_encoder_by_name(tmp_path, models) -> None:
    with pytest.raises(ValueError, match="encoder: expected a name"):
        build(models, tmp_path, tmp_path / "out", llm=MadeUpModel())


def test_a_whole_folder_is_checked_when_it_is_opened(tmp_path, models, prompts) -> None:
    folder = write_movielens(tmp_path / "ml", "100k", RATINGS, FILMS)
    made = build(
        models, folder, tmp_path / "out", llm=MadeUpModel(), prompts=prompts, encoder=f"states:{models / 'llm'}"
    )
    assert open_folder(made.path).tables.n_prompts == 4
    with (made.path / "bank.parquet").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ValueError, match=r"bank.parquet: expected SHA-256"):
        open_folder(made.path)
