"""Users of the movie task: what a film's description is worth to them."""

from __future__ import annotations

import numpy as np

from prompt_bandits.movie.rewards.head import RewardHead
from prompt_bandits.protocols import SentenceEncoder
from prompt_bandits.types import FiniteOutputs, FloatArray, IntArray, Observation, Output, TextArray

SCALE = 10.0
COSINE_SCALE = 100.0


class SentenceReward:
    """How much better a sentence fits a user than the film's sentences without a prompt: 10·(p(u, i, s) − p̄(u, i)).

    p̄ is the mean of p over the film's sentences without a prompt, so that those are worth 0 on average. The binary
    form is p itself, for Bernoulli rewards. (Kiyohara et al., 2025, arXiv 2504.02646, who subtract one sentence.)

    Args:
        head: p, of users, films and features of sentences.
        featurizer: features (n, d_f) of sentences; `TableFeatures` where they are known.
        baseline_features: (n_items, K0, d_f), of each film's sentences without a prompt.
        binary: whether the reward is p.

    Raises:
        ValueError: features that do not fit the head, or are not finite.
    """

    def __init__(
        self,
        head: RewardHead,
        featurizer: SentenceEncoder,
        baseline_features: FloatArray,
        binary: bool = False,
    ) -> None:
        shape = baseline_features.shape
        if len(shape) != 3 or shape[1] < 1 or (shape[0], shape[2]) != (head.n_items, head.dim_features):
            expected = f"({head.n_items}, K0 >= 1, {head.dim_features})"
            raise ValueError(f"baseline_features: expected shape {expected}, got {shape}")
        if not np.isfinite(baseline_features).all():
            raise ValueError("baseline_features: expected finite numbers, got NaN or infinity")
        self.head, self.featurizer, self.binary = head, featurizer, binary
        self._baseline_hidden = head.sentence_hidden(baseline_features)

    def expected(self, obs: Observation, output: Output) -> FloatArray:
        if self.binary:
            return self.probability(obs, output)
        features = self.featurizer.encode(_sentences(output))
        own, base = self.head.probability_and_mean(*_ids(obs), features, self._baseline_hidden)
        return SCALE * (own - base)

    def probability(self, obs: Observation, output: Output) -> FloatArray:
        """p(u, i, s), (n,)."""
        return self.head.probability(*_ids(obs), self.featurizer.encode(_sentences(output)))

    def baseline_probability(self, obs: Observation) -> FloatArray:
        """p̄(u, i), (n,)."""
        return self.head.mean_probability(*_ids(obs), self._baseline_hidden)

    def baseline(self, obs: Observation) -> FloatArray:
        """(n,) p̄ on the scale of the reward: 10·p̄, or p̄ if binary."""
        return self.baseline_probability(obs) * (1 if self.binary else SCALE)

    def mean_over_finite(self, obs: Observation, outputs: FiniteOutputs, action: IntArray | None) -> FloatArray:
        if action is not None:
            rows = outputs.rows[outputs.group, action]  # (n, K)
            slots = [self.expected(obs, outputs.table.take(rows[:, k])) for k in range(rows.shape[1])]
            return np.asarray(np.mean(slots, axis=0))
        user_id, query_id = _ids(obs)
        text, out = _sentences(outputs.table), np.empty((len(obs), outputs.rows.shape[1]))
        for group, film in set(zip(outputs.group.tolist(), query_id.tolist(), strict=True)):
            rounds = np.flatnonzero((outputs.group == group) & (query_id == film))
            rows = outputs.rows[group]  # (|A|, K)
            table = self.expected_table(user_id[rounds], film, self.featurizer.encode(text[rows.ravel()]))
            out[rounds] = table.reshape(len(rounds), *rows.shape).mean(axis=2)
        return out

    def expected_table(self, user_id: IntArray, query_id: int, features: FloatArray) -> FloatArray:
        """(m, k): what each of k sentences about one film, (k, d_f), is worth to users (m,)."""
        table = self.probability_table(user_id, query_id, features)
        if self.binary:
            return table
        films = np.full(len(user_id), query_id)
        return SCALE * (table - self.head.mean_probability(user_id, films, self._baseline_hidden)[:, None])

    def probability_table(self, user_id: IntArray, query_id: int, features: FloatArray) -> FloatArray:
        """(m, k): their p."""
        return self.head.probability_table(user_id, query_id, features)


