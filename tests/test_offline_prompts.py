"""OfflinePrompts' asset folder: what its files hold, and what is told where they do not fit."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import DistilBertConfig, DistilBertModel, PreTrainedTokenizerFast

from prompt_bandits.movie.contexts import MovieContexts
from prompt_bandits.movie.published.offline_prompts import FILES, holds_offline_prompts, load_offline_prompts
from prompt_bandits.movie.published.reward import load_published_reward
from prompt_bandits.movie.rewards import SentenceReward
from prompt_bandits.movie.rewards.folder import SentenceFeaturizer, load_head
from prompt_bandits.rounds import Rounds
from prompt_bandits.types import Output, text_array

N_USERS, N_ITEMS, N_PROMPTS, DIM, HIDDEN, DIM_LLM = 6, 4, 9, 20, 100, 64
TITLES = ["Matrix, The (1999)", "Amélie (2001)", 'Say "Yes", Now (2000)', "M (1931)"]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "dark", "slow", "tale", "of", "love"]
CONFIG = DistilBertConfig(
    vocab_size=len(WORDS), dim=16, hidden_dim=24, n_layers=2, n_heads=2, max_position_embeddings=32
)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.Generator(np.random.Philox(seed)).standard_normal(shape).astype(np.float32))


def published_state(seed: int = 0) -> dict[str, torch.Tensor]:
    """A state dict named as the published one is."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder = DistilBertModel(CONFIG)
    return {
        **{f"base_model.{name}": tensor for name, tensor in encoder.state_dict().items()},
        "user_embedding.weight": random(N_USERS, DIM, seed=1),
        "item_encoder.weight": random(DIM, 16, seed=2),
        "item_encoder.bias": random(DIM, seed=3),
        "l1.weight": 0.2 * random(HIDDEN, 2 * DIM, seed=4),
        "l1.bias": random(HIDDEN, seed=5),
        "l2.weight": 0.2 * random(1, HIDDEN, seed=6),
        "l2.bias": random(1, seed=7),
        "user_bias.weight": random(N_USERS, 1, seed=8),
        "item_bias.weight": random(N_ITEMS, 1, seed=9),
    }


def write_csv(file: Path, header: list[str], rows: list[list[object]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])


@pytest.fixture
def folder(tmp_path) -> Path:
    """The ten files, small."""
    pairs = [(5, 0), (0, 1), (1, 1), (2, 3), (3, 2), (4, 2), (5, 3)]
    rows = [[u, i, float(u % 2), TITLES[i], f"a slow\ntale {i}"] for u, i in pairs]
    write_csv(
        tmp_path / "movielens_preprocessed_data.csv", ["user_id", "item_id", "reward", "title", "description"], rows
    )
    write_csv(tmp_path / "movielens_query.csv", ["query"], [[title] for title in TITLES])
    write_csv(tmp_path / "movielens_benchmark_prompts.csv", ["vocab"], [[f"word {9 - i}"] for i in range(N_PROMPTS)])
    torch.save(random(N_USERS, DIM, seed=10), tmp_path / "movielens_transformer_user_embeddings.pt")
    torch.save(random(N_ITEMS, DIM, seed=11), tmp_path / "movielens_query_embs.pt")
    torch.save(random(N_PROMPTS, DIM, seed=12), tmp_path / "movielens_prompt_embs.pt")
    torch.save(published_state(), tmp_path / "movielens_distilbert_reward_simulator.pt")
    for seed, kind in enumerate(("query", "prompt", "sentence")):
        torch.save(random(DIM_LLM, DIM, seed=seed), tmp_path / f"movielens_{kind}_pca_matrix.pt")
    return tmp_path


def test_the_folder_loads_as_it_is(folder) -> None:
    assets = load_offline_prompts(folder)
    tables = assets.tables
    assert assets.missing == ()
    assert tables.title.tolist() == TITLES
    assert tables.interactions.tolist() == [[5, 0], [0, 1], [1, 1], [2, 3], [3, 2], [4, 2], [5, 3]]
    assert tables.interaction_reward.tolist() == [1, 0, 1, 0, 1, 0, 1]
    assert assets.description.tolist() == [f"a slow\ntale {i}" for i in range(N_ITEMS)]
    np.testing.assert_array_equal(tables.user_embedding, random(N_USERS, DIM, seed=10))
    np.testing.assert_array_equal(tables.item_embedding, random(N_ITEMS, DIM, seed=11))
    assert {kind: matrix.shape for kind, matrix in assets.pca.items()} == dict.fromkeys(
        ("query", "prompt", "sentence"), (64, 20)
    )
    assert holds_offline_prompts(folder)
    assert not holds_offline_prompts(folder.parent)


