"""Lines of Vowpal Wabbit's text to rounds. The grammar is its wiki's "Input format", so files of others are read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from prompt_bandits.datasets.dataset import BanditDataset
from prompt_bandits.exchange.vowpal_features import Candidates, Features, FeatureTable, own_features
from prompt_bandits.types import Observation, Prompts


@dataclass(frozen=True)
class Example:
    """A line."""

    labels: tuple[str, ...] = ()  # action:cost:probability
    tag: str = ""
    namespaces: Mapping[str, Features] = field(default_factory=dict)
    shared: bool = False

    @classmethod
    def parse(cls, line: str) -> Example:
        """`[label …] [tag]|namespace[:weight] feature[:value] … |…`; ValueError for anything else."""
        head, bar, features = line.partition("|")
        tokens = head.split()
        touching = bool(tokens) and not head[-1].isspace() and ":" not in tokens[-1]
        is_tag = bool(tokens) and (tokens[-1].startswith("'") or (touching and tokens[-1] != "shared"))
        tag = tokens.pop().removeprefix("'") if is_tag else ""
        if not bar:
            raise ValueError(f"line: expected features behind a |, got {line[:80]!r}")
        labels = tuple(token for token in tokens if ":" in token)
        return cls(labels, tag, _namespaces(features), "shared" in tokens)


@lru_cache(1 << 12)  # the same prompts come in every round
def _namespaces(written: str) -> Mapping[str, Features]:
    found: dict[str, Features] = {}
    for space in written.split("|"):
        name, features = _namespace(space)
        found.setdefault(name, []).extend(features)
    return found


def _namespace(written: str) -> tuple[str, Features]:
    words = written.split()
    name, weight = ("", 1.0) if not words or written[0].isspace() else _value(words.pop(0))
    return name, [(feature, value * weight) for feature, value in map(_value, words)]


def _value(word: str) -> tuple[str, float]:
    name, colon, value = word.partition(":")
    return name, float(value) if colon else 1.0


def read_examples(path: Path) -> Iterator[tuple[int, Example | None]]:
    """(number, line) from 1; None for an empty line."""
    with path.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            with naming(path, number):
                yield number, Example.parse(line) if line.strip() else None


def read_blocks(path: Path) -> Iterator[tuple[int, list[Example]]]:
    """(number of its first line, lines) of each block between empty lines."""
    block: list[Example] = []
    begin = 1
    for number, example in read_examples(path):
        if example is not None:
            begin = begin if block else number
            block.append(example)
        elif block:
            yield begin, block
            block = []
    if block:
        yield begin, block


@contextmanager
def naming(path: Path, number: int) -> Iterator[None]:
    """Lets a ValueError say in which line it arose."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}, line {number}: {error}") from error


def parse_label(label: str) -> tuple[int, float, float]:
    """action, cost, probability; ValueError where one is missing."""
    parts = label.split(":")
    if len(parts) != 3:
        raise ValueError(f"label: expected action:cost:probability, got {label!r}")
    return int(parts[0]), float(parts[1]), float(parts[2])


class VowpalRounds:
    """Collects rounds, whose features become columns at the end."""

    def __init__(self) -> None:
        self._context, self._query, self._candidates = FeatureTable("context"), FeatureTable("query"), Candidates()
        self._actions: list[int] = []
        self._rewards: list[float] = []
        self._propensities: list[float] = []
        self._keys: list[str] = []

    def add(
        self,
        key: str,
        shared: Mapping[str, Features],
        action: int,
        cost: float,
        probability: float,
        offer: Iterable[Mapping[str, Features]] | None = None,
    ) -> None:
        """One more round.

        Args:
            key: `seed_round`, or anything else.
            shared: its features by namespace: `q` is the query, all others are context.
            action: the one taken; with an offer its place there.
            cost: −reward.
            probability: of the action.
            offer: the features of each prompt that it could choose from.
        """
        self._context.add(own_features(shared, "x", skip=("q",)))
        self._query.add(shared.get("q", []))
        self._actions.append(action if offer is None else self._candidates.add(offer)[action])
        self._rewards.append(0.0 - cost)
        self._propensities.append(probability)
        self._keys.append(key)

    def dataset(self, prompts: Prompts | int | None) -> BanditDataset:
        """What was added.

        Args:
            prompts: the table, or their number; None: those that were offered, or as many as the largest action.

        Raises:
            ValueError: no rounds, or an action that is not in the table.
        """
        if not self._actions:
            raise ValueError("rounds: expected labelled ones, found none")
        action, mask = np.array(self._actions, np.int64), None
        offered = len(self._candidates)
        if offered:
            action = self._candidates.numbers()[action]
            found = self._candidates.prompts()
            table = found if prompts is None else _table(prompts)
            mask = self._candidates.mask(len(table))
        else:
            table = _table(int(action.max()) + 1 if prompts is None else prompts)
        context = self._context.matrix()
        obs = Observation(
            np.ones((len(action), 1), np.float32) if context is None else context,  # a context that says nothing
            table,
            self._query.matrix(),
            action_mask=mask,
        )
        return BanditDataset(
            obs, action, np.array(self._rewards), propensity=np.array(self._propensities), **_keys(self._keys)
        )


def _table(prompts: Prompts | int) -> Prompts:
    return prompts if isinstance(prompts, Prompts) else Prompts.one_hot(prompts)


def _keys(written: list[str]) -> dict[str, Any]:
    """Seeds and rounds, where all of them are such and no two are the same."""
    found = [match for key in written if (match := re.fullmatch(r"(\d{1,19})_(\d{1,19})", key))]
    if len(found) < len(written) or len(set(written)) < len(written):
        return {}
    pairs = [(int(key[1]), int(key[2])) for key in found]
    if max(map(max, pairs)) >= 1 << 63:
        return {}
    columns = np.array(pairs, np.int64)
    return {"seed": columns[:, 0], "round_id": columns[:, 1]}