class CollaborativeFilteringReward:
    """p(u, i) of a user and a film, whatever the sentence says: no prompt is better than another.

    Args:
        head: p, with the film's embedding in the place of a sentence's features.
        item_embedding: (n_items, d_f).

    Raises:
        ValueError: films that do not fit the head.
    """

    def __init__(self, head: RewardHead, item_embedding: FloatArray) -> None:
        if item_embedding.shape != (head.n_items, head.dim_features):
            expected = (head.n_items, head.dim_features)
            raise ValueError(f"item_embedding: expected shape {expected}, got {item_embedding.shape}")
        self.head, self.item_embedding = head, np.ascontiguousarray(item_embedding, dtype=np.float32)

    def expected(self, obs: Observation, output: Output) -> FloatArray:
        user_id, query_id = _ids(obs)
        self.head.check_ids(user_id, query_id)
        return self.head.probability(user_id, query_id, self.item_embedding[query_id])


class PromptCosineReward:
    """100·cos(E_u, e_a): a prompt's features are compared with the user's, whatever is written. No prompt is worth 0.

    The user's features are the observation's context, and must have as many dimensions as the prompts'.
    """

    def expected_given(self, obs: Observation, action: IntArray, output: Output) -> FloatArray:
        """(n,) of the actions taken (n,).

        Raises:
            ValueError: users and prompts differ in dimensions.
        """
        return COSINE_SCALE * cosine(obs.context, obs.prompts.embedding[action], "context", "prompts.embedding")

    def expected(self, obs: Observation, output: Output) -> FloatArray:
        """Without a prompt: 0, (n,)."""
        return np.zeros(len(obs))


class SentenceCosineReward:
    """100·(cos(E_u, φ(s)) − cos(E_u, e_i)): is the sentence nearer to the user than the film is?

    User and film are the observation's context and query.

    Args:
        encoder: φ; None takes the output's embedding.
    """

    def __init__(self, encoder: SentenceEncoder | None = None) -> None:
        self.encoder = encoder

    def expected(self, obs: Observation, output: Output) -> FloatArray:
        if obs.query is None:
            raise ValueError("query: expected film embeddings (n, d) in the observation, got none")
        sentence = output.embedding if self.encoder is None else self.encoder.encode(_sentences(output))
        if sentence is None:
            raise ValueError("output: expected an embedding, got none; give SentenceCosineReward an encoder")
        to_sentence = cosine(obs.context, sentence, "context", "output.embedding")
        return COSINE_SCALE * (to_sentence - cosine(obs.context, obs.query, "context", "query"))


def cosine(a: FloatArray, b: FloatArray, name_a: str = "a", name_b: str = "b") -> FloatArray:
    """(n,) float64 cosines of rows (n, d); 0 where a row is 0.

    Raises:
        ValueError: the rows differ in dimensions.
    """
    if a.shape != b.shape:
        raise ValueError(f"{name_b}: expected as many dimensions as {name_a}, {a.shape}, got {b.shape}")
    a, b = a.astype(np.float64), b.astype(np.float64)
    length = np.sqrt(np.einsum("nd,nd->n", a, a) * np.einsum("nd,nd->n", b, b))
    dot = np.einsum("nd,nd->n", a, b)
    return np.asarray(np.divide(dot, length, out=np.zeros(len(a)), where=length > 0))


def _ids(obs: Observation) -> tuple[IntArray, IntArray]:
    if obs.user_id is None or obs.query_id is None:
        absent = "user_id" if obs.user_id is None else "query_id"
        raise ValueError(f"{absent}: expected ids (n,) in the observation, got none")
    return obs.user_id, obs.query_id


def _sentences(output: Output) -> TextArray:
    if output.text is None:
        raise ValueError("output: expected a text, got none")
    return output.text