def test_actions_are_the_prompts_in_the_files_order(folder) -> None:
    prompts = load_offline_prompts(folder).tables.prompts
    assert prompts.text.tolist() == [f"word {9 - i}" for i in range(N_PROMPTS)]
    np.testing.assert_array_equal(prompts.embedding, random(N_PROMPTS, DIM, seed=12))


def test_a_subset_of_actions_is_seeded_and_keeps_each_prompts_embedding(folder) -> None:
    some = load_offline_prompts(folder, n_actions=4, seed=1).tables.prompts
    assert len(set(some.prompt_id.tolist())) == 4
    assert some.text.tolist() == [f"word {9 - i}" for i in some.prompt_id]
    np.testing.assert_array_equal(some.embedding, random(N_PROMPTS, DIM, seed=12)[some.prompt_id])
    assert some.same_as(load_offline_prompts(folder, n_actions=4, seed=1).tables.prompts)
    assert not some.same_as(load_offline_prompts(folder, n_actions=4, seed=2).tables.prompts)


def test_the_test_users_are_not_the_train_users(folder) -> None:
    tables = load_offline_prompts(folder).tables
    users = [
        set(MovieContexts(tables, split, 0.5, 0, how).observe(Rounds(0, 0, 500), tables.prompts).user_id)
        for split in ("train", "test")
        for how in ("interactions", "independent")
    ]
    assert users[0] == users[1]
    assert users[2] == users[3]
    assert not users[0] & users[2]


def test_the_reward_is_the_published_formula(folder) -> None:
    assets = load_offline_prompts(folder)
    tokenizer = word_tokenizer(folder)
    texts = text_array(["a dark tale", "of love", "slow slow"])
    user, item = np.array([0, 5, 3]), np.array([3, 0, 1])
    featurizer = assets.reward.featurizer(tokenizer, n_heads=2)
    found = assets.reward.head.probability(user, item, featurizer.encode(texts))
    np.testing.assert_allclose(found, by_hand(published_state(), tokenizer, texts, user, item), rtol=1e-5)


def test_the_reward_is_compared_with_the_films_description(folder) -> None:
    assets = load_offline_prompts(folder)
    featurizer = assets.reward.featurizer(word_tokenizer(folder), n_heads=2)
    reward = SentenceReward(assets.reward.head, featurizer, featurizer.encode(assets.description)[:, None])
    obs = MovieContexts(assets.tables).observe(Rounds(0, 0, 20), assets.tables.prompts)
    same = Output(text=assets.description[obs.query_id])
    np.testing.assert_allclose(reward.expected(obs, same), 0, atol=1e-5)
    other = Output(text=text_array(["dark love"] * 20))
    assert np.abs(reward.expected(obs, other)).min() > 0.01


def test_the_reward_saves_as_an_asset_folder(folder, tmp_path) -> None:
    reward, tokenizer = load_offline_prompts(folder).reward, word_tokenizer(folder)
    saved = reward.save(tmp_path / "reward", tokenizer, n_heads=2)
    np.testing.assert_array_equal(load_head(saved).hidden_weight, reward.head.hidden_weight)
    texts = text_array(["a dark tale"])
    expected = reward.featurizer(tokenizer, n_heads=2).encode(texts)
    np.testing.assert_allclose(SentenceFeaturizer(saved).encode(texts), expected, rtol=1e-5)


def word_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    split = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    split.pre_tokenizer = pre_tokenizers.Whitespace()
    split.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return PreTrainedTokenizerFast(
        tokenizer_object=split, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )


