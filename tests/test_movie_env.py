"""`MovieDescription-v0` over a handful of made-up films: Gymnasium's rules, rows, the oracle, parts of one's own."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers.vector import DictInfoToList
from llm_models import MadeUpModel, save_tiny_model
from made_up_movies import (
    DIM,
    N_BASE,
    N_FILMS,
    N_PROMPTS,
    N_SLOTS,
    N_USERS,
    TITLES,
    made_up_folder,
    made_up_head,
    made_up_sentences,
    made_up_tables,
)
from packaging.version import Version
from test_offline_prompts import folder as published_folder  # noqa: F401  (a fixture)
from test_offline_prompts import word_tokenizer

import prompt_bandits
from agents import learners
from prompt_bandits import load, save
from prompt_bandits.llms.post_processing import PostProcessing
from prompt_bandits.llms.requests import Sampling
from prompt_bandits.llms.templates import PromptTemplate
from prompt_bandits.llms.text_llm import TextLLM
from prompt_bandits.movie.config import MovieConfig
from prompt_bandits.movie.folder import seal
from prompt_bandits.movie.parts import movie_simulator
from prompt_bandits.movie.published.offline_prompts import FILES
from prompt_bandits.movie.rewards.cf_folder import save_collaborative_filtering
from prompt_bandits.movie.sources import FolderSource
from prompt_bandits.movie.writers import named_llm
from prompt_bandits.policies import EpsilonGreedy, Logits, OracleScore, Softmax, Uniform
from prompt_bandits.registration import MOVIE_ID
from prompt_bandits.rounds import Rounds
from prompt_bandits.text_space import UnicodeText
from prompt_bandits.types import Prompts, text_array
from prompt_bandits.wrappers import RecordBanditDataset, RecordBanditDatasetVector

SOFT = Softmax(Logits(np.arange(N_PROMPTS) / 4))
VARIANTS = [
    {},
    {"flatten_obs": True},
    {"obs_mode": "text"},
    {"obs_mode": "both"},
    {"action_mode": "embedding"},
    {"reward_type": "binary"},
    {"split": "test", "contexts": "independent", "n_actions": 3},
    {"reward": "prompt_cosine"},
    {"reward": "sentence_cosine"},
    {"reward": "collaborative_filtering"},
]


@pytest.fixture(scope="module")
def assets(tmp_path_factory) -> str:
    folder = made_up_folder(tmp_path_factory.mktemp("movies") / "assets")
    films = np.arange(N_FILMS * 5, dtype=np.float32).reshape(N_FILMS, 5) / 30
    save_collaborative_filtering(folder.reward, made_up_head(), films)
    return str(seal(folder.path, {"template": {"prefix": "Title: "}, "sampling": {"max_new_tokens": 8}}).path)


@pytest.fixture
def simulator(assets):
    return MovieConfig(assets=assets).build()


def make(assets, **kwargs):
    return gym.make(MOVIE_ID, assets=assets, **kwargs)


@pytest.mark.parametrize("kwargs", VARIANTS, ids=str)
def test_gymnasium_finds_nothing_to_warn_of(assets, kwargs) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*Box observation space.*infinity.*")
        warnings.filterwarnings("ignore", message=".*Box action spaces.*symmetric and normalized.*")
        check_env(make(assets, **kwargs).unwrapped)


@pytest.mark.parametrize("kwargs", [{}, {"flatten_obs": True}, {"reward_type": "binary"}], ids=str)
def test_stable_baselines_finds_nothing_wrong(assets, kwargs) -> None:
    sb3 = pytest.importorskip("stable_baselines3.common.env_checker")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sb3.check_env(make(assets, **kwargs).unwrapped)


def test_what_the_assets_say_of_the_language_model_holds_where_the_config_says_nothing(tmp_path, monkeypatch) -> None:
    about = {"template": {"prefix": "Title: "}, "sampling": {"max_new_tokens": 8}, "post": {"first_sentence": True}}
    source = FolderSource(seal(made_up_folder(tmp_path / "assets").path, about))
    monkeypatch.setattr(source, "encoder", lambda language_model: object())
    config = MovieConfig(llm="openai:http://localhost/v1#m", post={"unquote": True})
    llm = named_llm(config, source)
    assert llm.post == PostProcessing(first_sentence=True, unquote=True)
    assert (llm.template, llm.sampling) == (PromptTemplate(prefix="Title: "), Sampling(max_new_tokens=8))


@pytest.mark.parametrize("kwargs", VARIANTS, ids=str)
def test_the_spec_survives_json(assets, kwargs) -> None:
    env = make(assets, **kwargs)
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    action = np.zeros(DIM, np.float32) if "action_mode" in kwargs else 1
    for one, other in zip(*[(e.reset(seed=3), e.step(action)) for e in (env, again)], strict=True):
        assert repr(one) == repr(other)
    assert json.loads(env.spec.to_json())["kwargs"] == {"assets": assets, **kwargs}


def test_info_tells_the_round(assets) -> None:
    env = make(assets)
    assert {name: box.shape for name, box in env.observation_space.items()} == {"context": (DIM,), "query": (DIM,)}
    assert env.action_space == gym.spaces.Discrete(N_PROMPTS)
    _, info = env.reset(seed=4)
    assert set(info) == {"seed", "round_id", "user_id", "query_id", "query_text"}
    assert info["query_text"] == TITLES[info["query_id"]]
    _, reward, _, _, info = env.step(3)
    added = {"action", "prompt_id", "prompt", "sentence", "output", "expected_reward", "baseline"}
    assert set(info) == {"seed", "round_id", "user_id", "query_id", "query_text"} | added
    assert info["prompt"] == "keyword 3"
    assert info["sentence"].startswith(f"Film {info['query_id']}, as keyword 3 has it")
    assert abs(reward - info["expected_reward"]) < 0.05 * 5
    assert 0 < info["baseline"] < 10


@pytest.mark.parametrize("kwargs", [{}, {"reward_type": "binary"}, {"obs_mode": "both"}, {"obs_mode": "text"}], ids=str)
def test_single_vector_and_collected_rows_are_one(assets, kwargs) -> None:
    data = prompt_bandits.collect(make(assets, **kwargs), SOFT, 1100, seed=2)
    single = make(assets, **kwargs)
    single.reset(seed=2)
    envs = gym.make_vec(MOVIE_ID, num_envs=7, assets=assets, **kwargs)
    obs, _ = envs.reset(seed=2)
    assert envs.observation_space.contains(obs)
    for start in range(0, 42, 7):
        rows = slice(start, start + 7)
        _, reward, _, _, info = envs.step(data.action[rows])
        final = info["final_info"]
        np.testing.assert_array_equal(reward, data.reward[rows])
        np.testing.assert_array_equal(final["output"], data.output.embedding[rows])
        np.testing.assert_array_equal(final["sentence"], data.output.text[rows])
        for name in ("expected_reward", "baseline"):
            np.testing.assert_array_equal(final[name], data.oracle[name][rows])
        for row in range(start, start + 7):
            seen, alone, _, _, told = single.step(int(data.action[row]))
            assert alone == data.reward[row]
            assert (told["sentence"], told["user_id"]) == (data.output.text[row], data.obs.user_id[row])
            assert seen.get("query_text", told["query_text"]) == data.obs.query_text[row]
            single.reset()


@pytest.mark.parametrize("obs_mode", ["numeric", "text", "both"])
def test_the_wrappers_record_the_rows_of_collect(assets, obs_mode, tmp_path) -> None:
    data = prompt_bandits.collect(make(assets), SOFT, 12, seed=2)
    env = RecordBanditDataset(make(assets, obs_mode=obs_mode), tmp_path / "single", SOFT)
    for row in range(12):
        env.reset(seed=2 if row == 0 else None)
        env.act()
    env.close()
    envs = RecordBanditDatasetVector(gym.make_vec(MOVIE_ID, num_envs=4, assets=assets, obs_mode=obs_mode), None, SOFT)
    envs.reset(seed=2)
    for _ in range(3):
        envs.act()
    assert set(data.oracle) == {"expected_reward", "baseline"}
    assert_same_rows(env.dataset().load(), data)
    assert_same_rows(envs.dataset(), data)


def assert_same_rows(found, expected) -> None:
    columns, others = found._columns(), expected._columns()
    assert set(columns) == set(others)
    for name, column in columns.items():
        np.testing.assert_array_equal(column, others[name], err_msg=name)


@pytest.mark.parametrize("obs_mode", ["text", "both"])
@pytest.mark.parametrize("shared_memory", [True, False, None])
def test_texts_survive_gymnasiums_vectors(assets, obs_mode, shared_memory) -> None:
    mode = {"vectorization_mode": "sync"}
    if shared_memory is not None:
        mode = {"vectorization_mode": "async", "vector_kwargs": {"shared_memory": shared_memory}}
    envs = gym.make_vec(MOVIE_ID, num_envs=3, assets=assets, obs_mode=obs_mode, **mode)
    recorder = RecordBanditDatasetVector(envs, logging_policy=SOFT)
    obs, info = recorder.reset(seed=5)
    seen = []
    for _ in range(11):  # every other step is a dummy, which resets
        assert obs["query_text"] == tuple(info["query_text"])
        assert obs in envs.observation_space
        seen.append(obs["query_text"])
        obs, *_, info = recorder.act()
    data = recorder.dataset()
    recorder.close()
    assert len(set(seen)) > 3
    for i in range(3):
        rows = data.filter(lambda data, i=i: data.seed == 5 + i)
        assert_same_rows(
            replace(rows, policies=()),
            replace(prompt_bandits.collect(make(assets), SOFT, 6, seed=5 + i), policies=()),
        )


@pytest.mark.skipif(Version(gym.__version__) < Version("1.2.3"), reason="DictInfoToList wanted a mask for every entry")
@pytest.mark.parametrize("obs_mode", ["text", "both"])
def test_gymnasiums_vector_wrappers_understand_texts(assets, obs_mode) -> None:
    envs = DictInfoToList(gym.make_vec(MOVIE_ID, num_envs=3, assets=assets, obs_mode=obs_mode))
    first, _ = envs.reset(seed=0)
    *_, infos = envs.step(np.zeros(3, dtype=np.int64))
    assert tuple(info["final_obs"]["query_text"] for info in infos) == first["query_text"]
    assert [info["final_info"]["query_text"] for info in infos] == list(first["query_text"])


def test_text_spaces_hold_every_title_and_sample_some(assets) -> None:
    space = make(assets, obs_mode="text").observation_space
    assert list(space) == ["query_text"]
    assert isinstance(space["query_text"], UnicodeText)
    assert all({"query_text": title} in space for title in TITLES)
    assert space.sample()["query_text"] in TITLES
    assert list(make(assets, obs_mode="both").observation_space) == ["context", "query", "query_text"]


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"flatten_obs": True, "obs_mode": "text"}, ValueError, "flatten_obs: expected False with obs_mode='text'"),
        ({"obs_mode": "words"}, ValueError, "obs_mode: expected one of numeric, text, both, got 'words'"),
        ({"n_action": 3}, TypeError, "unknown argument 'n_action'; did you mean 'n_actions'"),
        ({"n_actions": 10}, ValueError, r"n_actions: expected 1 … 9"),
        ({"n_actions": 0}, ValueError, "n_actions: expected an integer >= 1, got 0"),
        ({"split": "dev"}, ValueError, "split: expected one of train, test, got 'dev'"),
        ({"test_ratio": 1.5}, ValueError, "test_ratio: expected a finite number in 0 … 1, got 1.5"),
        ({"contexts": "all"}, ValueError, "contexts: expected one of interactions, independent"),
        ({"llm": "gpt"}, ValueError, "llm: expected 'bank', 'assets', 'hf:<model id or folder>' or"),
        ({"llm": None}, ValueError, "llm: expected a text, got None"),
        ({"llm": "assets"}, ValueError, "holds no language model"),
        ({"reward": "stars"}, ValueError, "reward: expected one of sentence, collaborative_filtering"),
        ({"reward_type": "ordinal"}, ValueError, "reward_type: expected one of continuous, binary"),
        ({"reward_type": "binary", "reward": "prompt_cosine"}, ValueError, "reward_type: expected 'continuous'"),
        ({"reward_std": -1}, ValueError, "reward_std: expected a finite number >= 0, got -1"),
        ({"replay": True, "llm": "assets"}, ValueError, "cache: expected a file with replay=True"),
        ({"replay": 1}, ValueError, "replay: expected True or False, got 1"),
        ({"template": "Title"}, ValueError, "template: expected values by name or None, got 'Title'"),
        ({"sampling": {"temperature": 0}}, ValueError, "sampling: expected None with llm='bank'"),
        ({"encoder": "x"}, ValueError, "encoder: expected None with llm='bank'"),
        ({"cache": 3}, ValueError, "cache: expected a text or None, got 3"),
        ({"path_to_queries": "a.csv"}, ValueError, "path_to_queries: expected assets=None or OfflinePrompts' folder"),
        ({"assets": "/nowhere"}, FileNotFoundError, "expected an asset folder"),
    ],
)
def test_wrong_arguments_are_named(assets, kwargs, error, message) -> None:
    with pytest.raises(error, match=message):
        gym.make(MOVIE_ID, **{"assets": assets} | kwargs)


def test_text_observations_want_texts() -> None:
    with pytest.raises(ValueError, match="obs_mode: expected 'numeric' where queries have no text, got 'both'"):
        gym.make("PromptPersonalization-Synthetic-v0", n_actions=3, obs_mode="both")


def test_collecting_resumes(assets, tmp_path) -> None:
    whole = prompt_bandits.collect(MOVIE_ID, SOFT, 2500, seed=1, assets=assets, split="test")
    path = tmp_path / "resumed"
    prompt_bandits.collect(MOVIE_ID, SOFT, 700, seed=1, path=path, assets=assets, split="test")
    resumed = prompt_bandits.collect(MOVIE_ID, SOFT, 2500, seed=1, path=path, resume=True, assets=assets, split="test")
    assert_same_rows(resumed.load(), whole)
    with pytest.raises(ValueError, match="environment: expected the one of"):
        prompt_bandits.collect(MOVIE_ID, SOFT, 2600, seed=1, path=path, resume=True, assets=assets)


@pytest.mark.slow
def test_workers_make_the_environment_anew(assets, tmp_path) -> None:
    whole = prompt_bandits.collect(MOVIE_ID, SOFT, 2500, seed=1, assets=assets, split="test")
    shared = prompt_bandits.collect(
        MOVIE_ID, SOFT, 2500, seed=1, path=tmp_path / "shared", workers=2, assets=assets, split="test", progress=False
    ).load()
    assert_same_rows(shared.take(np.argsort(shared.round_id)), whole)


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"reward_type": "binary"},
        {"n_actions": 4},
        {"reward": "prompt_cosine"},
        {"reward": "sentence_cosine"},
        {"reward": "collaborative_filtering"},
    ],
    ids=str,
)
def test_exact_values_are_the_means_over_slots_and_over_samples(assets, kwargs) -> None:
    simulator = MovieConfig(assets=assets, **kwargs).build()
    obs = simulator.observe(simulator.oracle_rounds(60))
    values = simulator.action_values(obs)
    assert values.se is None
    bank, ids = simulator.llm.bank, obs.prompts.prompt_id
    for action in range(simulator.n_actions):
        taken = np.full(60, action)
        slots = [
            simulator.expected_reward(obs, bank.outputs(bank.rows[obs.query_id, ids[action], k]), taken)
            for k in range(N_SLOTS)
        ]
        np.testing.assert_allclose(values.value[:, action], np.mean(slots, axis=0), atol=1e-5)
    np.testing.assert_allclose(simulator.action_value(obs, taken).value, values.value[:, -1], atol=1e-5)

    class Hidden:
        generate = simulator.llm.generate

    sampled = replace(simulator, llm=Hidden()).action_values(obs, n_outputs=300)
    assert (np.abs(sampled.value - values.value) < 5 * sampled.se + 1e-5).all()


def test_nothing_is_gained_without_a_prompt(assets, simulator) -> None:
    value = simulator.no_prompt_value()
    assert value.n == 10_000
    assert abs(value.value) < 1e-6
    np.testing.assert_allclose(simulator.no_prompt_terms(500), 0, atol=1e-5)
    binary = MovieConfig(assets=assets, reward_type="binary").build()
    obs = binary.observe(binary.oracle_rounds(200))
    np.testing.assert_allclose(binary.no_prompt_terms(200), binary.baseline(obs), atol=1e-6)
    np.testing.assert_allclose(simulator.baseline(obs), 10 * binary.baseline(obs), rtol=1e-6)
    assert MovieConfig(assets=assets, reward="prompt_cosine").build().no_prompt_value(100).value == 0


def test_gains_are_ten_times_the_difference_of_probabilities(assets, simulator) -> None:
    binary = MovieConfig(assets=assets, reward_type="binary").build()
    obs = binary.observe(binary.oracle_rounds(200))
    gain = binary.action_values(obs).value - binary.baseline(obs)[:, None]
    np.testing.assert_allclose(simulator.action_values(obs).value, 10 * gain, atol=1e-4)
    rewards = prompt_bandits.collect(binary, Uniform(), 3000).reward
    assert set(rewards) == {0.0, 1.0}
    assert abs(rewards.mean() - binary.uniform_value().value) < 4 * 0.5 / np.sqrt(3000)


def test_the_best_policy_earns_the_best_value_and_played_rewards_agree(simulator) -> None:
    best = EpsilonGreedy(OracleScore(simulator))
    assert simulator.regret(best, 2000).value == pytest.approx(0, abs=1e-6)
    played = prompt_bandits.collect(simulator, best, 20_000).reward
    value = simulator.policy_value(best)
    assert abs(played.mean() - value.value) < 4 * np.hypot(value.se, played.std() / np.sqrt(20_000))


def test_train_and_test_users_are_apart(assets) -> None:
    seen = {}
    for split in ("train", "test"):
        simulator = MovieConfig(assets=assets, split=split, test_ratio=0.3).build()
        data = prompt_bandits.collect(simulator, Uniform(), 600)
        seen[split] = set(data.obs.user_id.tolist())
        asked = {tuple(pair) for pair in made_up_tables().interactions.tolist()}
        assert set(zip(data.obs.user_id.tolist(), data.obs.query_id.tolist(), strict=True)) <= asked
    assert not seen["train"] & seen["test"]
    assert len(seen["test"]) <= round(0.3 * N_USERS) < N_USERS
    other = MovieConfig(assets=assets, split="test", test_ratio=0.3, world_seed=1).build()
    assert set(prompt_bandits.collect(other, Uniform(), 600).obs.user_id.tolist()) != seen["test"]


def test_a_subset_of_prompts_is_drawn_once(assets, simulator, tmp_path) -> None:
    some = [MovieConfig(assets=assets, n_actions=4, world_seed=seed).build().prompts for seed in (0, 0, 1)]
    assert some[0].same_as(some[1])
    assert not some[0].same_as(some[2])
    kept = some[0].prompt_id
    np.testing.assert_array_equal(some[0].text, simulator.prompts.text[kept])
    env = make(assets, n_actions=4)
    env.reset(seed=0)
    *_, info = env.step(2)
    assert info["prompt_id"] == kept[2]
    assert f"as keyword {kept[2]} has it" in info["sentence"]
    stored = prompt_bandits.collect(env, Uniform(), 20, path=tmp_path / "some").load()
    assert stored.prompts.same_as(some[0])


def test_the_card_shows_taste_film_keyword_sentence_and_gain(assets, capsys) -> None:
    env = make(assets, render_mode="ansi")
    _, info = env.reset(seed=0)
    assert f"seeks taste {info['user_id']}" in env.render()
    assert "no prompt" not in env.render()
    *_, info = env.step(3)
    card = env.render()
    for shown in (info["query_text"], "keyword 3", info["sentence"], f"gains {info['expected_reward']:+.3f}"):
        assert shown in card
    human = make(assets, render_mode="human")
    human.reset(seed=0)
    human.step(3)
    assert card in capsys.readouterr().out
    binary = gym.make_vec(MOVIE_ID, num_envs=3, assets=assets, render_mode="ansi", reward_type="binary")
    binary.reset(seed=0)
    *_, info = binary.step(np.array([3, 3, 3]))
    final = info["final_info"]
    for row, card in enumerate(binary.render()):
        assert f"gains {final['expected_reward'][row] - final['baseline'][row]:+.3f}" in card


def test_a_config_saves_and_loads_and_stands_for_its_simulator(assets, tmp_path) -> None:
    config = MovieConfig(assets=assets, n_actions=5, template=None, test_ratio=0.25)
    assert load(save(config, tmp_path / "config")) == config
    score = OracleScore(config.build())
    back = load(save(score, tmp_path / "score"))
    obs = score.simulator.observe(Rounds(0, 0, 10))
    np.testing.assert_array_equal(back.scores(obs), score.scores(obs))


def test_making_and_playing_loads_no_model(assets) -> None:
    code = (
        "import sys, gymnasium, prompt_bandits; from prompt_bandits.policies import Uniform;"
        f"env = gymnasium.make({MOVIE_ID!r}, assets={assets!r}); env.reset(seed=0); env.step(0);"
        "prompt_bandits.collect(env, Uniform(), 10); print(*sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "sentence_transformers", "sklearn", "scipy"} & set(out.stdout.split())


def test_parts_of_ones_own_take_their_places(assets) -> None:
    class Long:
        def expected(self, obs, output):
            return np.array([float(len(text)) for text in output.text])

    simulator = movie_simulator(MovieConfig(assets=assets), reward_model=Long())
    assert simulator.recipe is None
    data = prompt_bandits.collect(simulator, Uniform(), 20)
    np.testing.assert_array_equal(data.oracle["expected_reward"], [len(text) for text in data.output.text])
    with pytest.raises(ValueError, match=r"reward_model.expected"):
        movie_simulator(MovieConfig(assets=assets), reward_model=type("Bad", (), {"expected": lambda *_: None})())


def made_up_llm(**kwargs) -> TextLLM:
    class Lengths:
        def encode(self, texts):
            return np.array([[len(text), *([1.0] * (DIM - 1))] for text in texts], np.float32)

    return TextLLM(MadeUpModel(), encoder=Lengths(), **kwargs)


def own_tables(titles, words):
    tables = made_up_tables()
    return replace(
        tables,
        title=text_array(titles),
        item_embedding=tables.item_embedding[: len(titles)],
        prompts=Prompts.from_embedding(np.eye(len(words), DIM), words),
        interactions=None,
        genres=None,
    )


def test_tables_of_ones_own_are_served_by_the_bank_where_it_knows_them(assets) -> None:
    config = MovieConfig(assets=assets, reward="prompt_cosine", contexts="independent")
    known = own_tables(titles=TITLES[:3:-1], words=["keyword 5", "keyword 0"])
    simulator = movie_simulator(config, tables=known)
    obs = simulator.observe(Rounds(0, 0, 60))
    for action, keyword in ((0, 5), (1, 0)):
        sentences = simulator.respond(obs, np.full(60, action), Rounds(0, 0, 60)).text
        for film, sentence in zip(obs.query_text, sentences, strict=True):
            assert sentence.startswith(f"Film {TITLES.index(film)}, as keyword {keyword} has it")
    assert simulator.action_values(obs).se is None
    with pytest.raises(ValueError, match="with prompt 'unheard of' is not in it; expected a fallback"):
        movie_simulator(config, tables=own_tables(titles=TITLES[:2], words=["keyword 5", "unheard of"]))
    with pytest.raises(ValueError, match="query 'Unknown' with prompt"):
        movie_simulator(config, tables=own_tables(titles=["Unknown"], words=["keyword 5", "keyword 1"]))
    with pytest.raises(ValueError, match=r"reward: expected a reward_model as an object, .* knows its own users"):
        movie_simulator(replace(config, reward="sentence"), tables=known)


@pytest.fixture(scope="module")
def with_models(tmp_path_factory) -> str:
    """Assets with a language model and an encoder."""
    from prompt_bandits.movie.encoders import LLMStateEncoder

    folder = made_up_folder(tmp_path_factory.mktemp("models") / "assets")
    model = save_tiny_model(folder.path / "llm")
    LLMStateEncoder(model, dim=DIM).fit(made_up_tables().prompts.text).save(folder.path / "encoder")
    return str(seal(folder.path, {"template": {"prefix": "Title: "}, "sampling": {"max_new_tokens": 4}}).path)


@pytest.mark.slow
def test_what_the_bank_does_not_know_the_assets_own_model_writes(with_models) -> None:
    config = MovieConfig(assets=with_models, reward="prompt_cosine", contexts="independent")
    tables = own_tables(titles=[TITLES[2], "Unknown"], words=["keyword 5", "unheard of"])
    simulator = movie_simulator(config, tables=tables)
    rounds = Rounds(0, 0, 12)
    obs = simulator.observe(rounds)
    action = np.arange(12) % 2
    output = simulator.respond(obs, action, rounds)
    in_bank = np.array([text.startswith("Film 2, as keyword 5") for text in output.text])
    np.testing.assert_array_equal(in_bank, (obs.query_id == 0) & (action == 0))
    assert len(set(obs.query_id.tolist())) == 2
    assert output.embedding.shape == (12, DIM)
    simulator.llm.fallback.costly = True
    assert simulator.policy_value(Uniform(), 6).n == 6


@pytest.mark.slow
def test_a_language_model_writes_anew_and_a_cache_repeats_it(with_models, tmp_path) -> None:
    kwargs = {"assets": with_models, "llm": "assets", "n_slots": 2, "cache": str(tmp_path / "cache.sqlite")}
    kwargs |= {"sampling": {"max_new_tokens": 3}, "post": {"first_line": True}}
    data = prompt_bandits.collect(MOVIE_ID, SOFT, 6, reward="sentence_cosine", **kwargs)
    assert not any(text.startswith("Film") for text in data.output.text)
    again = prompt_bandits.collect(MOVIE_ID, SOFT, 6, reward="sentence_cosine", replay=True, **kwargs)
    assert_same_rows(again, data)
    with pytest.raises(RuntimeError, match=r"replay: .* are not in"):
        prompt_bandits.collect(MOVIE_ID, SOFT, 6, seed=1, reward="sentence_cosine", replay=True, **kwargs)
    with pytest.raises(ValueError, match="sampling: unknown argument 'temperatur'; did you mean 'temperature'"):
        MovieConfig(assets=with_models, llm="assets", sampling={"temperatur": 1}).build()


def test_an_llm_of_ones_own_is_judged_by_few_outputs(assets) -> None:
    llm = made_up_llm()
    llm.costly = True
    config = MovieConfig(assets=assets, reward="sentence_cosine")
    simulator = movie_simulator(config, llm=llm)
    assert simulator.policy_value(SOFT).n == 1000
    with pytest.raises(ValueError, match="n: expected a number of contexts, since optimal_value asks the LLM"):
        simulator.optimal_value()
    with pytest.warns(UserWarning, match="up to 400 generations"):
        best = simulator.optimal_value(10)
    assert best.value >= simulator.uniform_value(10, n_outputs=64).value


def test_assets_lacking_a_part_say_which(tmp_path) -> None:
    folder = made_up_folder(tmp_path / "assets")
    with pytest.raises(ValueError, match="holds no collaborative filtering"):
        MovieConfig(assets=str(folder.path), reward="collaborative_filtering").build()
    for file in folder.path.glob("bank.*"):
        file.unlink()
    seal(folder.path, {})
    with pytest.raises(ValueError, match=r"llm: expected 'hf:…' or 'openai:…', since .* holds no bank"):
        MovieConfig(assets=str(folder.path)).build()


def test_published_files_make_an_environment(published_folder, tmp_path) -> None:  # noqa: F811
    tokenizer = str(tmp_path / "tokenizer")
    word_tokenizer(published_folder).save_pretrained(tokenizer)
    folder = str(published_folder)
    with pytest.raises(ValueError, match=r"llm: expected 'hf:…' or 'openai:…', since .* holds no bank; got 'bank'"):
        MovieConfig(assets=folder).build()
    with pytest.raises(ValueError, match=r"encoder: expected one by name, since .* holds none; got None"):
        MovieConfig(assets=folder, llm="openai:http://localhost:1/v1#m").build()
    config = MovieConfig(assets=folder, llm="hf:nobody/model", reward_tokenizer=tokenizer, n_actions=4)
    simulator = movie_simulator(config, llm=made_up_llm())
    data = prompt_bandits.collect(simulator, Uniform(), 30)
    assert data.n_actions == 4
    assert set(data.oracle) == {"expected_reward", "baseline"}
    assert np.abs(data.oracle["expected_reward"]).max() <= 10
    whole = movie_simulator(replace(config, n_actions=None), llm=made_up_llm())
    files = {name: str(published_folder / usual[0]) for name, usual in FILES.items()}
    one_by_one = replace(config, assets=None, n_actions=None, **files)
    again = prompt_bandits.collect(movie_simulator(one_by_one, llm=made_up_llm()), Uniform(), 5)
    assert_same_rows(again, prompt_bandits.collect(whole, Uniform(), 5))
    encoder = config.build().llm.encoder
    assert (encoder.dim, encoder.prefix, encoder.postfix, encoder.max_length) == (20, " ", " ", 20)


ALL = [getattr(learners, name) for name in learners.__all__ if isinstance(getattr(learners, name), type)]
SHORT = {"steps": 8, "batch_size": 32}


@pytest.mark.filterwarnings("ignore:.*the model of outputs explains")
@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_every_learner_takes_movie_rounds(assets, cls) -> None:
    simulator = MovieConfig(assets=assets).build()
    data = prompt_bandits.collect(simulator, SOFT, 500)
    names = cls.__dataclass_fields__
    few = {name: value for name, value in (SHORT | {"n_clusters": 3}).items() if name in names}
    for name in ("reward_training", "density_training"):
        if name in names:
            few[name] = replace(getattr(cls(), name), steps=8)
    policy = cls(**few).fit(data, seed=0, simulator=simulator)
    dist = policy.action_dist(data.obs)
    np.testing.assert_allclose(dist.sum(axis=1), 1, atol=1e-4)
    assert np.isfinite(simulator.policy_value(policy, 500).value)


def test_the_made_up_bank_is_what_its_tests_think() -> None:
    sentences = made_up_sentences()
    assert len(sentences.text) == len(set(sentences.text)) == N_FILMS * (N_PROMPTS * N_SLOTS + N_BASE)
