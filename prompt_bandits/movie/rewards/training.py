"""Fitting the reward simulator: collaborative filtering first, then a transformer that reads the sentence."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from prompt_bandits.movie.rewards.fitting import Curve, fit_epochs, torch_seed
from prompt_bandits.movie.rewards.folder import Projection, SentenceFeaturizer, save_reward
from prompt_bandits.movie.rewards.head import RewardHead
from prompt_bandits.movie.rewards.rating_rows import RatingRows, SentenceReading, length_batches, plain_batches
from prompt_bandits.movie.rewards.sentence_table import distinct_texts
from prompt_bandits.movie.rewards.settings import Ratings, RewardFitting, SentenceRewardFitting
from prompt_bandits.movie.rewards.token_table import Corruption, TokenTable
from prompt_bandits.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from torch import Tensor

    from prompt_bandits.movie.rewards.nets import TransformerRewardNet


@dataclass(frozen=True, eq=False)
class FittedCollaborativeFiltering:
    """p(u, i) = σ(l2(ReLU(l1[E_u; E_i])) + b_u + b_i): users and films, no sentences."""

    head: RewardHead
    item_embedding: FloatArray  # (n_items, d)
    held_out: BoolArray  # (n,) the rows that it was not fitted to
    curve: Curve

    def probability(self, user_id: IntArray, query_id: IntArray) -> FloatArray:
        """p, (n,)."""
        return self.head.probability(user_id, query_id, self.item_embedding[query_id])


@dataclass(frozen=True, eq=False)
class FittedSentenceReward:
    """p(u, i, s) = σ(l2(ReLU(l1[E_u; f])) + b_u + b_i) with f = ReLU(W·CLS(s) + c)."""

    head: RewardHead
    projection: Projection
    base: Any  # a transformers encoder
    tokenizer: Any
    max_length: int
    held_out: BoolArray  # (n,) the rows that it was not fitted to
    curve: Curve

    def featurizer(self) -> SentenceFeaturizer:
        """Features f of sentences."""
        return SentenceFeaturizer.of(self.base, self.tokenizer, self.projection, self.max_length)

    def save(self, folder: str | Path) -> Path:
        """Writes it to a folder, from which `load_head` and `SentenceFeaturizer` read."""
        return save_reward(folder, self.head, self.base, self.tokenizer, self.projection, self.max_length)


def fit_collaborative_filtering(
    user_id: IntArray,
    query_id: IntArray,
    reward: FloatArray,
    n_users: int,
    n_items: int,
    settings: RewardFitting | None = None,
    seed: int = 0,
) -> FittedCollaborativeFiltering:
    """Fits p(u, i) to ratings (n,) in [0, 1].

    Raises:
        ValueError: ratings that do not fit.
        FloatingPointError: the loss is not finite.
    """
    from prompt_bandits.movie.rewards.nets import CollaborativeFilteringNet, to_array

    settings = settings or RewardFitting()
    ratings = Ratings(user_id, query_id, reward, n_users, n_items)
    rows = RatingRows(ratings, settings, seed)
    with torch_seed(seed, "collaborative filtering"):
        net = CollaborativeFilteringNet(n_users, n_items, settings.dim, settings.hidden).to(settings.device)
        curve = fit_epochs(
            net,
            lambda epoch: rows.epoch(plain_batches(rows.train, settings, seed, epoch)),
            lambda some: rows.loss(net(rows.user[some], rows.item[some]), some),
            lambda: rows.held_out_loss(lambda some: net(rows.user[some], rows.item[some])),
            settings,
            label="collaborative filtering",
        )
    item_embedding = to_array(net.item_embedding.weight)
    return FittedCollaborativeFiltering(net.head.as_arrays(), item_embedding, rows.held_out, curve)


def fit_sentence_reward(
    user_id: IntArray,
    query_id: IntArray,
    sentence: Iterable[str],
    reward: FloatArray,
    base: Any,
    tokenizer: Any,
    start: RewardHead,
    settings: SentenceRewardFitting | None = None,
    seed: int = 0,
) -> FittedSentenceReward:
    """Fits p(u, i, s) to ratings (n,) in [0, 1] of sentences about films.

    With the seed and the rows of collaborative filtering the same rows are held out. A frozen base reads every
    sentence once if no token is to be corrupted.

    Args:
        user_id, query_id, sentence, reward: (n,) each.
        base: a transformers encoder whose first token stands for the text, such as DistilBERT; a copy is fitted, in
            single precision.
        tokenizer: its tokenizer.
        start: of collaborative filtering; gives users' embeddings and biases and films' biases. With `start_layers`
            a sentence's features take the place of the film's embedding at first: a base that starts from nothing then
            knows from the first step what users care about.
        settings: how.
        seed: of everything random.

    Raises:
        ValueError: ratings or settings that do not fit.
        FloatingPointError: the loss is not finite.
    """
    from prompt_bandits.movie.rewards.nets import TransformerRewardNet, to_array

    settings = settings or SentenceRewardFitting()
    _check_sizes(start, settings)
    texts, number = distinct_texts(sentence)
    ratings = Ratings(user_id, query_id, reward, start.n_users, start.n_items)
    if len(number) != len(ratings):
        raise ValueError(f"sentence: expected {len(ratings)} rows, got {len(number)}")
    rows = RatingRows(ratings, settings, seed)
    with torch_seed(seed, "sentence reward"):
        base, sizes = copy.deepcopy(base).float(), (start.n_users, start.n_items, settings.dim, settings.hidden)
        net = TransformerRewardNet(base, *sizes, settings.freeze_base)
        net.head.start_from(start, settings.start_layers)
        net.to(settings.device)
        corruption = Corruption.of(tokenizer, settings.random_rate, settings.mask_rate)
        reading = SentenceReading(net, TokenTable.of(texts, tokenizer, settings.max_length), number, corruption, seed)
        curve = _fit_from_sentences(net, reading, rows, settings, seed)
    net.eval()
    projection = Projection(to_array(net.projection.weight), to_array(net.projection.bias))
    head, base = net.head.as_arrays(), net.base.cpu().requires_grad_(True)
    return FittedSentenceReward(head, projection, base, tokenizer, settings.max_length, rows.held_out, curve)


def _check_sizes(start: RewardHead, settings: SentenceRewardFitting) -> None:
    sizes = {"dim": start.user_embedding.shape[1], "hidden": len(start.out_weight) if settings.start_layers else None}
    for name, size in sizes.items():
        if size is not None and getattr(settings, name) != size:
            raise ValueError(f"{name}: expected {size}, as the head to start from, got {getattr(settings, name)}")


def _fit_from_sentences(
    net: TransformerRewardNet, reading: SentenceReading, rows: RatingRows, settings: SentenceRewardFitting, seed: int
) -> Curve:
    judged = np.unique(reading.number[rows.held_out])
    frozen = reading.all_states() if settings.freeze_base else None
    known = frozen is not None and reading.corruption is None

    def logits(some: IntArray) -> Tensor:
        states = frozen[reading.number[some]] if known and frozen is not None else reading.states(some)
        return net.head(rows.user[some], rows.item[some], net.features(states))  # type: ignore[no-any-return]

    def held_out_loss() -> float:
        features = net.features(frozen[judged] if frozen is not None else reading.all_states(judged))
        place = np.searchsorted(judged, reading.number)
        return rows.held_out_loss(lambda some: net.head(rows.user[some], rows.item[some], features[place[some]]))

    batches = plain_batches if known else partial(length_batches, reading)
    base_group = {"params": list(net.base.parameters()), "lr": settings.base_lr or settings.lr}
    other_group = {"params": [*net.projection.parameters(), *net.head.parameters()]}
    return fit_epochs(
        net,
        lambda epoch: rows.epoch(batches(rows.train, settings, seed, epoch)),
        lambda some: rows.loss(logits(some), some),
        held_out_loss,
        settings,
        label="reward from sentences",
        parameters=[base_group, other_group],
    )