def by_hand(state, tokenizer, texts, user, item) -> np.ndarray:
    """σ(l2(ReLU(l1[E_u; ReLU(W·CLS(s) + c)])) + b_u + b_i), in PyTorch."""
    encoder = DistilBertModel(CONFIG).eval()
    encoder.load_state_dict(
        {name.removeprefix("base_model."): t for name, t in state.items() if name.startswith("base_model.")}
    )
    tokens = tokenizer(list(texts), padding=True, return_tensors="pt")
    with torch.no_grad():
        cls = encoder(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"])[0][:, 0]
    features = torch.relu(cls @ state["item_encoder.weight"].T + state["item_encoder.bias"])
    x = torch.cat([state["user_embedding.weight"][user], features], dim=1)
    x = torch.relu(x @ state["l1.weight"].T + state["l1.bias"])
    logit = (x @ state["l2.weight"].T + state["l2.bias"])[:, 0]
    logit += state["user_bias.weight"][user, 0] + state["item_bias.weight"][item, 0]
    return torch.sigmoid(logit).numpy()


def test_every_file_can_be_named_by_itself(folder, tmp_path) -> None:
    elsewhere = {}
    for number, (argument, names) in enumerate(FILES.items()):
        elsewhere[argument] = tmp_path / f"{number}{Path(names[0]).suffix}"
        (folder / names[0]).rename(elsewhere[argument])
    assets = load_offline_prompts(**elsewhere)
    assert assets.missing == ()
    assert assets.tables.title.tolist() == TITLES
    assert assets.reward.head.n_users == N_USERS


def test_a_named_file_takes_the_place_of_the_folders(folder, tmp_path) -> None:
    torch.save(random(N_USERS, 7), tmp_path / "other.pt")
    assert load_offline_prompts(folder, path_to_user_embeddings=tmp_path / "other.pt").tables.user_embedding.shape == (
        6,
        7,
    )
    (folder / "movielens_transformer_user_embeddings.pt").unlink()
    torch.save(random(N_USERS, 3), folder / "movielens_naive_cf_user_embeddings.pt")
    assert load_offline_prompts(folder).tables.user_embedding.shape == (6, 3)


def test_what_is_not_there_is_absent_or_named(folder) -> None:
    for name in (
        "movielens_preprocessed_data.csv",
        "movielens_distilbert_reward_simulator.pt",
        "movielens_query_pca_matrix.pt",
    ):
        (folder / name).unlink()
    assets = load_offline_prompts(folder)
    assert assets.missing == ("path_to_interaction_data", "path_to_finetuned_params", "path_to_query_pca_matrix")
    assert assets.tables.interactions is assets.reward is assets.description is None
    assert sorted(assets.pca) == ["prompt", "sentence"]
    (folder / "movielens_query.csv").unlink()
    (folder / "movielens_prompt_embs.pt").unlink()
    message = r"path_to_queries \(movielens_query.csv\), path_to_prompt_embeddings \(movielens_prompt_embs.pt\)"
    with pytest.raises(FileNotFoundError, match=message):
        load_offline_prompts(folder)
    with pytest.raises(FileNotFoundError, match=r"path_to_finetuned_params .*none.pt"):
        load_offline_prompts(folder, path_to_finetuned_params=folder / "none.pt")
    with pytest.raises(FileNotFoundError, match="expected a folder"):
        load_offline_prompts(folder / "none")


def test_rewards_may_be_called_ratings(folder) -> None:
    file = folder / "movielens_preprocessed_data.csv"
    file.write_text(file.read_text().replace("reward", "rating", 1))
    assert load_offline_prompts(folder).tables.interaction_reward.tolist() == [1, 0, 1, 0, 1, 0, 1]


def test_descriptions_are_absent_where_the_file_has_none(folder) -> None:
    (folder / "movielens_preprocessed_data.csv").write_text("user_id,item_id,reward\n0,1,1\n5,3,0\n")
    assets = load_offline_prompts(folder)
    assert assets.description is None
    assert assets.tables.interactions.tolist() == [[0, 1], [5, 3]]


def test_empty_and_doubled_prompts_go_with_their_embeddings(folder) -> None:
    words = ["b", "", "a", "b", "c", "d", "e", "f", "g"]
    write_csv(folder / "movielens_benchmark_prompts.csv", ["vocab"], [[word] for word in words])
    with pytest.warns(UserWarning, match="2 empty or doubled prompts are left out"):
        prompts = load_offline_prompts(folder).tables.prompts
    assert prompts.text.tolist() == ["b", "a", "c", "d", "e", "f", "g"]
    np.testing.assert_array_equal(prompts.embedding, random(N_PROMPTS, DIM, seed=12)[[0, 2, 4, 5, 6, 7, 8]])


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("movielens_prompt_embs.pt", random(8, 20), r"movielens_prompt_embs.pt: expected 9 rows, .*got 8"),
        ("movielens_query_embs.pt", random(3, 20), "item_embedding: expected 4 rows, got 3"),
        ("movielens_query_embs.pt", [1, 2], r"movielens_query_embs.pt: expected a tensor \(n, d\), got list"),
        ("movielens_sentence_pca_matrix.pt", random(5), r"expected a tensor \(n, d\), got \(5,\)"),
        (
            "movielens_transformer_user_embeddings.pt",
            random(7, 20),
            "expected a reward simulator of 7 users and 4 films, got 6 and 4",
        ),
        (
            "movielens_distilbert_reward_simulator.pt",
            random(7, 20),
            "expected a state dict, tensors by name, got Tensor",
        ),
        ("movielens_query.csv", "a,b\n1,2\n", "movielens_query.csv: expected a column query, got a, b"),
        (
            "movielens_preprocessed_data.csv",
            "user_id,item_id,stars\n1,2,3\n",
            "expected columns user_id, item_id, rating",
        ),
        (
            "movielens_preprocessed_data.csv",
            "user_id,item_id,rating,description\n1,9,3,x\n",
            "interactions: expected a film in 0 … 3, got 9",
        ),
    ],
)
def test_files_that_do_not_fit_are_named(folder, file, content, message) -> None:
    if isinstance(content, str):
        (folder / file).write_text(content)
    else:
        torch.save(content, folder / file)
    with pytest.raises(ValueError, match=message):
        load_offline_prompts(folder)


