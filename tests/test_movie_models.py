"""Users of the movie task and the features that they read: reward models, how they are fitted, encoders."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from prompt_bandits.movie.encoders import HiddenStates, LLMStateEncoder, SentenceTransformerEncoder, load_encoder
from prompt_bandits.movie.encoders.pca import Reduction
from prompt_bandits.movie.encoders.sentence_network import ContextualSentenceEncoder, Layer, NNSentenceEncoder
from prompt_bandits.movie.encoders.sentence_network_training import (
    SentenceNetworkFitting,
    distance_loss,
    fit_contextual_sentence_network,
    fit_sentence_network,
    sentence_pairs,
)
from prompt_bandits.movie.rewards import (
    CollaborativeFilteringReward,
    PromptCosineReward,
    RewardHead,
    SentenceCosineReward,
    SentenceReward,
    TableFeatures,
)
from prompt_bandits.movie.rewards.fitting import Fitting, fit_epochs, torch_seed
from prompt_bandits.movie.rewards.folder import Projection, SentenceFeaturizer, load_head, save_reward
from prompt_bandits.movie.rewards.nets import SentenceNet, TransformerRewardNet
from prompt_bandits.movie.rewards.quality import held_out_quality
from prompt_bandits.movie.rewards.settings import Ratings, RewardFitting, SentenceRewardFitting
from prompt_bandits.movie.rewards.token_table import (
    Corruption,
    TokenTable,
    batches_by_length,
    permutation_in_groups,
    shuffled_batches,
)
from prompt_bandits.movie.rewards.training import fit_collaborative_filtering, fit_sentence_reward
from prompt_bandits.protocols import BaselineReward, FiniteReward, PromptReward, SentenceEncoder
from prompt_bandits.rounds import Rounds, named_generator
from prompt_bandits.simulator import GaussianNoise, PromptSimulator
from prompt_bandits.types import FiniteOutputs, Observation, Output, Prompts, text_array

WORDS = ["war", "love", "robots", "ghosts"]
FILLER = ["a", "story", "about", "the", "old", "town", "night", "and", "people", "who", "meet", "again"]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def random_head(n_users: int = 7, n_items: int = 5, dim: int = 3, hidden: int = 6, seed: int = 0) -> RewardHead:
    draw = named_generator(seed, "head").standard_normal
    return RewardHead(
        user_embedding=draw((n_users, dim)),
        user_bias=draw(n_users),
        item_bias=draw(n_items),
        hidden_weight=draw((hidden, 2 * dim)),
        hidden_bias=draw(hidden),
        out_weight=draw(hidden),
        out_bias=0.25,
    )


def rounds_of(user_id: list[int], query_id: list[int], **columns: Any) -> Observation:
    n = len(user_id)
    columns = {"context": np.zeros((n, 1), dtype=np.float32), "prompts": Prompts.one_hot(3), **columns}
    return Observation(user_id=np.array(user_id), query_id=np.array(query_id), **columns)


def said(*texts: str, **columns: Any) -> Output:
    return Output(text=text_array(texts), **columns)


# --- the head and the rewards ---


HAND = RewardHead(
    user_embedding=np.array([[1.0], [-2.0]]),
    user_bias=np.array([0.5, 0.0]),
    item_bias=np.array([0.0, -1.0]),
    hidden_weight=np.array([[1.0, 2.0], [-1.0, 1.0]]),
    hidden_bias=np.array([0.0, 0.5]),
    out_weight=np.array([2.0, -3.0]),
    out_bias=0.1,
)


def test_a_probability_is_the_formula_by_hand() -> None:
    # user 0, f = 1: hidden = (1 + 2, −1 + 1 + .5) = (3, .5); 6 − 1.5 + .1 + .5 − 1 = 4.1
    # user 1, f = 0.5: hidden = (−2 + 1, 2 + .5 + .5) → (0, 3); −9 + .1 + 0 + 0 = −8.9
    p = HAND.probability(np.array([0, 1]), np.array([1, 0]), np.array([[1.0], [0.5]]))
    assert p == pytest.approx([sigmoid(4.1), sigmoid(-8.9)], rel=1e-6)


def test_a_row_is_the_same_alone_in_a_batch_and_in_a_table() -> None:
    head, generator = random_head(dim=20, hidden=100), named_generator(1, "rows")
    user_id, query_id = generator.integers(7, size=3000), generator.integers(5, size=3000)
    features = generator.standard_normal((3000, 20)).astype(np.float32)
    hidden = head.sentence_hidden(generator.standard_normal((5, 4, 20)))
    batch, means = head.probability_and_mean(user_id, query_id, features, hidden)
    assert np.array_equal(batch, head.probability(user_id, query_id, features))
    assert np.array_equal(means, head.mean_probability(user_id, query_id, hidden))
    for rows in (slice(0, 1), slice(17, 19), slice(2990, 3000)):
        some = user_id[rows], query_id[rows], features[rows]
        assert np.array_equal(head.probability(*some), batch[rows])
        assert np.array_equal(head.probability_and_mean(*some, hidden)[1], means[rows])
    table = head.probability_table(np.arange(7), 2, features)
    assert np.array_equal(table[3], head.probability(np.full(3000, 3), np.full(3000, 2), features))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("user_bias", np.zeros(6), r"user_bias: expected shape \(7,\), got \(6,\)"),
        ("out_weight", np.zeros(2), r"out_weight: expected shape \(6,\)"),
        ("hidden_weight", np.zeros((6, 3)), r"hidden_weight: expected \(h, more than d_u=3\)"),
        ("item_bias", np.array([1.0, np.nan]), "item_bias: expected finite"),
    ],
)
def test_a_head_refuses_arrays_that_do_not_fit(name: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RewardHead.from_arrays({**random_head().arrays(), name: value})


def test_a_head_refuses_ids_out_of_range_and_other_features() -> None:
    head, features = random_head(), np.zeros((1, 3))
    with pytest.raises(ValueError, match=r"user_id: expected 0 … 6, got -1"):
        head.probability(np.array([-1]), np.array([0]), features)
    with pytest.raises(ValueError, match=r"query_id: expected 0 … 4, got 5"):
        head.probability_table(np.array([0]), 5, features)
    with pytest.raises(ValueError, match=r"features: expected shape \(1, 3\), got \(1, 2\)"):
        head.probability(np.array([0]), np.array([0]), np.zeros((1, 2)))
    with pytest.raises(ValueError, match="reward head: expected arrays"):
        RewardHead.from_arrays({"user_bias": np.zeros(2)})


def sentence_reward(head: RewardHead, binary: bool = False) -> tuple[SentenceReward, Any]:
    """Sentences "a" … "h" of which the film i has i and i + 1 without a prompt."""
    features = named_generator(2, "features").standard_normal((8, head.dim_features)).astype(np.float32)
    table = TableFeatures("abcdefgh", features)
    base = np.stack([features[i : i + 2] for i in range(head.n_items)])
    return SentenceReward(head, table, base, binary), features


def test_a_sentence_is_worth_ten_times_what_it_adds_to_the_mean_without_a_prompt() -> None:
    table = TableFeatures(["x", "y"], np.array([[1.0], [0.5]]))
    reward = SentenceReward(HAND, table, np.array([[[0.0], [1.0]], [[0.0], [0.0]]]))
    obs = rounds_of([0, 1], [1, 0])
    # user 0, film 1, f = 0: hidden = (1, 0); 2 + .1 + .5 − 1 = 1.6, twice
    # user 1, film 0: f = 0: hidden = (0, 2.5); −7.5 + .1 = −7.4.  f = 1: hidden = (0, 3.5); −10.5 + .1 = −10.4
    base = [sigmoid(1.6), (sigmoid(-7.4) + sigmoid(-10.4)) / 2]
    p = [sigmoid(4.1), sigmoid(-8.9)]
    assert reward.expected(obs, said("x", "y")) == pytest.approx(10 * (np.array(p) - base), rel=1e-5)
    assert reward.baseline(obs) == pytest.approx(10 * np.array(base), rel=1e-6)
    binary = SentenceReward(HAND, table, np.zeros((2, 1, 1)), binary=True)
    assert binary.expected(obs, said("x", "y")) == pytest.approx(p, rel=1e-6)


def test_sentences_without_a_prompt_are_worth_nothing_on_average() -> None:
    reward, _ = sentence_reward(random_head())
    obs = rounds_of([0, 3, 6], [0, 4, 2])
    values = [reward.expected(obs, said(*texts)) for texts in ("aec", "bfd")]
    assert np.abs(np.mean(values, axis=0)).max() < 1e-14
    assert np.abs(values[0]).min() > 1e-3


@pytest.mark.parametrize("binary", [False, True])
def test_means_over_finite_outputs_are_those_of_all_sentences_one_by_one(binary: bool) -> None:
    reward, features = sentence_reward(random_head(), binary)
    obs = rounds_of([0, 3, 6, 1, 0], [0, 4, 0, 4, 2])
    rows = named_generator(3, "rows").integers(8, size=(2, 3, 2))
    outputs = FiniteOutputs(np.array([0, 1, 0, 1, 1]), rows, said(*"abcdefgh"))
    every = reward.mean_over_finite(obs, outputs, None)
    for i in range(5):
        one = obs.take(slice(i, i + 1))
        for a in range(3):
            texts = ["abcdefgh"[row] for row in rows[outputs.group[i], a]]
            mean = np.mean([reward.expected(one, said(text))[0] for text in texts])
            assert every[i, a] == pytest.approx(mean, abs=1e-12)
    action = np.array([2, 0, 1, 1, 0])
    given = reward.mean_over_finite(obs, outputs, action)
    assert given == pytest.approx(every[np.arange(5), action], abs=1e-12)
    table = reward.expected_table(np.array([1, 3]), 4, features)
    assert table[1, 5] == pytest.approx(reward.expected(rounds_of([3], [4]), said("f"))[0], abs=1e-12)


def test_rewards_are_what_the_protocols_ask_for() -> None:
    reward, _ = sentence_reward(random_head())
    assert isinstance(reward, FiniteReward)
    assert isinstance(reward, BaselineReward)
    assert isinstance(PromptCosineReward(), PromptReward)
    assert not isinstance(SentenceCosineReward(), (PromptReward, BaselineReward))
    assert isinstance(reward.featurizer, SentenceEncoder)


def test_a_sentence_reward_says_what_it_lacks() -> None:
    reward, _ = sentence_reward(random_head())
    with pytest.raises(ValueError, match="output: expected a text, got none"):
        reward.expected(rounds_of([0], [0]), Output(np.zeros((1, 2))))
    with pytest.raises(ValueError, match="user_id: expected ids"):
        reward.expected(Observation(np.zeros((1, 1)), Prompts.one_hot(2)), said("a"))
    with pytest.raises(ValueError, match=r"baseline_features: expected shape \(5, K0 >= 1, 3\), got \(4, 2, 3\)"):
        SentenceReward(reward.head, reward.featurizer, np.zeros((4, 2, 3)))
    with pytest.raises(ValueError, match="baseline_features: expected finite"):
        SentenceReward(reward.head, reward.featurizer, np.full((5, 2, 3), np.nan))


def test_collaborative_filtering_ignores_the_sentence() -> None:
    item_embedding = np.array([[1.0], [0.5]])
    reward = CollaborativeFilteringReward(HAND, item_embedding)
    obs = rounds_of([0, 1], [0, 1])
    # user 0, film 0, f = 1: 6 − 1.5 + .1 + .5 = 5.1; user 1, film 1, f = .5: −9 + .1 − 1 = −9.9
    expected = [sigmoid(5.1), sigmoid(-9.9)]
    assert reward.expected(obs, said("x", "y")) == pytest.approx(expected, rel=1e-6)
    assert np.array_equal(reward.expected(obs, said("z", "z")), reward.expected(obs, said("x", "y")))
    with pytest.raises(ValueError, match=r"item_embedding: expected shape \(2, 1\)"):
        CollaborativeFilteringReward(HAND, np.zeros((3, 1)))
    with pytest.raises(ValueError, match="query_id: expected 0 … 1, got 2"):
        reward.expected(rounds_of([0], [2]), said("x"))


def test_cosine_rewards_are_the_formulas_by_hand() -> None:
    prompts = Prompts.from_embedding(np.array([[1.0, 0.0], [3.0, 4.0], [0.0, 0.0]]))
    context = np.array([[2.0, 0.0], [0.0, 5.0], [1.0, 1.0]], dtype=np.float32)
    query = np.array([[1.0, 1.0], [0.0, 1.0], [1.0, 0.0]], dtype=np.float32)
    obs = Observation(context, prompts, query)
    output = Output(np.array([[0.0, 1.0], [0.0, 2.0], [-1.0, -1.0]], dtype=np.float32))
    by_prompt = PromptCosineReward()
    assert by_prompt.expected_given(obs, np.array([1, 1, 2]), output) == pytest.approx([60, 80, 0])
    assert np.array_equal(by_prompt.expected(obs, output), np.zeros(3))
    root = math.sqrt(0.5)
    expected = [100 * (0 - root), 0, 100 * (-1 - root)]
    assert SentenceCosineReward().expected(obs, output) == pytest.approx(expected, abs=1e-4)
    encoder = TableFeatures(["x", "y"], np.array([[1.0, 0.0], [0.0, 1.0]]))
    by_text = SentenceCosineReward(encoder).expected(obs, said("x", "x", "y"))
    assert by_text == pytest.approx([100 * (1 - root), -100, 0], abs=1e-4)


def test_cosine_rewards_refuse_what_they_cannot_compare() -> None:
    obs = Observation(np.zeros((1, 2), dtype=np.float32), Prompts.one_hot(3), np.zeros((1, 2), dtype=np.float32))
    with pytest.raises(ValueError, match=r"prompts.embedding: expected as many dimensions as context, \(1, 2\)"):
        PromptCosineReward().expected_given(obs, np.array([0]), said("x"))
    with pytest.raises(ValueError, match="output: expected an embedding"):
        SentenceCosineReward().expected(obs, said("x"))
    with pytest.raises(ValueError, match="query: expected film embeddings"):
        SentenceCosineReward().expected(rounds_of([0], [0]), said("x"))


class Counting:
    """An encoder that remembers what it was asked: a text's features are its length and 1."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def encode(self, texts: Any) -> Any:
        self.asked.append(list(texts))
        return np.array([[len(text), 1.0] for text in texts], dtype=np.float32).reshape(-1, 2)


