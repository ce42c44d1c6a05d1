"""The shipped assets: what is in them, that they are what the recipe says, and that the recipe runs."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from agents.cli.main import main
from prompt_bandits.llms.bank import NO_PROMPT, BankLLM, SentenceBank
from prompt_bandits.llms.requests import Sampling, slot_key
from prompt_bandits.llms.templates import PromptTemplate
from prompt_bandits.movie.building.card import values_figure
from prompt_bandits.movie.building.catalogue import ASPECTS, read_catalogue
from prompt_bandits.movie.building.corpus import ABSENT, ALONG_THE_WAY, AT_HEART, compose, describe
from prompt_bandits.movie.building.pipeline import Build
from prompt_bandits.movie.building.recipe import Recipe
from prompt_bandits.movie.building.users import UserSettings, draw_tastes, read_and_judge
from prompt_bandits.movie.folder import SHIPPED, open_folder
from prompt_bandits.rounds import Rounds, named_generator
from prompt_bandits.types import Observation, Output, Prompts, text_array

MANIFEST = json.loads((SHIPPED / "manifest.json").read_text())
CARD = (SHIPPED / "card.md").read_text()


@pytest.fixture(scope="module")
def folder():
    return open_folder()


def on_card(line: str) -> float:
    found = re.search(rf"\| {line} \| ([\d.]+)", CARD)
    assert found, line
    return float(found[1])


def test_the_catalogue_has_films_and_keywords_enough_in_sorted_order() -> None:
    catalogue = read_catalogue()
    titles, words = [film.query for film in catalogue.films], [keyword.text for keyword in catalogue.keywords]
    assert len(titles) >= 150
    assert len(words) >= 500
    assert titles == sorted(set(titles))
    assert words == sorted(set(words))
    phrases = Counter(phrase for keyword in catalogue.keywords for phrase in keyword.phrases)
    assert set(phrases.values()) == {1}
    for film in catalogue.films:
        assert set(film.strength) <= set(ASPECTS)
        assert 1900 < film.year < 2030
    assert {keyword.aspect for keyword in catalogue.keywords} == set(ASPECTS)


def test_shipped_assets_are_what_the_recipe_would_build() -> None:
    assert MANIFEST["recipe_hash"] == Recipe().hash(), "build the assets anew: prompt-bandits build-movie-assets"
    assert MANIFEST["recipe"] == json.loads(json.dumps(Recipe().to_json()))
    assert Recipe().hash() in CARD


def test_the_recipes_hash_follows_settings_and_not_comments(tmp_path, monkeypatch) -> None:
    from prompt_bandits.movie.building import recipe

    assert Recipe(seed=1).hash() != Recipe().hash()
    before = recipe._code_hash("corpus")
    source = (Path(recipe.__file__).parent / "corpus.py").read_text()
    monkeypatch.setattr(recipe, "__file__", str(tmp_path / "recipe.py"))
    (tmp_path / "corpus.py").write_text(source.replace('"""', '"""More words. ', 1) + "\n\n# a remark\n")
    assert recipe._code_hash("corpus") == before
    (tmp_path / "corpus.py").write_text(source.replace("0.75", "0.70"))
    assert recipe._code_hash("corpus") != before


def test_shipped_assets_are_small() -> None:
    sizes = [file.stat().st_size for file in SHIPPED.rglob("*") if file.is_file()]
    assert max(sizes) < 10e6
    assert sum(sizes) < 25e6


def test_the_card_says_that_the_assets_are_good_enough() -> None:
    assert on_card(r"sentences in which a classifier finds their keyword, of 504") >= 80
    assert on_card("reward simulator, held-out AUC") >= 0.75
    values = {name: float(value) for name, value in re.findall(r"\| ([a-z ]+) \| ([+-][\d.]+) \|", CARD)}
    best, single = values["best prompt for each user and film"], values["best single prompt"]
    assert values["no prompt"] == 0
    assert (best - single) / best >= 0.25
    for plot in re.findall(r"!\[\w[^]]*\]\(([^)]+)\)", CARD):
        assert (SHIPPED / plot).stat().st_size > 1000


@pytest.mark.parametrize("values", [(0.0, -0.13, 0.11, 3.9), (0.0, -5.0, -0.2), (0.0, 0.0, 0.0)])
def test_a_value_of_the_card_stands_beside_its_bar_and_within_the_axes(values) -> None:
    figure = values_figure([(f"policy {i}", value) for i, value in enumerate(values)])
    figure.canvas.draw()
    (axes,) = figure.axes
    inside = axes.get_window_extent()
    for label, bar in zip(axes.texts, axes.patches, strict=True):
        box = label.get_window_extent()
        assert inside.x0 < box.x0
        assert box.x1 <= inside.x1
        assert not box.overlaps(bar.get_window_extent())


def test_the_bank_is_whole(folder) -> None:
    bank = folder.bank
    assert bank.rows.shape == (folder.tables.n_items, folder.tables.n_prompts, 2)
    assert (bank.rows >= 0).all()
    assert (bank.base_rows >= 0).all()
    assert folder.tables.n_users >= 500
    assert list(folder.tables.prompts.text) == sorted(folder.tables.prompts.text)
    assert np.isfinite(bank.embedding).all()


def test_the_bank_holds_what_model_encoder_and_simulator_say(folder) -> None:
    """A sentence of the bank is what the shipped model writes for its film, keyword and slot."""
    from prompt_bandits.llms.huggingface import HuggingFaceLM
    from prompt_bandits.movie.encoders import SentenceTransformerEncoder
    from prompt_bandits.movie.rewards.folder import SentenceFeaturizer

    sentences, tables = folder.sentences, folder.tables
    rows = named_generator(0, "test").permutation(len(sentences.text))[:24]
    template = PromptTemplate(**MANIFEST["template"])
    sampling = Sampling(**{**MANIFEST["sampling"], "stop": tuple(MANIFEST["sampling"]["stop"])})
    requests = []
    for row in rows:
        prompt = int(sentences.prompt_id[row])
        keyword = None if prompt == NO_PROMPT else tables.prompts.text[prompt]
        key = slot_key(int(sentences.slot[row]))
        requests.append(template.request(tables.title[sentences.query_id[row]], keyword, key))
    model = HuggingFaceLM(folder.language_model, dtype="float32", device="cpu")
    written = dict(model.complete(requests, sampling))
    same = [written[i].text.strip() == sentences.text[row] for i, row in enumerate(rows)]
    assert np.mean(same) > 0.9  # one draw on a boundary may flip with the shape of the batch
    encoded = SentenceTransformerEncoder(folder.encoder).encode(sentences.text[rows])
    np.testing.assert_allclose(encoded, sentences.embedding[rows], atol=0.01)
    features = SentenceFeaturizer(folder.reward).encode(sentences.text[rows])
    np.testing.assert_allclose(features, sentences.reward_features[rows], atol=0.02)


def test_a_changed_file_is_refused(tmp_path) -> None:
    copy = tmp_path / "assets"
    shutil.copytree(SHIPPED, copy)
    assert open_folder(copy).tables.n_items > 100
    content = bytearray((copy / "users.parquet").read_bytes())
    content[100] ^= 1
    (copy / "users.parquet").write_bytes(content)
    with pytest.raises(ValueError, match=r"users.parquet: expected SHA-256"):
        open_folder(copy)
    (copy / "users.parquet").unlink()
    with pytest.raises(ValueError, match="no such file"):
        open_folder(copy)
    (copy / "manifest.json").write_text('{"format": 99}')
    with pytest.raises(ValueError, match="expected format 1, got 99"):
        open_folder(copy)
    with pytest.raises(FileNotFoundError, match=r"expected an asset folder with a manifest.json"):
        open_folder(tmp_path)


def test_what_a_sentence_says_follows_relevance() -> None:
    catalogue, generator = read_catalogue(), named_generator(0, "test")
    for film in catalogue.films[:10]:
        for keyword in catalogue.keywords[::20]:
            relevance = keyword.relevance(film)
            levels = {
                describe(catalogue, catalogue.films.index(film), catalogue.keywords.index(keyword), generator).level
            }
            if relevance == 0:
                assert levels <= {ALONG_THE_WAY, ABSENT}
            if relevance >= 2:
                assert levels <= {AT_HEART, ALONG_THE_WAY}
    film, keyword = catalogue.films[0], catalogue.keywords[0]
    for level in (AT_HEART, ALONG_THE_WAY, ABSENT):
        sentence = compose(film, keyword, level, generator)
        assert any(phrase in sentence for phrase in keyword.phrases)
        assert sentence.endswith(".")
        assert "{" not in sentence
        assert not re.search(r"\b[Aa] [aeiou]", sentence)


def test_users_like_what_they_seek() -> None:
    catalogue = read_catalogue().part(20, 48)
    taste = draw_tastes(60, seed=0)
    readings = read_and_judge(catalogue, taste, UserSettings(60, 200, per_film=40), seed=0)
    aspects = np.stack([keyword.aspects() for keyword in catalogue.keywords])
    promised = [item.keyword is not None and item.level == AT_HEART for item in readings.described]
    rows = np.flatnonzero(promised)
    keyword = np.array([readings.described[i].keyword for i in rows])
    fit = np.einsum("nd,nd->n", taste[readings.user_id[rows]], aspects[keyword])
    assert readings.liked[rows][fit > 0.5].mean() > readings.liked[rows][fit < -0.5].mean() + 0.4


def small_bank(missing: bool = False) -> SentenceBank:
    """Two queries × two prompts × two slots, three slots without a prompt."""
    cells = [(q, a, s) for q in range(2) for a in (NO_PROMPT, 0, 1) for s in range(3 if a == NO_PROMPT else 2)]
    if missing:
        cells = [cell for cell in cells if cell[:2] != (1, 1)]
    query, prompt, slot = (np.array(column) for column in zip(*cells, strict=True))
    text = [f"{q} {a} {s}" for q, a, s in cells]
    return SentenceBank.from_columns(query, prompt, slot, text, np.arange(2.0 * len(cells)).reshape(-1, 2), (2, 2))


def asking(query_id: list[int]) -> Observation:
    n = len(query_id)
    prompts = Prompts.from_embedding(np.eye(2), ["short", "long"])
    return Observation(np.zeros((n, 1), np.float32), prompts, query_id=np.array(query_id))


def test_a_bank_gives_a_slot_of_the_film_and_prompt() -> None:
    llm, n = BankLLM(small_bank()), 400
    obs, action = asking([0, 1] * (n // 2)), np.repeat([0, 1], n // 2)
    output = llm.generate(obs, action, Rounds(0, 0, n))
    assert output.text is not None
    for text, query, a in zip(output.text, obs.query_id, action, strict=True):
        assert text.startswith(f"{query} {a} ")
    assert Counter(text[-1] for text in output.text).keys() == {"0", "1"}
    bare = llm.generate(obs, None, Rounds(0, 0, n))
    assert {text.split()[1] for text in bare.text} == {"-1"}
    alone = llm.generate(obs.take(slice(7, 8)), action[7:8], Rounds(0, 7, 1))
    assert alone.text[0] == output.text[7]
    np.testing.assert_array_equal(alone.embedding[0], output.embedding[7])


def test_a_subset_of_the_prompts_finds_its_own_sentences() -> None:
    obs = asking([0, 1])
    only = Prompts(np.array([1]), np.eye(2)[1:], text_array(["long"]))
    some = Observation(obs.context, only, query_id=obs.query_id)
    output = BankLLM(small_bank()).generate(some, np.array([0, 0]), Rounds(0, 0, 2))
    assert [text.split()[1] for text in output.text] == ["1", "1"]
    finite = BankLLM(small_bank()).finite_outputs(some)
    assert finite is not None
    assert finite.rows.shape == (2, 1, 2)


def test_what_is_not_in_the_bank_goes_to_the_fallback() -> None:
    class Writes:
        costly = True

        def generate(self, obs, action, rounds):
            self.asked = (list(obs.query_id), list(action), list(rounds.round_id))
            return Output(np.full((len(obs), 2), -1.0, np.float32), text_array(["new"] * len(obs)))

    fallback = Writes()
    llm = BankLLM(small_bank(missing=True), fallback)
    output = llm.generate(asking([0, 1, 1]), np.array([1, 1, 0]), Rounds(0, 10, 3))
    assert fallback.asked == ([1], [1], [11])
    assert output.text[1] == "new"
    assert output.text[0].startswith("0 1")
    assert llm.costly
    assert llm.finite_outputs(asking([1])) is None
    assert llm.finite_base_outputs(asking([1])) is not None
    with pytest.raises(ValueError, match=r"bank: query 1 with prompt 'long' is not in it"):
        BankLLM(small_bank(missing=True)).generate(asking([1]), np.array([1]), Rounds(0, 0, 1))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"query_id": [0, 2]}, r"bank.query_id: expected 0 … 1"),
        ({"prompt_id": [0, 5]}, r"bank.prompt_id: expected -1 … 1"),
        ({"slot": [0, 0]}, r"bank.slot: expected every slot of a query and prompt once"),
        ({"slot": [0, 2]}, r"bank.slot: expected 0 … 1"),
        ({"text": ["one"]}, r"bank.text: expected 2 rows, got 1"),
    ],
)
def test_a_wrong_bank_is_refused(change, error) -> None:
    columns = {
        "query_id": [0, 0],
        "prompt_id": [0, 0],
        "slot": [0, 1],
        "text": ["one", "two"],
        "embedding": np.zeros((2, 2)),
        **change,
    }
    with pytest.raises(ValueError, match=error):
        SentenceBank.from_columns(**columns, shape=(2, 2))


def test_the_command_says_what_does_not_fit(tmp_path, capsys) -> None:
    assert main(["build-movie-assets", "--out", str(tmp_path)]) == 1
    assert "expected no folder there, or --overwrite" in capsys.readouterr().err
    assert main(["build-movie-assets", "--llm", "hf:x", "--out", str(tmp_path / "new")]) == 2
    assert "--llm: expected --movielens beside it" in capsys.readouterr().err


WORKING = """
import pathlib, sys, time