class Unsafe:
    """Would be run, if anything were."""

    def __reduce__(self):
        return (Path.touch, (Path("should_not_be_there"),))


def test_nothing_in_a_file_is_run(folder, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"x": Unsafe()}, folder / "movielens_query_embs.pt")
    with pytest.raises(
        ValueError, match=r"movielens_query_embs.pt: expected tensors of torch.save and no other objects"
    ):
        load_offline_prompts(folder)
    assert not (tmp_path / "should_not_be_there").exists()


def test_tensors_are_known_by_their_names_ends_or_by_shape(tmp_path) -> None:
    state = published_state()
    renamed = {f"module.{name}": tensor for name, tensor in state.items()}
    renamed["module.emb_u.weight"] = renamed.pop("module.user_embedding.weight")
    renamed["module.mlp.0.weight"], renamed["module.mlp.0.bias"] = (
        renamed.pop("module.l1.weight"),
        renamed.pop("module.l1.bias"),
    )
    torch.save({"state_dict": renamed}, tmp_path / "a.pt")
    torch.save(state, tmp_path / "b.pt")
    found, expected = (load_published_reward(tmp_path / name) for name in ("a.pt", "b.pt"))
    for name, array in expected.head.arrays().items():
        np.testing.assert_array_equal(found.head.arrays()[name], array)
    assert found.encoder_settings() == expected.encoder_settings()
    assert found.encoder_settings(n_heads=2) | {"pad_token_id": 0} == {
        "vocab_size": 10,
        "dim": 16,
        "hidden_dim": 24,
        "n_layers": 2,
        "n_heads": 2,
        "max_position_embeddings": 32,
        "pad_token_id": 0,
    }


def test_a_state_dict_that_does_not_fit_lists_its_tensors(tmp_path) -> None:
    state = published_state()
    torch.save({name: tensor for name, tensor in state.items() if not name.startswith("l2")}, tmp_path / "a.pt")
    message = r"second layer: expected one tensor l2.weight or of shape \(1, h\), got none; the file has user_embedding"
    with pytest.raises(ValueError, match=message):
        load_published_reward(tmp_path / "a.pt")
    torch.save({name: tensor for name, tensor in state.items() if not name.startswith("base")}, tmp_path / "b.pt")
    with pytest.raises(
        ValueError, match=r"expected an encoder with one tensor embeddings.word_embeddings.weight, got 0"
    ):
        load_published_reward(tmp_path / "b.pt")
    torch.save({name: tensor for name, tensor in state.items() if name != "l1.bias"}, tmp_path / "c.pt")
    with pytest.raises(ValueError, match=r"expected l1.bias of shape \(100,\)"):
        load_published_reward(tmp_path / "c.pt")