def test_unknown_sentences_are_asked_for_once_and_known_ones_never() -> None:
    inner = Counting()
    table = TableFeatures(["a", "b", "a"], np.array([[1.0, 2.0], [3.0, 4.0], [9.0, 9.0]]), inner)
    assert np.array_equal(table.encode(text_array("ba")), [[3, 4], [1, 2]])
    assert inner.asked == []
    mixed = table.encode(text_array(["long", "a", "long", "xy"]))
    assert np.array_equal(mixed, [[4, 1], [1, 2], [4, 1], [2, 1]])
    table.encode(text_array(["xy", "new"]))
    assert inner.asked == [["long", "xy"], ["new"]]


def test_a_full_memory_forgets_but_answers() -> None:
    inner = Counting()
    table = TableFeatures((), np.zeros((0, 2)), inner, memo=2)
    table.encode(text_array(["a", "b"]))
    assert np.array_equal(table.encode(text_array(["b", "ccc", "dddd"]))[:, 0], [1, 3, 4])
    table.encode(text_array(["a"]))
    assert inner.asked == [["a", "b"], ["ccc", "dddd"], ["a"]]


def test_a_table_says_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="sentence: expected one of the 1 known, got 'b'"):
        TableFeatures(["a"], np.zeros((1, 2))).encode(text_array("b"))
    with pytest.raises(ValueError, match=r"fallback.encode: expected shape \(1, 3\), got \(1, 2\)"):
        TableFeatures(["a"], np.zeros((1, 3)), Counting()).encode(text_array("b"))
    with pytest.raises(ValueError, match=r"features: expected shape \(1, d\), got \(2, 2\)"):
        TableFeatures(["a"], np.zeros((2, 2)))


