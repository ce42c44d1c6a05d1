"""How a log's columns become a dataset's: what is learned from all rows first, and then done to each chunk."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from prompt_bandits.datasets.columns import EXTRAS, Columns
from prompt_bandits.datasets.kinds import TEXT, Kind
from prompt_bandits.logs.report import Problem
from prompt_bandits.logs.schema import LogColumns
from prompt_bandits.logs.sources import Chunk
from prompt_bandits.logs.values import FLOAT32, Checker, integer_of, is_missing, list_of, number_of, vector_of
from prompt_bandits.protocols import SentenceEncoder
from prompt_bandits.types import BoolArray, FloatArray, IntArray, Prompts, TextArray, text_array

_MOST_ONE_HOT = 10_000
INTEGER, NUMBER = Kind("int64"), Kind("float64")


@dataclass
class Plan:
    """What the columns of a log hold, and which prompts and users there are."""

    columns: LogColumns
    prompts: Prompts
    kinds: dict[str, Kind]  # of features and extras, as far as there are values
    users: dict[str, int] | None  # numbers of users that are known by texts
    by_text: bool  # actions are the texts of prompts
    rounds: dict[int, int] = field(default_factory=dict)  # the row of each round id

    @classmethod
    def of(
        cls, chunks: Iterable[Chunk], columns: LogColumns, prompts: Prompts | None, encoder: SentenceEncoder | None
    ) -> Plan:
        """From all rows of a log.

        Raises:
            ValueError: no rows, texts for features without an encoder, or actions that prompts cannot be known by.
        """
        kinds: dict[str, Kind] = {}
        users, actions = set[Any](), set[Any]()
        for chunk in chunks:
            unread = {problem.row - chunk.first for problem in chunk.problems}
            for name in (*columns.contexts, columns.query, columns.output):
                kind = None if name is None or name in kinds else _feature_kind(chunk.values[name])
                if name is not None and kind is not None:
                    kinds[name] = kind
            for name in columns.extras:
                read = [value for i, value in enumerate(chunk.values[name]) if i not in unread]
                kinds[name] = _extra_kind(read, kinds.get(name, INTEGER))
            if columns.user_id is not None:
                known = (value for value in chunk.values[columns.user_id] if not is_missing(value))
                users.update(value if _is_integer(value) else str(value) for value in known)
            actions.update(_mentioned(chunk, columns))
        if not actions:
            raise ValueError("log: expected at least one row with an action, found none")
        for name in (*columns.contexts, columns.query, columns.output):
            if name is not None and kinds.get(name, TEXT) == TEXT and (encoder is None or name == columns.output):
                raise ValueError(
                    f"{name}: expected numbers or lists of numbers, or an encoder beside texts, got neither"
                )
        by_text = 2 * sum(not _is_integer(action) for action in actions) > len(actions)  # the rest are mistakes
        if prompts is not None and by_text and prompts.text is None:
            raise ValueError(f"{columns.action}: expected ids of prompts, or prompts with texts to find these among")
        table = _prompts(actions, by_text, encoder) if prompts is None else prompts
        numbered = all(map(_is_integer, users))
        return cls(columns, table, kinds, None if numbered else _numbers(users), by_text)

    def __post_init__(self) -> None:
        keys: Sequence[Any] = self.prompts.prompt_id.tolist()
        if self.by_text:
            assert self.prompts.text is not None
            keys = self.prompts.text.tolist()
        self._action = {key: action for action, key in enumerate(keys)}

    def apply(self, chunk: Chunk, encoder: SentenceEncoder | None) -> tuple[Columns, list[Problem]]:
        """The rows without problems as columns, and the problems of the others.

        Without an encoder, features that are texts come out empty: enough to find the problems.
        """
        checker = Checker(chunk.first, chunk.problems)
        found = self._convert(chunk, checker, encoder)
        good = np.ones(len(chunk), bool)
        good[list(checker.bad_rows())] = False
        return {name: column[good] for name, column in found.items()}, checker.problems

    def _convert(self, chunk: Chunk, checker: Checker, encoder: SentenceEncoder | None) -> Columns:
        names, values = self.columns, chunk.values
        embed = _Embed(encoder)
        found: Columns = {
            "seed": np.zeros(len(chunk), np.int64),
            "round_id": self._round_ids(chunk, checker),
            "policy_id": np.zeros(len(chunk), np.int64),
            "action": self._actions(checker, names.action, values[names.action]),
            "reward": checker.numbers(names.reward, values[names.reward]),
            "context": np.concatenate(
                [self._features(checker, name, values[name], embed) for name in names.contexts], axis=1
            ),
        }
        if names.propensity is not None:
            found["propensity"] = checker.numbers(names.propensity, values[names.propensity], 0, 1, open_low=True)
        if names.query is not None:
            found["query"] = self._features(checker, names.query, values[names.query], embed)
            if self.kinds.get(names.query, TEXT) == TEXT:
                found["query_text"] = checker.texts(names.query, values[names.query])
        if names.user_id is not None:
            found |= self._users(checker, names.user_id, values[names.user_id])
        if names.sentence is not None:
            found["sentence"] = checker.texts(names.sentence, values[names.sentence])
            if names.output is None and encoder is not None:
                found["output"] = embed(found["sentence"])
        if names.output is not None:
            found["output"] = self._features(checker, names.output, values[names.output], embed)
        if names.candidates is not None:
            found["action_mask"] = self._masks(checker, names.candidates, values[names.candidates], found["action"])
        if names.time is not None:
            found[f"{EXTRAS}time"] = checker.times(names.time, values[names.time])
        return found | {EXTRAS + name: self._extra(name, values[name]) for name in names.extras}

    def _round_ids(self, chunk: Chunk, checker: Checker) -> IntArray:
        name = self.columns.round_id
        if name is None:
            return np.arange(chunk.first, chunk.first + len(chunk), dtype=np.int64)
        ids = checker.integers(name, chunk.values[name])
        bad = checker.bad_rows()
        for i, round_id in enumerate(ids.tolist()):
            row = chunk.first + i
            if i not in bad and self.rounds.setdefault(round_id, row) != row:
                checker.refuse(i, name, "a round of its own", f"{round_id}, as row {self.rounds[round_id]}")
        return ids

    def _actions(self, checker: Checker, name: str, values: Sequence[Any]) -> IntArray:
        out = np.zeros(len(values), np.int64)
        for i, value in enumerate(values):
            action = self._action_of(value)
            if action is None:
                checker.refuse(i, name, f"the {'text' if self.by_text else 'id'} of a prompt", value)
            else:
                out[i] = action
        return out

    def _action_of(self, value: Any) -> int | None:
        key = value if self.by_text else integer_of(value)
        return self._action.get(key) if isinstance(key, (str, int)) else None

    def _masks(self, checker: Checker, name: str, values: Sequence[Any], taken: IntArray) -> BoolArray:
        out = np.zeros((len(values), len(self.prompts)), bool)
        for i, value in enumerate(values):
            found = [self._action_of(item) for item in list_of(value) or []]
            if not found or None in found:
                checker.refuse(i, name, "a list of prompts", value)
            elif taken[i] not in found:
                checker.refuse(i, name, "the action among the candidates", value)
            out[i, [action for action in found if action is not None]] = True
        return out

    def _features(self, checker: Checker, name: str, values: Sequence[Any], embed: _Embed) -> FloatArray:
        kind = self.kinds.get(name, TEXT)
        if kind == TEXT:
            return embed(checker.texts(name, values))
        if kind.width is None:
            return checker.numbers(name, values, -FLOAT32, FLOAT32)[:, None].astype(np.float32)
        return checker.vectors(name, values, kind.width)

    def _users(self, checker: Checker, name: str, values: Sequence[Any]) -> Columns:
        if self.users is None:
            return {"user_id": checker.integers(name, values)}
        texts = checker.texts(name, [value if is_missing(value) else str(value) for value in values])
        numbers = np.array([self.users.get(text, 0) for text in texts], np.int64)
        return {"user_id": numbers, f"{EXTRAS}user": texts}

    def _extra(self, name: str, values: Sequence[Any]) -> Any:
        """As it is; a missing number is NaN, a missing text empty."""
        kind = self.kinds.get(name, TEXT)
        if kind == TEXT:
            return text_array("" if is_missing(value) else str(value) for value in values)
        if kind == INTEGER:
            return np.array([integer_of(value) or 0 for value in values], np.int64)
        return np.array([math.nan if is_missing(value) else number_of(value) for value in values], float)


class _Embed:
    """An encoder that is asked once for each distinct text."""

    def __init__(self, encoder: SentenceEncoder | None) -> None:
        self._encoder = encoder

    def __call__(self, texts: TextArray) -> FloatArray:
        if self._encoder is None or not len(texts):
            return np.zeros((len(texts), 1), np.float32)
        distinct, position = np.unique(texts.astype(str), return_inverse=True)
        return np.asarray(self._encoder.encode(text_array(distinct.tolist())), np.float32)[position]


def _feature_kind(values: Sequence[Any]) -> Kind | None:
    """What most of the values are; None where all are missing."""
    there = [value for value in values if not is_missing(value)]
    if not there:
        return None
    if sum(number_of(value) is not None for value in there) * 2 >= len(there):
        return NUMBER
    vectors = [vector for vector in map(vector_of, there) if vector is not None and vector.ndim == 1]
    if len(vectors) * 2 < len(there):
        return TEXT
    return Kind("float32", int(np.bincount([len(vector) for vector in vectors]).argmax()))


def _extra_kind(values: Sequence[Any], before: Kind) -> Kind:
    """What all of the values can be without loss, and those before: integers, else numbers, else texts."""
    if before == INTEGER and all(map(_is_integer, values)):
        return INTEGER
    return NUMBER if before != TEXT and all(map(_is_number, values)) else TEXT


def _is_integer(value: Any) -> bool:
    """An integer of 64 bits, or a text that writes one in the usual way: "7", not "007"."""
    number = None if isinstance(value, float) else integer_of(value)
    return number is not None and abs(number) < 2**63 and (not isinstance(value, str) or str(number) == value)


def _is_number(value: Any) -> bool:
    """Missing, or a number that float64 holds; a text of digits alone is an integer or a name."""
    if is_missing(value):
        return True
    if isinstance(value, str) and value.lstrip("+-").isdigit():
        return _is_integer(value) and abs(int(value)) <= 2**53
    number = number_of(value)
    return number is not None and (not isinstance(value, int) or abs(value) <= 2**53)


def _mentioned(chunk: Chunk, columns: LogColumns) -> Iterable[Any]:
    """The prompts that rows name."""
    for value in chunk.values[columns.action]:
        if isinstance(value, str) or integer_of(value) is not None:
            yield value if isinstance(value, str) else integer_of(value)
    for value in chunk.values[columns.candidates] if columns.candidates is not None else ():
        yield from (item for item in list_of(value) or () if isinstance(item, (str, int)))


def _prompts(actions: Iterable[Any], by_text: bool, encoder: SentenceEncoder | None) -> Prompts:
    """A table of the prompts that the log mentions, in order."""
    if by_text:
        texts = text_array(sorted({str(action) for action in actions}))
        embedding = _one_hot(len(texts)) if encoder is None else encoder.encode(texts)
        return Prompts.from_embedding(embedding, texts)
    ids = sorted({number for number in map(integer_of, actions) if number is not None})
    return Prompts(np.array(ids, np.int64), _one_hot(len(ids)))


def _one_hot(n: int) -> FloatArray:
    if n > _MOST_ONE_HOT:
        raise ValueError(f"prompts: expected a table (or texts and an encoder) for {n:,} prompts, got none")
    return np.eye(n, dtype=np.float32)


def _numbers(users: Iterable[Any]) -> dict[str, int]:
    return {user: number for number, user in enumerate(sorted({str(user) for user in users}))}
