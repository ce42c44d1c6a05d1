"""Where the parts of a movie environment come from: an asset folder of ours, or OfflinePrompts' published files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from prompt_bandits.llms.bank import SentenceBank
from prompt_bandits.movie.folder import MovieFolder, open_folder
from prompt_bandits.movie.published.offline_prompts import PublishedAssets, holds_offline_prompts, load_offline_prompts
from prompt_bandits.movie.published.reward import MAX_LENGTH
from prompt_bandits.movie.rewards.cf_folder import load_collaborative_filtering
from prompt_bandits.movie.rewards.folder import SentenceFeaturizer, load_head
from prompt_bandits.movie.rewards.head import RewardHead
from prompt_bandits.movie.rewards.sentence_table import TableFeatures
from prompt_bandits.movie.tables import MovieTables
from prompt_bandits.protocols import SentenceEncoder
from prompt_bandits.types import FloatArray, TextArray


class MovieSource(Protocol):
    """What an environment can be made of; parts are read when they are asked for, and None where there are none."""

    name: str

    @property
    def tables(self) -> MovieTables: ...

    @property
    def user_about(self) -> TextArray | None:
        """(n_users,) what users like, in words."""
        ...

    @property
    def bank(self) -> SentenceBank | None: ...

    @property
    def language_model(self) -> str | None:
        """By name, as in `MovieConfig.llm`."""
        ...

    @property
    def settings(self) -> Mapping[str, Mapping[str, Any]]:
        """`template`, `sampling` and `post` of the language model's answers, where they are not the defaults."""
        ...

    def encoder(self, language_model: str) -> SentenceEncoder | None:
        """Of the sentences that a language model writes."""
        ...

    def head(self) -> RewardHead | None:
        """What reads a sentence's features."""
        ...

    def collaborative_filtering(self) -> tuple[RewardHead, FloatArray] | None:
        """What reads a film's (n_items, d) in the place of a sentence's."""
        ...

    def features(self) -> tuple[SentenceEncoder, FloatArray]:
        """What the head reads of a sentence, and those of the films' sentences without a prompt (n_items, K0, d_f)."""
        ...


class FolderSource:
    """An asset folder of ours."""

    def __init__(self, folder: MovieFolder) -> None:
        self.folder, self.name = folder, str(folder.path)

    @property
    def tables(self) -> MovieTables:
        return self.folder.tables

    @property
    def user_about(self) -> TextArray | None:
        return self.folder.user_about

    @property
    def bank(self) -> SentenceBank | None:
        return self.folder.bank if self.folder.has("bank") else None

    @property
    def language_model(self) -> str | None:
        return f"hf:{self.folder.language_model}" if self.folder.has("llm") else None

    @property
    def settings(self) -> Mapping[str, Mapping[str, Any]]:
        manifest = self.folder.manifest
        return {name: manifest[name] for name in ("template", "sampling", "post") if name in manifest}

    def encoder(self, language_model: str) -> SentenceEncoder | None:
        if not self.folder.has("encoder"):
            return None
        from prompt_bandits.movie.encoders import load_encoder

        return load_encoder(self.folder.encoder)

    def head(self) -> RewardHead | None:
        return load_head(self.folder.reward) if self.folder.has("reward") else None

    def collaborative_filtering(self) -> tuple[RewardHead, FloatArray] | None:
        return load_collaborative_filtering(self.folder.reward) if self.folder.has("reward") else None

    def features(self) -> tuple[SentenceEncoder, FloatArray]:
        reader, bank = SentenceFeaturizer(self.folder.reward), self.bank
        if bank is None or not bank.base_rows.size or (bank.base_rows < 0).any():
            raise ValueError(
                f"{self.name}: expected a bank with sentences without a prompt, which rewards compare with"
            )
        known = self.folder.sentences.reward_features
        return TableFeatures(bank.text, known, reader), known[bank.base_rows]


class PublishedSource:
    """OfflinePrompts' files. Their sentence without a prompt is a film's description."""

    user_about: TextArray | None = None
    bank: SentenceBank | None = None
    language_model: str | None = None
    settings: Mapping[str, Mapping[str, Any]] = {}

    def __init__(self, assets: PublishedAssets, name: str, tokenizer: str) -> None:
        self.assets, self.name, self.tables, self.tokenizer = assets, name, assets.tables, tokenizer

    def encoder(self, language_model: str) -> SentenceEncoder | None:
        matrix = self.assets.pca.get("sentence")
        if matrix is None or not language_model.startswith("hf:"):
            return None
        from prompt_bandits.movie.encoders import LLMStateEncoder

        name = language_model.removeprefix("hf:")
        return LLMStateEncoder.from_matrix(name, matrix, prefix=" ", postfix=" ", max_length=MAX_LENGTH)

    def head(self) -> RewardHead | None:
        return None if self.assets.reward is None else self.assets.reward.head

    def collaborative_filtering(self) -> tuple[RewardHead, FloatArray] | None:
        return None

    def features(self) -> tuple[SentenceEncoder, FloatArray]:
        from transformers import AutoTokenizer

        reward, described = self.assets.reward, self.assets.description
        assert reward is not None
        if described is None:
            raise ValueError("path_to_interaction_data: expected the films' descriptions, which rewards compare with")
        reader = reward.featurizer(AutoTokenizer.from_pretrained(self.tokenizer))
        features = reader.encode(described)
        return TableFeatures(described, features, reader), features[:, None]


def open_source(assets: str | None, published_files: Mapping[str, str], tokenizer: str) -> MovieSource:
    """Assets by their folder: ours, OfflinePrompts', or those files one by one.

    Args:
        assets: the folder; None: ours that comes with the package.
        published_files: OfflinePrompts' files by argument.
        tokenizer: of the published reward simulator's encoder.

    Raises:
        FileNotFoundError: nothing there.
        ValueError: damaged, or files named one by one beside a folder of ours.
    """
    published = bool(published_files) if assets is None else holds_offline_prompts(assets)
    if published:
        published_assets = load_offline_prompts(assets, **published_files)  # type: ignore[arg-type]
        return PublishedSource(published_assets, assets or "the published files", tokenizer)
    if published_files:
        name = next(iter(published_files))
        raise ValueError(f"{name}: expected assets=None or OfflinePrompts' folder beside it, got {assets!r}")
    return FolderSource(open_folder(assets))


def matched_bank(bank: SentenceBank, known: MovieTables, wanted: MovieTables) -> SentenceBank:
    """A bank of `known` films and prompts for `wanted` ones, by their texts; −1 for what it does not know."""
    film_of, prompt_of = _numbers(known.title), _numbers(known.prompts.text)
    assert wanted.prompts.text is not None
    films = np.array([film_of.get(title, -1) for title in wanted.title])
    prompts = np.full(int(wanted.prompts.prompt_id.max()) + 1, -1)
    prompts[wanted.prompts.prompt_id] = [prompt_of.get(text, -1) for text in wanted.prompts.text]
    unknown = (films < 0)[:, None] | (prompts < 0)
    rows = np.where(unknown[:, :, None], -1, bank.rows[films[:, None], prompts])
    base_rows = np.where((films < 0)[:, None], -1, bank.base_rows[films])
    return SentenceBank(bank.text, bank.embedding, rows, base_rows)


def _numbers(texts: TextArray | None) -> dict[str, int]:
    assert texts is not None
    return {text: number for number, text in enumerate(texts)}