# --- tokens ---


def test_padding_is_on_the_right_and_masked() -> None:
    tokens = TokenTable(np.array([5, 6, 7, 8, 9, 10]), np.array([0, 3, 4, 6]), pad_id=1)
    ids, mask = tokens.padded(np.array([1, 2, 0]))
    assert ids.tolist() == [[8, 1, 1], [9, 10, 1], [5, 6, 7]]
    assert mask.sum(axis=1).tolist() == [1, 2, 3]
    taken = tokens.take(np.array([2, 0]))
    assert (taken.ids.tolist(), taken.start.tolist()) == ([9, 10, 5, 6, 7], [0, 2, 5])


def test_batches_hold_every_row_once_and_little_padding() -> None:
    generator = named_generator(0, "lengths")
    length, index = generator.integers(3, 30, size=1000), generator.permutation(1000)[:900]
    for batches in (batches_by_length(length, index, 32), shuffled_batches(length, index, 32, generator)):
        assert sorted(np.concatenate(batches)) == sorted(index)
        assert max(map(len, batches)) == 32
        assert np.mean([length[rows].max() - length[rows].mean() for rows in batches]) < 2
    first = [length[rows].max() for rows in shuffled_batches(length, index, 32, generator)]
    assert first != sorted(first, reverse=True)


def test_rows_of_a_group_stand_side_by_side_but_not_too_many() -> None:
    generator = named_generator(0, "groups")
    group = np.concatenate([np.zeros(40, dtype=int), 1 + np.arange(60)])
    order = permutation_in_groups(group, 4, generator)
    assert sorted(order) == list(range(100))
    runs, longest = 1, 1
    for before, after in zip(group[order], group[order][1:], strict=False):
        runs = runs + 1 if before == after else 1
        longest = max(longest, runs)
    assert 4 <= longest <= 12
    assert np.abs(np.diff(np.flatnonzero(group[order] == 0))).max() > 5


def test_corruption_spares_ends_special_tokens_and_padding() -> None:
    generator = named_generator(0, "corruption")
    special, ordinary = np.array([0, 1, 2, 3]), np.arange(4, 500)
    corruption = Corruption(0.1, 0.1, mask_id=3, special=special, ordinary=ordinary)
    ids = generator.integers(4, 500, size=(2000, 30))
    length = generator.integers(3, 31, size=2000)
    mask = np.arange(30) < length[:, None]
    ids[:, 0], ids[:, 5] = 1, 2
    ids[~mask] = 0
    changed = corruption.apply(ids, mask, generator)
    last = length - 1
    rows = np.arange(2000)
    assert np.array_equal(changed[:, [0, 5]], ids[:, [0, 5]])
    assert np.array_equal(changed[rows, last], ids[rows, last])
    assert np.array_equal(changed[~mask], ids[~mask])
    free = mask & ~np.isin(ids, special)
    free[:, 0] = free[rows, last] = False
    masked, other = (changed == 3) & free, (changed != ids) & (changed != 3)
    assert masked.sum() / free.sum() == pytest.approx(0.1, abs=0.01)
    assert other.sum() / free.sum() == pytest.approx(0.1, abs=0.01)
    assert np.isin(changed[other], ordinary).all()


def test_masking_needs_a_mask_token() -> None:
    bare = SimpleNamespace(mask_token_id=None, all_special_ids=[0])
    with pytest.raises(ValueError, match="mask_rate: expected 0 for a tokenizer without a mask token"):
        Corruption.of(bare, 0.1, 0.1)
    assert Corruption.of(bare, 0.0, 0.0) is None


# --- fitting ---


class Falling(torch.nn.Module):
    """A number that Adam lowers by about lr with every step."""

    def __init__(self) -> None:
        super().__init__()
        self.number = torch.nn.Parameter(torch.zeros(1))
        self.fixed = torch.nn.Parameter(torch.ones(1), requires_grad=False)


def falling_to(scores: list[float], **settings: Any) -> tuple[Falling, Any, list[float]]:
    """Fits for as long as the scripted scores ask, and notes the number at every epoch's end."""
    module, seen = Falling(), []

    def score() -> float:
        seen.append(module.number.item())
        return scores[len(seen) - 1]

    loss = lambda _: (module.number * module.fixed).sum()  # noqa: E731
    curve = fit_epochs(module, lambda _: range(3), loss, score, Fitting(lr=0.1, **settings), label="falling")
    return module, curve, seen


