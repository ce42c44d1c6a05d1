"""Assets from a MovieLens folder, by the published pipeline. What is done stays done when a build is cut short."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from prompt_bandits.llms.cache import SentenceCache
from prompt_bandits.llms.naming import shown, text_model
from prompt_bandits.llms.requests import TextModel
from prompt_bandits.movie.folder import MovieFolder, WrittenSentences, open_folder, seal, write_sentences
from prompt_bandits.movie.movielens.catalogue import MovieLensCatalogue, movielens_catalogue
from prompt_bandits.movie.movielens.features import STATES, encode_catalogue, features, fit_users
from prompt_bandits.movie.movielens.settings import MovieLensSettings, content_hash
from prompt_bandits.movie.movielens.writing import Written, write_catalogue
from prompt_bandits.movie.stages import Say, make_stage, replace_folder
from prompt_bandits.movie.table_files import write_tables
from prompt_bandits.movie.tables import MovieTables
from prompt_bandits.types import Prompts


def build_from_movielens(
    folder: str | Path,
    out: str | Path,
    *,
    llm: str | TextModel,
    reward_encoder: str | Path = "distilbert-base-uncased",
    encoder: str | None = None,
    encoder_options: Mapping[str, Any] | None = None,
    prompts: str | Path | None = None,
    settings: MovieLensSettings | None = None,
    cache: str | Path | None = None,
    overwrite: bool = False,
    say: Say = print,
) -> MovieFolder:
    """An asset folder from MovieLens: ratings filtered, films described by a language model, users fitted to who liked
    which film as it is described, and features of users, titles, keywords and sentences.

    A build that was stopped goes on with the same arguments; no sentence that had arrived is asked for again.

    Args:
        folder: what a MovieLens archive unpacks to, of any edition.
        out: the folder to make.
        llm: writes the descriptions: a name such as "hf:<model>" or "openai:<base url>#<model>", or a text model.
        reward_encoder: a DistilBERT-type model, a folder or an id, that reads them for the reward simulator.
        encoder: of titles, keywords and sentences: "states:<model>" is the hidden states of a language model, anything
            else a sentence-transformers model; None: the states of `llm`, where that is "hf:…".
        encoder_options: device, dtype and the like.
        prompts: a file of keywords; None: MovieLens' tags and genres.
        settings: everything else.
        cache: where sentences are kept, for later builds and for environments; None: `<out>.sentences.sqlite`.
        overwrite: replace what is at `out`.
        say: told what is done.

    Raises:
        FileExistsError: something is at `out`.
        FileNotFoundError, ValueError: files that do not read, or settings that leave nothing of them.
        GenerationError: the language model could not answer; what had arrived is in the cache.
    """
    out, settings = Path(out), settings or MovieLensSettings()
    if out.exists() and not overwrite:
        raise FileExistsError(f"{out}: expected nothing there, or overwrite=True")
    if encoder is None:
        if not isinstance(llm, str) or not llm.startswith("hf:"):
            got = shown(llm) if isinstance(llm, str) else repr(llm)
            raise ValueError(f"encoder: expected a name, since llm is not 'hf:…' but {got}; got None")
        encoder = STATES + llm.removeprefix("hf:")
    catalogue = movielens_catalogue(folder, prompts, settings, say)
    out.parent.mkdir(parents=True, exist_ok=True)
    model = text_model(llm) if isinstance(llm, str) else llm
    with SentenceCache(cache or out.with_name(f"{out.name}.sentences.sqlite")) as kept:
        written = write_catalogue(catalogue, model, kept, settings, say)
    about: dict[str, Any] = {"llm": model.identity, "reward_encoder": str(reward_encoder), "encoder": encoder}
    del model  # its memory is wanted now
    return _Build(out, catalogue, written, settings, about, dict(encoder_options or {}), say).run()


class _Build:
    """From films with sentences to an asset folder."""

    def __init__(
        self,
        out: Path,
        catalogue: MovieLensCatalogue,
        written: Written,
        settings: MovieLensSettings,
        models: dict[str, Any],
        encoder_options: dict[str, Any],
        say: Say,
    ) -> None:
        self.out, self.catalogue, self.written, self.settings, self.say = out, catalogue, written, settings, say
        self.models, self.encoder_options = models, encoder_options
        self.hash = content_hash(settings.to_json(), models, catalogue.hash(), written.text.tolist())
        self.work = out.parent / f".{out.name}.building-{self.hash[:12]}"

    def run(self) -> MovieFolder:
        """Every stage that is not done yet."""
        self._stage("reward", self._reward)
        self._stage("encoders", self._encoders)
        self._stage("assets", self._assets)
        replace_folder(self.work / "assets", self.out)
        shutil.rmtree(self.work)
        return open_folder(self.out)

    def _stage(self, name: str, make: Callable[[Path], None]) -> None:
        make_stage(name, self.work, self.work, make, self.say)

    def _reward(self, folder: Path) -> None:
        from prompt_bandits.movie.rewards.cf_folder import save_collaborative_filtering

        first, fitted = fit_users(self.catalogue, self.written, self.models["reward_encoder"], self.settings)
        for name, curve in (("collaborative filtering", first.curve), ("from sentences", fitted.curve)):
            self.say(f"reward, {name}: epoch {curve.best_epoch + 1} of {len(curve)} is the best")
        save_collaborative_filtering(fitted.save(folder), first.head, first.item_embedding)

    def _encoders(self, folder: Path) -> None:
        encode_catalogue(
            self.catalogue, self.written, self.models["encoder"], self.encoder_options, self.settings, folder
        )

    def _assets(self, folder: Path) -> None:
        from prompt_bandits.movie.movielens.card import write_card

        shutil.copytree(self.work / "reward", folder / "reward")
        shutil.copytree(self.work / "encoders" / "sentence", folder / "encoder")
        write_tables(folder, self.tables, self.catalogue.tastes_in_words())
        write_sentences(folder, self._sentences())
        write_card(MovieFolder(folder, {}), self.catalogue, self.written, self.settings, self.models)
        seal(folder, self._about())

    @cached_property
    def tables(self) -> MovieTables:
        from prompt_bandits.movie.rewards.folder import load_head

        known, catalogue = features(self.work / "encoders"), self.catalogue
        return MovieTables(
            user_embedding=load_head(self.work / "reward").user_embedding,
            title=catalogue.title,
            item_embedding=known["title"],
            prompts=Prompts.from_embedding(known["prompt"], catalogue.keywords),
            interactions=catalogue.interactions.pairs,
            interaction_reward=catalogue.interactions.reward,
            year=catalogue.year,
            genres=catalogue.genres,
            user_key=catalogue.interactions.user_key,
            item_key=catalogue.interactions.item_key,
        )

    def _sentences(self) -> WrittenSentences:
        from prompt_bandits.movie.rewards.folder import SentenceFeaturizer

        written = self.written
        read = SentenceFeaturizer(self.work / "reward").encode(written.text)
        embedding = features(self.work / "encoders")["sentence"]
        return WrittenSentences(written.film, written.keyword, written.slot, written.text, embedding, read)

    def _about(self) -> dict[str, Any]:
        settings = self.settings
        parts = {name: asdict(getattr(settings, name)) for name in ("template", "sampling", "post")}
        return {"movielens": settings.to_json(), "models": self.models, "recipe_hash": self.hash, **parts}
