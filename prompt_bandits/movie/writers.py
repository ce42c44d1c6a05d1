"""What writes the sentences of a movie environment: a bank, or a text model with template, sampling and encoder."""

from __future__ import annotations

from typing import Any

from prompt_bandits import checking
from prompt_bandits.llms.bank import BankLLM
from prompt_bandits.llms.requests import Sampling, TextModel
from prompt_bandits.movie.config import MovieConfig
from prompt_bandits.movie.sources import MovieSource, matched_bank
from prompt_bandits.movie.tables import MovieTables
from prompt_bandits.protocols import FrozenLLM, SentenceEncoder


def bank_llm(config: MovieConfig, assets: MovieSource, own_tables: MovieTables | None) -> FrozenLLM:
    """The assets' bank, for films and prompts of one's own if there are such, and behind it their language model.

    Raises:
        ValueError: no bank.
    """
    bank = assets.bank
    if bank is None:
        raise ValueError(f"llm: expected 'hf:…' or 'openai:…', since {assets.name} holds no bank; got 'bank'")
    if own_tables is not None:
        bank = matched_bank(bank, assets.tables, own_tables)
    model = assets.language_model
    encoder = None if model is None else assets.encoder(model)
    if model is None or encoder is None:
        return BankLLM(bank)
    return BankLLM(bank, _text_llm(config, assets, model, encoder, max(1, bank.n_slots)))


def named_llm(config: MovieConfig, assets: MovieSource) -> FrozenLLM:
    """The text model `config.llm`.

    Raises:
        ValueError: no language model or no encoder where the config looks for one, or wrong settings.
    """
    name = config.llm
    if name == "assets":
        if assets.language_model is None:
            raise ValueError(f"llm: expected 'hf:…' or 'openai:…', since {assets.name} holds no language model")
        name = assets.language_model
    return _text_llm(config, assets, name, _encoder(config, assets, name), config.n_slots)


def _encoder(config: MovieConfig, assets: MovieSource, language_model: str) -> SentenceEncoder:
    if config.encoder is not None:
        from prompt_bandits.movie.encoders import load_encoder

        return load_encoder(config.encoder)
    encoder = assets.encoder(language_model)
    if encoder is None:
        raise ValueError(f"encoder: expected one by name, since {assets.name} holds none; got None")
    return encoder


def _text_llm(
    config: MovieConfig, assets: MovieSource, name: str, encoder: SentenceEncoder, n_slots: int | None
) -> FrozenLLM:
    from prompt_bandits.llms.post_processing import PostProcessing
    from prompt_bandits.llms.templates import PromptTemplate
    from prompt_bandits.llms.text_llm import TextLLM

    def settings(part: str, cls: type[Any]) -> Any:
        """Those of the assets, but for what the config has of its own."""
        values = dict(assets.settings.get(part, {})) | dict(getattr(config, part) or {})
        try:
            return checking.config_from(cls, values)
        except TypeError as error:
            raise ValueError(f"{part}: {error}") from error

    return TextLLM(
        _text_model(config, name),
        settings("template", PromptTemplate),
        settings("sampling", Sampling),
        encoder,
        n_slots,
        settings("post", PostProcessing),
    )


def _text_model(config: MovieConfig, name: str) -> TextModel:
    from prompt_bandits.llms.naming import text_model

    options = dict(config.llm_options or {})
    if isinstance(options.get("budget"), dict):
        from prompt_bandits.llms.budget import Budget

        options["budget"] = Budget(**options["budget"])
    model = text_model(name, **options)
    if config.cache is None:
        return model
    from prompt_bandits.llms.cache import CachedLM, SentenceCache

    return CachedLM(model, SentenceCache(config.cache), config.replay)