def test_early_stopping_waits_for_patience_and_keeps_the_best_weights() -> None:
    module, curve, seen = falling_to([3, 1, 2, 0.5, 0.6, 0.7, 0.8, 0.1], patience=3)
    assert curve.held_out == (3, 1, 2, 0.5, 0.6, 0.7, 0.8)
    assert curve.best_epoch == 3
    assert module.number.item() == seen[3] != seen[-1]
    assert float(module.fixed) == 1


def test_of_equal_epochs_the_first_is_kept() -> None:
    module, curve, seen = falling_to([2, 1, 1, 1], patience=2)
    assert (curve.best_epoch, len(curve)) == (1, 4)
    assert module.number.item() == seen[1]


def test_epochs_end_at_their_number() -> None:
    module, curve, seen = falling_to([3, 2, 1, 0], max_epochs=2)
    assert len(curve) == 2
    assert module.number.item() == seen[1]
    assert curve.train[0] > curve.train[1]


def test_the_learning_rate_rises_while_it_warms_up() -> None:
    _, _, seen = falling_to([2, 1], max_epochs=2, warmup_steps=4)
    assert seen == pytest.approx([-0.1 * (1 / 4 + 2 / 4 + 3 / 4), -0.1 * (1.5 + 3)], rel=1e-5)


def test_a_loss_that_is_not_finite_is_told() -> None:
    with pytest.raises(FloatingPointError, match="falling: the loss is"):
        falling_to([math.nan])


def test_seeding_leaves_the_global_generator_as_it_was() -> None:
    before = torch.random.get_rng_state()
    with torch_seed(3, "a"):
        first = torch.nn.Linear(2, 2).weight
    with torch_seed(3, "b"):
        other = torch.nn.Linear(2, 2).weight
    with torch_seed(3, "a"):
        again = torch.nn.Linear(2, 2).weight
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Fitting(lr=0), "lr, weight_decay: expected > 0"),
        (lambda: Fitting(patience=0), "patience: expected >= 1, got 0"),
        (lambda: RewardFitting(loss="l1"), "loss: expected one of mse, bce, got 'l1'"),
        (lambda: RewardFitting(validation_fraction=1), "validation_fraction: expected in"),
        (lambda: SentenceRewardFitting(mask_rate=0.95), "random_rate, mask_rate"),
        (lambda: SentenceRewardFitting(base_lr=0), "base_lr: expected > 0 or None"),
        (lambda: SentenceNetworkFitting(alpha=0), "alpha: expected > 0"),
        (lambda: Ratings([0, 1], [0, 0], [0, 2], 2, 1), r"reward: expected values in \[0, 1\]"),
        (lambda: Ratings([0, 2], [0, 0], [0, 1], 2, 1), "user_id: expected 0 … 1, got 0 … 2"),
        (lambda: Ratings([0, 1], [0], [0, 1], 2, 1), "query_id: expected 2 rows"),
        (lambda: Ratings([0], [0], [1], 2, 1), "reward: expected at least 2 rows"),
    ],
)
def test_settings_and_ratings_out_of_range_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def low_rank_ratings(seed: int = 0) -> tuple[Any, Any, Any]:
    """80 users and 60 films of two dimensions, most pairs rated: liking is a matter of both."""
    generator = named_generator(seed, "ratings")
    user, film = generator.standard_normal((80, 2)), generator.standard_normal((60, 2))
    user_id, query_id = np.divmod(generator.permutation(80 * 60)[:4000], 60)
    logit = 3 * (user[user_id] * film[query_id]).sum(axis=1)
    return user_id, query_id, (generator.random(4000) < 1 / (1 + np.exp(-logit))).astype(float)


@pytest.mark.parametrize("loss", ["mse", "bce"])
def test_collaborative_filtering_finds_more_than_biases(loss: str) -> None:
    user_id, query_id, liked = low_rank_ratings()
    settings = RewardFitting(loss=loss, batch_size=128, max_epochs=30, lr=4e-3, dim=8, hidden=32)
    fit = fit_collaborative_filtering(user_id, query_id, liked, 80, 60, settings, seed=1)
    out, train = fit.held_out, ~fit.held_out
    means = [np.bincount(ids[train], liked[train], n) for ids, n in ((user_id, 80), (query_id, 60))]
    counts = [np.bincount(ids[train], minlength=n) for ids, n in ((user_id, 80), (query_id, 60))]
    bias = (means[0] / counts[0])[user_id] / 2 + (means[1] / counts[1])[query_id] / 2
    by_bias = held_out_quality(bias[out], liked[out]).auc
    by_both = held_out_quality(fit.probability(user_id, query_id)[out], liked[out])
    assert out.mean() == pytest.approx(0.2)
    assert by_both.auc > 0.85 > by_bias + 0.2
    assert by_both.calibration_error < 0.12
    reward = CollaborativeFilteringReward(fit.head, fit.item_embedding)
    assert reward.expected(rounds_of([5], [7]), said("x"))[0] == fit.probability(np.array([5]), np.array([7]))[0]


