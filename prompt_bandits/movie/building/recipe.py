"""Everything that decides what the built assets are, and a hash of it."""

from __future__ import annotations

import json
import tokenize
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from prompt_bandits.llms.requests import Sampling
from prompt_bandits.llms.templates import PromptTemplate
from prompt_bandits.movie.building.catalogue import facts_hash
from prompt_bandits.movie.building.language_model import LanguageModelSettings
from prompt_bandits.movie.building.sentence_encoder import EncoderSettings
from prompt_bandits.movie.building.sentence_reward import RewardSettings
from prompt_bandits.movie.building.users import UserSettings

_DECIDING = ("catalogue", "corpus", "language_model", "sentence_encoder", "sentence_reward", "users", "wordpiece")
"""Modules whose code decides what is built."""
_LAYOUT = (
    tokenize.ENCODING,
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.INDENT,
    tokenize.DEDENT,
)


@dataclass(frozen=True)
class Recipe:
    """Settings of a build.

    Args:
        n_films, n_keywords: of the catalogue; None: all.
        corpus_size: sentences that the language model learns from.
        held_out: share of the (film, keyword) pairs that it never sees.
        n_slots: sentences of the bank for each film and keyword.
        n_base_slots: sentences of the bank for each film without a keyword.
    """

    seed: int = 0
    n_films: int | None = None
    n_keywords: int | None = None
    corpus_size: int = 64_000
    held_out: float = 0.1
    n_slots: int = 2
    n_base_slots: int = 16
    template: PromptTemplate = field(default_factory=lambda: PromptTemplate(prefix="", middle=" | ", postfix=" ="))
    sampling: Sampling = field(default_factory=lambda: Sampling(temperature=0.8, max_new_tokens=64))
    language_model: LanguageModelSettings = field(default_factory=LanguageModelSettings)
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    users: UserSettings = field(default_factory=UserSettings)
    reward: RewardSettings = field(default_factory=RewardSettings)

    @classmethod
    def tiny(cls, seed: int = 0) -> Recipe:
        """A small one for tests: the same stages in about a minute, nothing of it any good."""
        return cls(
            seed=seed,
            n_films=8,
            n_keywords=24,
            corpus_size=3000,
            n_base_slots=4,
            language_model=LanguageModelSettings(vocabulary=1000, width=64, layers=2, heads=2),
            encoder=EncoderSettings(vocabulary=1000, width=32, layers=1, heads=2, dim=8),
            users=UserSettings(n_users=40, readings=40),
            reward=RewardSettings(dim=8, max_epochs=2),
        )

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    def hash(self) -> str:
        """Of settings, facts and the code that makes assets of them; imports, docstrings and comments do not count."""
        content = [self.to_json(), facts_hash(), [_code_hash(name) for name in _DECIDING]]
        return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _code_hash(module: str) -> str:
    """Of the code without imports, docstrings, comments and white space: equal under every version of Python."""
    kept: list[str] = []
    statement: list[tokenize.TokenInfo] = []
    with (Path(__file__).parent / f"{module}.py").open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.NEWLINE:
                kept += _deciding(statement)
                statement = []
            elif token.type not in _LAYOUT:
                statement.append(token)
    return sha256("".join("".join(kept).split()).encode()).hexdigest()


def _deciding(statement: list[tokenize.TokenInfo]) -> list[str]:
    first = statement[0]
    if first.string in ("import", "from") or (first.type == tokenize.STRING and len(statement) == 1):
        return []
    return [token.string for token in statement]