from prompt_bandits.movie.building.processes import in_processes

def start(folder):
    pathlib.Path(folder, "started").touch()

def work(name):
    print(name, flush=True)
    time.sleep(40)

if __name__ == "__main__":
    in_processes(work, ["one", "two"], start, (sys.argv[1],), "")
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_a_build_that_is_killed(how, tmp_path) -> None:
    script = tmp_path / "working.py"
    script.write_text(WORKING)
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() in ("one\n", "two\n")
    assert (tmp_path / "started").exists()
    process.send_signal(how)
    process.communicate(timeout=20)  # their output ends with the last of them
    assert process.returncode == -how


@pytest.mark.slow
def test_a_tiny_variant_is_built_by_the_same_command_and_goes_on_where_it_stopped(tmp_path, monkeypatch) -> None:
    import gymnasium as gym

    out = tmp_path / "tiny"
    monkeypatch.setattr(Build, "_finish", lambda self: (_ for _ in ()).throw(RuntimeError("stopped")))
    assert main(["build-movie-assets", "--tiny", "--out", str(out)]) == 1
    assert not out.exists()
    draft = next(tmp_path.glob(".tiny.building-*"))
    before = {file: file.stat().st_mtime_ns for file in draft.rglob("*.safetensors")}
    monkeypatch.undo()
    assert main(["build-movie-assets", "--tiny", "--out", str(out)]) == 0
    assert not list(tmp_path.glob(".tiny*"))
    for file, modified in before.items():
        kept = out / file.relative_to(draft)
        assert "work" in str(file) or kept.stat().st_mtime_ns == modified
    made = open_folder(out)
    assert made.tables.n_items == 8
    assert Recipe.tiny().hash() in (out / "card.md").read_text()
    env = gym.make("MovieDescription-v0", assets=str(out))
    env.reset(seed=0)
    assert env.step(0)[4]["sentence"]
    with pytest.raises(FileExistsError):
        Build(out, Recipe.tiny()).run()


def test_opening_the_assets_needs_no_torch() -> None:
    import subprocess

    code = (
        "import gymnasium as gym, prompt_bandits, sys; env = gym.make('MovieDescription-v0'); env.reset(seed=0);"
        "env.step(0); assert not {'torch', 'transformers', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