def test_a_fit_repeats_from_its_seed_and_draws_from_no_other() -> None:
    user_id, query_id, liked = low_rank_ratings()
    settings = RewardFitting(max_epochs=2, dim=4, hidden=8)
    before = torch.random.get_rng_state()
    first, again, other = (
        fit_collaborative_filtering(user_id, query_id, liked, 80, 60, settings, seed) for seed in (1, 1, 2)
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert first.curve == again.curve != other.curve
    assert np.array_equal(first.head.user_embedding, again.head.user_embedding)
    assert not np.array_equal(first.held_out, other.held_out)


def word_tokenizer() -> Any:
    """Words by number, [CLS] first and [SEP] last."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {word: i for i, word in enumerate(special + WORDS + FILLER)}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), special, strict=True))
    inputs = ["input_ids", "attention_mask"]  # before transformers 5, token types too unless told
    return PreTrainedTokenizerFast(tokenizer_object=inner, model_max_length=32, model_input_names=inputs, **names)


def small_base(tokenizer: Any, seed: int = 0, **changed: Any) -> Any:
    """A DistilBERT of one layer."""
    from transformers import DistilBertConfig, DistilBertModel

    sizes = {"dim": 32, "hidden_dim": 64, "n_layers": 1, "n_heads": 2, "max_position_embeddings": 32, "dropout": 0.0}
    with torch_seed(seed, "base"):
        return DistilBertModel(
            DistilBertConfig(vocab_size=len(tokenizer), **{"initializer_range": 0.15, **sizes, **changed})
        )


def word_lovers(n: int = 2400) -> tuple[Any, Any, list[str], Any]:
    """40 users who like one of four words each; half the sentences about a film have the film's own word."""
    generator = named_generator(0, "word lovers")
    user_id, query_id, word = (generator.integers(high, size=n) for high in (40, 8, 4))
    word = np.where(generator.random(n) < 0.5, query_id % 4, word)
    sentences = []
    for index in word:
        words = list(generator.choice(FILLER, size=generator.integers(2, 5)))
        words.insert(int(generator.integers(len(words) + 1)), WORDS[index])
        sentences.append(" ".join(words))
    p = np.where(user_id % 4 == word, 0.95, 0.05)
    return user_id, query_id, sentences, (generator.random(n) < p).astype(float)


@pytest.fixture(scope="module")
def loved() -> Any:
    """The word lovers, and what was fitted to them."""
    user_id, query_id, sentences, liked = word_lovers()
    tokenizer = word_tokenizer()
    first = RewardFitting(dim=8, hidden=32, batch_size=64, lr=3e-3, max_epochs=20)
    start = fit_collaborative_filtering(user_id, query_id, liked, 40, 8, first, seed=4)
    settings = SentenceRewardFitting(dim=8, hidden=32, lr=4e-3, max_epochs=12, patience=12, max_length=16)
    base = small_base(tokenizer)
    before = {name: value.clone() for name, value in base.state_dict().items()}
    fit = fit_sentence_reward(user_id, query_id, sentences, liked, base, tokenizer, start.head, settings, seed=4)
    return SimpleNamespace(**locals())


def probability(fit: Any, user_id: Any, query_id: Any, sentences: list[str]) -> Any:
    return fit.head.probability(user_id, query_id, fit.featurizer().encode(text_array(sentences)))


def test_a_reward_from_sentences_learns_which_user_likes_which_word(loved: Any) -> None:
    p = probability(loved.fit, loved.user_id, loved.query_id, loved.sentences)
    out = loved.fit.held_out
    by_start = loved.start.probability(loved.user_id, loved.query_id)
    found = held_out_quality(p[out], loved.liked[out]).auc
    assert found > 0.8
    assert found > held_out_quality(by_start[out], loved.liked[out]).auc + 0.1
    assert loved.fit.curve.held_out[loved.fit.curve.best_epoch] < 0.17


def test_both_fits_hold_out_the_same_rows(loved: Any) -> None:
    assert np.array_equal(loved.start.held_out, loved.fit.held_out)


def test_held_out_rows_teach_nothing(loved: Any) -> None:
    def fitted(liked: Any) -> list[Any]:
        columns = loved.user_id, loved.query_id
        first = RewardFitting(dim=8, hidden=32, max_epochs=1)
        cf = fit_collaborative_filtering(*columns, liked, 40, 8, first, seed=4)
        one = SentenceRewardFitting(dim=8, hidden=32, max_epochs=1, batch_size=256)
        start = loved.start.head
        fit = fit_sentence_reward(*columns, loved.sentences, liked, loved.base, loved.tokenizer, start, one, seed=4)
        return [cf.head.hidden_weight, fit.head.hidden_weight, fit.projection.weight]

    out, as_it_is = loved.fit.held_out, fitted(loved.liked)
    others = fitted(np.where(out, 1 - loved.liked, loved.liked))
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(as_it_is, others, strict=True))
    others = fitted(np.where(out, loved.liked, 1 - loved.liked))
    assert not any(np.allclose(ours, theirs, atol=1e-4) for ours, theirs in zip(as_it_is, others, strict=True))


@pytest.mark.parametrize("frozen", [True, False])
def test_a_frozen_base_has_no_dropout_and_no_gradient(frozen: bool) -> None:
    net = TransformerRewardNet(small_base(word_tokenizer()), 5, 4, 6, 7, freeze_base=frozen).train()
    assert net.base.training is not frozen
    assert net.training
    assert all(value.requires_grad is not frozen for value in net.base.parameters())


def test_the_given_base_is_left_as_it_was_and_its_copy_is_fitted(loved: Any) -> None:
    fitted = loved.fit.base.state_dict()
    assert all(torch.equal(value, loved.before[name]) for name, value in loved.base.state_dict().items())
    assert not all(torch.equal(value, loved.before[name]) for name, value in fitted.items())


def test_the_head_in_numpy_is_the_network_in_pytorch() -> None:
    tokenizer = word_tokenizer()
    with torch_seed(0, "net"):
        net = TransformerRewardNet(small_base(tokenizer), 5, 4, 6, 7).eval()
        net.head.start_from(random_head(5, 4, 6, 7), layers=True)
    texts = ["war story", "the old town and love again", "robots"]
    ids, mask = TokenTable.of(texts, tokenizer).padded(np.arange(3))
    user_id, query_id = np.array([0, 4, 2]), np.array([3, 1, 0])
    with torch.no_grad():
        logit = net(*map(torch.from_numpy, (user_id, query_id, ids, mask)))
    projection = Projection(*(value.detach().numpy() for value in (net.projection.weight, net.projection.bias)))
    features = SentenceFeaturizer.of(net.base, tokenizer, projection, 16).encode(text_array(texts))
    ours = net.head.as_arrays().probability(user_id, query_id, features)
    assert ours == pytest.approx(logit.sigmoid().numpy(), abs=1e-6)
    assert (features >= 0).all()
    assert (features == 0).any()


def test_a_frozen_base_stays_as_it_is_and_the_rest_is_fitted(loved: Any) -> None:
    settings = SentenceRewardFitting(
        dim=8, hidden=32, max_epochs=10, lr=1e-2, freeze_base=True, random_rate=0.0, mask_rate=0.0
    )
    columns = loved.user_id, loved.query_id, loved.sentences, loved.liked
    fit = fit_sentence_reward(*columns, loved.base, loved.tokenizer, loved.start.head, settings, seed=4)
    assert all(torch.equal(value, loved.before[name]) for name, value in fit.base.state_dict().items())
    assert all(value.requires_grad for value in loved.base.parameters())
    assert min(fit.curve.held_out) < fit.curve.held_out[0] - 0.005
    noisy = SentenceRewardFitting(dim=8, hidden=32, max_epochs=1, freeze_base=True)
    once = fit_sentence_reward(*columns, loved.base, loved.tokenizer, loved.start.head, noisy, seed=4)
    assert all(torch.equal(value, loved.before[name]) for name, value in once.base.state_dict().items())


@pytest.mark.parametrize("layers", [True, False])
def test_a_sentence_fit_starts_where_collaborative_filtering_ended(loved: Any, layers: bool) -> None:
    columns = loved.user_id, loved.query_id, loved.sentences, loved.liked
    still = SentenceRewardFitting(
        dim=8, hidden=32, lr=1e-9, max_epochs=1, freeze_base=True, mask_rate=0, random_rate=0, start_layers=layers
    )
    fit = fit_sentence_reward(*columns, loved.base, loved.tokenizer, loved.start.head, still)
    ours, theirs = fit.head.arrays(), loved.start.head.arrays()
    same = {name for name in ours if np.allclose(ours[name], theirs[name], atol=1e-5)}
    users = {"user_embedding", "user_bias", "item_bias"}
    assert same == (set(ours) if layers else users)


def test_a_sentence_fit_repeats_from_its_seed(loved: Any) -> None:
    columns = loved.user_id[:300], loved.query_id[:300], loved.sentences[:300], loved.liked[:300]
    settings = SentenceRewardFitting(dim=8, hidden=32, max_epochs=2)
    base = small_base(loved.tokenizer, dropout=0.1)
    first, again = (
        fit_sentence_reward(*columns, base, loved.tokenizer, loved.start.head, settings, seed=1) for _ in range(2)
    )
    assert first.curve == again.curve
    assert np.array_equal(first.projection.weight, again.projection.weight)


def test_steps_of_an_epoch_can_be_few(loved: Any) -> None:
    columns = loved.user_id, loved.query_id, loved.sentences, loved.liked
    few = SentenceRewardFitting(dim=8, hidden=32, max_epochs=1, steps_per_epoch=2, batch_size=8)
    fit = fit_sentence_reward(*columns, loved.base, loved.tokenizer, loved.start.head, few)
    drift = np.abs(fit.head.user_embedding - loved.start.head.user_embedding).max(axis=1)
    assert 1 <= (drift > 1e-6).sum() <= 16


def test_a_sentence_fit_refuses_rows_and_dimensions_that_do_not_fit(loved: Any) -> None:
    columns = loved.user_id, loved.query_id, loved.sentences[:-1], loved.liked
    with pytest.raises(ValueError, match="sentence: expected 2400 rows, got 2399"):
        fit_sentence_reward(*columns, loved.base, loved.tokenizer, loved.start.head, loved.settings)
    with pytest.raises(ValueError, match="dim: expected 8, as the head to start from, got 20"):
        fit_sentence_reward(*columns, loved.base, loved.tokenizer, loved.start.head)
    with pytest.raises(ValueError, match="hidden: expected 32, as the head to start from, got 100"):
        fit_sentence_reward(*columns, loved.base, loved.tokenizer, loved.start.head, SentenceRewardFitting(dim=8))


def test_a_saved_reward_gives_the_same_numbers(loved: Any, tmp_path: Path) -> None:
    folder = loved.fit.save(tmp_path / "reward")
    head, featurizer = load_head(folder), SentenceFeaturizer(folder)
    assert {file.name for file in folder.iterdir()} == {"head.safetensors", "projection.safetensors", "encoder"}
    for name, array in loved.fit.head.arrays().items():
        assert np.array_equal(array, head.arrays()[name]), name
    texts = text_array(["war and people", "love", "war and people"])
    saved, fresh = featurizer.encode(texts), loved.fit.featurizer().encode(texts)
    assert saved == pytest.approx(fresh, abs=1e-6)
    assert np.array_equal(saved[0], saved[2])
    assert saved.shape == (3, featurizer.dim)
    assert featurizer.encode(text_array([])).shape == (0, 8)
    assert featurizer.encode(texts[1:2]) == pytest.approx(saved[1:2], abs=1e-5)


def test_sentences_are_cut_at_the_length_that_was_saved(loved: Any, tmp_path: Path) -> None:
    projection = loved.fit.projection
    folder = save_reward(tmp_path, loved.fit.head, loved.base, loved.tokenizer, projection, max_length=4)
    featurizer = SentenceFeaturizer(folder)
    cut = featurizer.encode(text_array(["war love ghosts", "war love robots", "war love", "war"]))
    assert cut[:3] == pytest.approx(np.tile(cut[2], (3, 1)), abs=1e-6)
    assert not np.allclose(cut[3], cut[2], atol=1e-4)


def test_damaged_and_absent_reward_folders_are_told(loved: Any, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="expected a reward simulator's file"):
        load_head(tmp_path)
    folder = loved.fit.save(tmp_path / "reward")
    (folder / "head.safetensors").write_bytes(b"no")
    with pytest.raises(ValueError, match="damaged"):
        load_head(folder)


def test_a_head_loads_without_pytorch(loved: Any, tmp_path: Path) -> None:
    folder = loved.fit.save(tmp_path / "reward")
    code = (
        "import sys; import prompt_bandits.movie.rewards; from prompt_bandits.movie.rewards.folder import *;"
        f"load_head({str(folder)!r}); SentenceFeaturizer({str(folder)!r});"
        "from prompt_bandits.movie.encoders import sentence_network_training;"
        "from prompt_bandits.movie.rewards import fitting, quality, training;"
        "print(*sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "transformers", "sklearn", "scipy", "pandas"} & set(out)


def test_quality_is_what_it_is_by_hand() -> None:
    p, liked = np.array([0.1, 0.3, 0.4, 0.8]), np.array([0, 1, 0, 1])
    quality = held_out_quality(p, liked, bins=2)
    assert quality.auc == 0.75
    assert quality.brier == pytest.approx((0.01 + 0.49 + 0.16 + 0.04) / 4)
    assert [(one.predicted, one.observed, one.n) for one in quality.bins] == [
        (pytest.approx(0.2), 0.5, 2),
        (pytest.approx(0.6), 0.5, 2),
    ]
    assert quality.calibration_error == pytest.approx(0.2)
    assert "AUC 0.750" in str(quality)
    with pytest.raises(ValueError, match="liked: expected 0 and 1, both of them"):
        held_out_quality(p, np.ones(4))
    with pytest.raises(ValueError, match="probability: expected"):
        held_out_quality(p + 1, liked)


# --- encoders ---


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Folders of a causal model, an encoder with ends, and a sentence-transformers model."""
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2Model, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("models")
    tokenizer = word_tokenizer()
    small_base(tokenizer).save_pretrained(folder / "encoder")
    tokenizer.save_pretrained(folder / "encoder")
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(["?", *WORDS, *FILLER])}, unk_token="?"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="?").save_pretrained(folder / "causal")
    with torch_seed(0, "causal"):
        config = GPT2Config(vocab_size=32, n_positions=32, n_embd=16, n_layer=2, n_head=2)
        GPT2Model(config).save_pretrained(folder / "causal")
    sentence = SentenceTransformer(modules=sentence_modules(folder / "encoder"), device="cpu")
    sentence.half().save_pretrained(str(folder / "sentence"))
    return folder


def sentence_modules(folder: Path) -> list[Any]:
    """A transformer with mean pooling."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sentence_transformers.models import Pooling, Transformer
    return [Transformer(str(folder)), Pooling(32, pooling_mode="mean")]


TEXTS = text_array(["war", "the old town and love again", "robots meet people", "", "ghosts at night", "love love"])


@pytest.mark.parametrize("name", ["causal", "encoder", "sentence"])
def test_a_text_is_encoded_alone_as_in_a_batch(models: Any, name: str) -> None:
    kind = SentenceTransformerEncoder if name == "sentence" else LLMStateEncoder
    encoder = kind(models / name, prefix="a story about ", postfix=" and", device="cpu")
    batch = encoder.encode(TEXTS)
    assert batch.dtype == np.float32
    for i in range(len(TEXTS)):
        assert encoder.encode(TEXTS[i : i + 1]) == pytest.approx(batch[i : i + 1], abs=2e-6)
    assert np.array_equal(encoder.encode(text_array([TEXTS[1], TEXTS[0], TEXTS[1]])), batch[[1, 0, 1]])
    assert encoder.encode(text_array([])).shape == (0, batch.shape[1])


def test_states_are_the_mean_over_one_tokenised_text(models: Any) -> None:
    from transformers import AutoModel, AutoTokenizer

    encoder = LLMStateEncoder(models / "encoder", prefix="the ", postfix=" again", device="cpu")
    tokens = AutoTokenizer.from_pretrained(models / "encoder")(["the war story again"], return_tensors="pt")
    assert tokens["input_ids"][0, [0, -1]].tolist() == [2, 3]
    assert len(tokens["input_ids"][0]) == 6
    with torch.no_grad():
        states = AutoModel.from_pretrained(models / "encoder").eval()(**tokens).last_hidden_state
    found = encoder.encode(text_array(["war story", "the old town and people who meet"]))
    assert found[0] == pytest.approx(states[0].mean(dim=0).numpy(), abs=1e-6)


def test_a_text_without_a_token_has_states_of_zero(models: Any) -> None:
    encoder = LLMStateEncoder(models / "causal", device="cpu")
    states = encoder.encode(text_array(["", "war"]))
    assert not states[0].any()
    assert states[1].any()
    assert not encoder.encode(text_array([""])).any()


@pytest.mark.parametrize("name", ["causal", "sentence"])
def test_long_texts_are_cut_and_the_words_around_them_are_not(models: Any, name: str) -> None:
    kind = SentenceTransformerEncoder if name == "sentence" else LLMStateEncoder
    encoder = kind(models / name, prefix="the ", postfix=" again", max_length=2, device="cpu")
    whole = kind(models / name, device="cpu")
    cut = encoder.encode(text_array(["old town and love", "war"]))
    assert cut == pytest.approx(whole.encode(text_array(["the old town again", "the war again"])), abs=2e-6)


@pytest.mark.parametrize("name", ["causal", "sentence"])
def test_principal_components_are_centred_alike_in_fit_and_encode(models: Any, name: str) -> None:
    kind = SentenceTransformerEncoder if name == "sentence" else LLMStateEncoder
    encoder = kind(models / name, dim=3, device="cpu")
    with pytest.raises(ValueError, match=r"expected fit\(texts\) before encode"):
        encoder.encode(TEXTS)
    fitted = encoder.fit(TEXTS)
    features = fitted.encode(TEXTS)
    assert features.shape == (6, 3)
    assert np.abs(features.mean(axis=0)).max() < 1e-5
    states = encoder.states(TEXTS)
    centred = states - states.mean(axis=0)
    singular = np.linalg.svd(centred, compute_uv=False)[:3]
    assert np.linalg.norm(features, axis=0) == pytest.approx(singular, rel=1e-3)
    assert encoder.reduction is None
    with pytest.raises(ValueError, match="dim: expected 1 … 2"):
        encoder.fit(text_array(["war", "love", "war"]))


@pytest.mark.parametrize("name", ["causal", "sentence"])
def test_a_saved_encoder_gives_the_same_numbers(models: Any, name: str, tmp_path: Path) -> None:
    kind = SentenceTransformerEncoder if name == "sentence" else LLMStateEncoder
    encoder = kind(models / name, prefix="the ", max_length=4, dim=2, device="cpu").fit(TEXTS)
    folder = encoder.save(tmp_path / "encoder")
    loaded = load_encoder(folder, device="cpu")
    assert type(loaded) is kind
    assert np.array_equal(loaded.encode(TEXTS), encoder.encode(TEXTS))
    assert loaded.identity == encoder.identity
    assert loaded.identity != kind(models / name, dim=2).identity
    assert kind.load(folder, prefix="").prefix == ""
    other = LLMStateEncoder if name == "sentence" else SentenceTransformerEncoder
    with pytest.raises(ValueError, match="expected an encoder of kind"):
        other.load(folder)
    assert isinstance(load_encoder(models / "sentence"), SentenceTransformerEncoder)
    with pytest.raises(FileNotFoundError, match=r"expected a saved encoder with a file encoder\.json"):
        kind.load(tmp_path)


def test_a_bare_matrix_projects_without_centring(models: Any, tmp_path: Path) -> None:
    matrix = named_generator(0, "matrix").standard_normal((16, 4)).astype(np.float32)
    torch.save(torch.from_numpy(matrix), tmp_path / "pca.pt")
    encoder = LLMStateEncoder.from_matrix(models / "causal", tmp_path / "pca.pt", prefix="a ", device="cpu")
    states = LLMStateEncoder(models / "causal", prefix="a ", device="cpu").encode(TEXTS)
    assert encoder.encode(TEXTS) == pytest.approx(states @ matrix, abs=1e-5)
    assert encoder.dim == 4
    torch.save({"a": torch.zeros(2)}, tmp_path / "dict.pt")
    with pytest.raises(ValueError, match=r"expected a matrix \(D, d\), got dict"):
        Reduction.from_matrix(tmp_path / "dict.pt")
    torch.save(SimpleNamespace(a=1), tmp_path / "object.pt")
    with pytest.raises(ValueError, match="and no other objects"):
        Reduction.from_matrix(tmp_path / "object.pt")
    with pytest.raises(ValueError, match="pca: expected features of 3 dimensions, got 16"):
        LLMStateEncoder.from_matrix(models / "causal", np.zeros((3, 2)), device="cpu").encode(TEXTS)


def test_encoders_can_share_a_model_and_their_identity_is_their_content(models: Any, tmp_path: Path) -> None:
    import shutil

    shared = HiddenStates(models / "causal", device="cpu")
    query, sentence = LLMStateEncoder(shared, prefix="the "), LLMStateEncoder(shared, dim=2)
    assert query.model is sentence.fit(TEXTS).model
    shutil.copytree(models / "causal", tmp_path / "copy")
    assert LLMStateEncoder(tmp_path / "copy", prefix="the ").identity == query.identity != sentence.identity
    with pytest.raises(ValueError, match="dtype: expected one of"):
        HiddenStates(models / "causal", dtype="int8")
    with pytest.raises(ValueError, match="max_length: expected >= 1 or None, got 0"):
        LLMStateEncoder(shared, max_length=0)


def test_a_truncated_encoder_keeps_the_first_dimensions(models: Any) -> None:
    encoder = SentenceTransformerEncoder(models / "sentence", device="cpu")
    assert np.array_equal(encoder.truncated(5).encode(TEXTS), encoder.encode(TEXTS)[:, :5])
    with pytest.raises(ValueError, match="dim: expected 1 … 32, got 33"):
        encoder.truncated(33)


# --- a network on top ---


class Length:
    """A base encoder: how often each of the four words is there, and noise that depends on the text."""

    identity = {"encoder": "words"}

    def encode(self, texts: Any) -> Any:
        rows = [[*(text.split().count(word) for word in WORDS), len(text) / 10] for text in texts]
        return np.array(rows, dtype=np.float32).reshape(-1, 5)


class WordWriter:
    """Writes the prompt's word, or a filler, among others."""

    def generate(self, obs: Observation, action: Any, rounds: Rounds) -> Output:
        filler = rounds.integers("llm", len(FILLER))
        words = ["nothing"] * len(obs) if action is None else [WORDS[a] for a in action]
        return said(*(f"a {word} {FILLER[i]}" for word, i in zip(words, filler, strict=True)))


class WordReward:
    """Words are worth 0, .1, .2, .3; for users with a negative context the other way round."""

    def expected(self, obs: Observation, output: Output) -> Any:
        assert output.text is not None
        worth = np.array([0.1 * WORDS.index(text.split()[1]) for text in output.text])
        return np.where(obs.context[:, 0] < 0, 0.3 - worth, worth)


class OneDimension:
    def observe(self, rounds: Rounds, prompts: Prompts) -> Observation:
        return Observation(rounds.normal("context", 1).astype(np.float32), prompts)


def word_world() -> PromptSimulator:
    return PromptSimulator(OneDimension(), Prompts.one_hot(4), WordWriter(), WordReward(), GaussianNoise(0.1))


def test_pairs_are_two_independent_draws_of_prompt_and_sentence() -> None:
    pairs = sentence_pairs(word_world(), Length(), 0, 0, 2000)
    assert np.array_equal(pairs.context, sentence_pairs(word_world(), Length(), 0, 0, 2000).context)
    words = [side[:, :4].argmax(axis=1) for side in (pairs.first, pairs.second)]
    joint = np.bincount(4 * words[0] + words[1], minlength=16)
    assert joint.min() > 90
    same = words[0] == words[1]
    assert (pairs.first[same, 4] != pairs.second[same, 4]).mean() > 0.6
    assert pairs.gap == pytest.approx(0.1 * np.abs(words[0] - words[1]), abs=1e-6)
    later = sentence_pairs(word_world(), Length(), 0, 1000, 1000)
    assert np.array_equal(later.first, pairs.first[1000:])


def test_the_distance_loss_is_the_formula_by_hand() -> None:
    first, second = torch.tensor([[3.0, 0.0], [1.0, 1.0]]), torch.tensor([[0.0, 4.0], [1.0, 1.0]])
    first.requires_grad_(True)
    loss = distance_loss(first, second, torch.tensor([0.1, 0.2]), alpha=10)
    assert loss.item() == pytest.approx(((2.5 - 1) ** 2 + (0 - 2) ** 2) / 2)
    loss.backward()
    assert torch.isfinite(first.grad).all()


NETWORK = SentenceNetworkFitting(dim=4, hidden=32, max_epochs=12, steps_per_epoch=20, batch_size=64, lr=5e-3)


@pytest.mark.parametrize("contextual", [False, True])
def test_sentences_come_to_lie_as_far_apart_as_their_rewards(contextual: bool, tmp_path: Path) -> None:
    simulator = word_world()
    fit = fit_contextual_sentence_network if contextual else fit_sentence_network
    before = torch.random.get_rng_state()
    encoder, curve = fit(simulator, Length(), NETWORK, seed=0)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert min(curve.held_out) < 0.25 * curve.held_out[0]
    obs = simulator.observe(Rounds(9, 0, 4))
    texts = [text_array([f"a {word} town"] * 4) for word in WORDS]
    features = [encoder.encode_in_context(obs, t) if contextual else encoder.encode(t) for t in texts]  # type: ignore[attr-defined]
    distance = [np.linalg.norm(features[0] - other, axis=1).mean() / encoder.dim for other in features]
    assert distance == pytest.approx([0, 1, 2, 3], abs=0.4)
    loaded = type(encoder).load(encoder.save(tmp_path / "phi.safetensors"), Length())
    assert loaded.identity == encoder.identity
    again = loaded.encode_in_context(obs, texts[1]) if contextual else loaded.encode(texts[1])  # type: ignore[attr-defined]
    assert np.array_equal(again, features[1])
    other = NNSentenceEncoder if contextual else ContextualSentenceEncoder
    with pytest.raises(ValueError, match="expected layers"):
        other.load(tmp_path / "phi.safetensors", Length())


def test_a_network_in_numpy_is_the_network_in_pytorch() -> None:
    with torch_seed(0, "net"):
        net = SentenceNet(5, 3, 7, 2)
    state = {name: value.numpy() for name, value in net.state_dict().items()}
    layers = {name: Layer(state[f"{name}.weight"], state[f"{name}.bias"]) for name in ("first", "mixing", "last")}
    encoder = ContextualSentenceEncoder(Length(), layers)
    texts = text_array(["a war town", "love love ghosts"])
    context = np.array([[1.0, -1.0], [0.5, 2.0]], dtype=np.float32)
    obs = Observation(context, Prompts.one_hot(2), np.array([[0.1], [0.2]], dtype=np.float32))
    with torch.no_grad():
        theirs = net(torch.from_numpy(Length().encode(texts)), torch.from_numpy(obs.features())).numpy()
    assert encoder.encode_in_context(obs, texts) == pytest.approx(theirs, abs=1e-6)
    with pytest.raises(ValueError, match="context, query: expected 10 dimensions, got 9"):
        encoder.encode_in_context(Observation(context, Prompts.one_hot(2)), texts)
    with pytest.raises(ValueError, match="layers: expected first, last, got first, last, mixing"):
        NNSentenceEncoder(Length(), layers)


def test_a_context_free_network_is_a_sentence_encoder_and_the_other_is_not() -> None:
    assert isinstance(NNSentenceEncoder(Length(), {name: Layer(np.eye(5), np.zeros(5)) for name in ("first", "last")}),
                      SentenceEncoder)  # fmt: skip
    assert not hasattr(ContextualSentenceEncoder, "encode")


def test_embeddings_alone_are_refused_by_the_network_trainer(simulator: PromptSimulator) -> None:
    with pytest.raises(ValueError, match="llm: expected sentences"):
        sentence_pairs(simulator, Length(), 0, 0, 4)
