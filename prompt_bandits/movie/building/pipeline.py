"""The shipped assets, stage by stage. Each stage leaves its result in a draft folder, where a later build goes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from prompt_bandits.llms.bank import NO_PROMPT
from prompt_bandits.movie.building.catalogue import ASPECTS, read_catalogue
from prompt_bandits.movie.building.corpus import Described, corpus
from prompt_bandits.movie.building.language_model import Example, train_language_model
from prompt_bandits.movie.building.recipe import Recipe
from prompt_bandits.movie.building.sentence_encoder import texts_with_meaning, train_sentence_encoder
from prompt_bandits.movie.building.users import Readings, draw_tastes, read_and_judge
from prompt_bandits.movie.building.writing import WritingTask, write_all
from prompt_bandits.movie.folder import MovieFolder, WrittenSentences, open_folder, seal, write_sentences
from prompt_bandits.movie.stages import Say, make_stage, replace_folder
from prompt_bandits.movie.table_files import write_tables
from prompt_bandits.movie.tables import MovieTables
from prompt_bandits.rounds import named_generator
from prompt_bandits.types import FloatArray, IntArray, Prompts, TextArray, text_array

_BARE_SHARE = 0.06  # of the corpus: sentences without a keyword


class Build:
    """One build of asset folder `out` by a recipe.

    Attributes:
        draft: where stages leave their results; it becomes `out` when all are there.
    """

    def __init__(self, out: Path, recipe: Recipe, say: Say = print) -> None:
        self.out, self.recipe, self.say = out, recipe, say
        self.catalogue = read_catalogue().part(recipe.n_films, recipe.n_keywords)
        self.draft = out.parent / f".{out.name}.building-{recipe.hash()[:12]}"
        self.work = self.draft / "work"

    def run(self, overwrite: bool = False) -> MovieFolder:
        """Every stage that is not done yet.

        Raises:
            FileExistsError: `out` is there, and `overwrite` was not asked for.
        """
        if self.out.exists() and not overwrite:
            raise FileExistsError(f"{self.out}: expected no folder there, or --overwrite")
        self.work.mkdir(parents=True, exist_ok=True)
        self._stage("llm", self._language_model)
        self._stage("encoder", self._encoder)
        self._stage("reward", self._reward)
        self._stage("work/sentences", self._sentences)
        self._finish()
        return open_folder(self.out)

    def _stage(self, name: str, make: Callable[[Path], None]) -> None:
        make_stage(name, self.draft, self.work, make, self.say)

    def described(self) -> list[Described]:
        """The corpus that the models learn from."""
        pairs, _ = self.pairs()
        return corpus(self.catalogue, pairs, self.recipe.seed, "training")

    def held_out(self, n: int, name: str = "held out") -> list[Described]:
        """n sentences of (film, keyword) pairs that no model saw; a pair may come again, in other words."""
        _, pairs = self.pairs()
        chosen = np.resize(named_generator(self.recipe.seed, name).permutation(len(pairs)), n)
        return corpus(self.catalogue, [pairs[i] for i in chosen], self.recipe.seed, name)

    def pairs(self) -> tuple[list[tuple[int, int | None]], list[tuple[int, int | None]]]:
        """(film, keyword) of the corpus, and those held out."""
        n_films, n_keywords = len(self.catalogue.films), len(self.catalogue.keywords)
        generator = named_generator(self.recipe.seed, "pairs")
        order = generator.permutation(n_films * n_keywords)
        n_held = round(self.recipe.held_out * len(order))
        n_bare = round(_BARE_SHARE * self.recipe.corpus_size)
        seen = np.resize(order[n_held:], self.recipe.corpus_size - n_bare)
        pairs: list[tuple[int, int | None]] = [(int(i // n_keywords), int(i % n_keywords)) for i in seen]
        pairs += [(film % n_films, None) for film in range(n_bare)]
        shuffled = [pairs[i] for i in generator.permutation(len(pairs))]
        return shuffled, [(int(i // n_keywords), int(i % n_keywords)) for i in order[:n_held]]

    def example(self, described: Described) -> Example:
        """A corpus sentence as what the language model is asked, and answers."""
        film = self.catalogue.films[described.film]
        keyword = None if described.keyword is None else self.catalogue.keywords[described.keyword].text
        return Example(self.recipe.template.request(film.query, keyword, "").text, f" {described.sentence}")

    def phrase(self, number: int) -> Example:
        """A keyword's phrase by itself: what a keyword stands for is learnt sooner so than from sentences alone."""
        keywords = self.catalogue.keywords
        word = keywords[number % len(keywords)]
        phrase = word.phrases[number // len(keywords) % len(word.phrases)]
        return Example(self.recipe.template.request("", word.text, "").text, f" {phrase}")

    def readings(self) -> tuple[FloatArray, Readings]:
        """The users' tastes, and what they made of what they read."""
        taste = draw_tastes(self.recipe.users.n_users, self.recipe.seed)
        return taste, read_and_judge(self.catalogue, taste, self.recipe.users, self.recipe.seed)

    def held_out_readings(self, readings: Readings) -> IntArray:
        """Those that the reward simulator never sees."""
        n = len(readings.liked)
        order = named_generator(self.recipe.seed, "held out readings").permutation(n)
        return np.sort(order[: round(self.recipe.held_out * n)])

    def _language_model(self, folder: Path) -> None:
        rows = [(self.example(item), self.phrase(number)) for number, item in enumerate(self.described())]
        train_language_model(rows, self.recipe.language_model, self.recipe.seed, folder)

    def _encoder(self, folder: Path) -> None:
        settings = self.recipe.encoder
        texts, target = texts_with_meaning(self.catalogue, self.described(), settings.dim, self.recipe.seed)
        train_sentence_encoder(texts, target, settings, self.recipe.seed, folder)

    def _reward(self, folder: Path) -> None:
        from prompt_bandits.movie.building.sentence_reward import train_reward

        _, readings = self.readings()
        kept = np.setdiff1d(np.arange(len(readings.liked)), self.held_out_readings(readings))
        sizes = (self.recipe.users.n_users, len(self.catalogue.films))
        encoder, recipe = self.draft / "encoder", self.recipe
        train_reward(readings.take(kept), sizes, encoder, recipe.reward, recipe.seed, folder)

    def _sentences(self, folder: Path) -> None:
        """Sentences and their features."""
        from prompt_bandits.movie.building.features import features_of

        recipe = self.recipe
        keywords = tuple(keyword.text for keyword in self.catalogue.keywords)
        tasks = [
            WritingTask(film.query, keywords, recipe.n_slots, recipe.n_base_slots, recipe.template)
            for film in self.catalogue.films
        ]
        film, keyword, slot, text = write_all(tasks, self.draft / "llm", recipe.sampling)
        embedding, reward_features = features_of(text, self.draft / "encoder", self.draft / "reward")
        write_sentences(folder, WrittenSentences(film, keyword, slot, text, embedding, reward_features))

    def _finish(self) -> None:
        """Tables, card and manifest, and the folder in its place."""
        from prompt_bandits.movie.building.card import write_card

        for file in (self.draft / "work" / "sentences").iterdir():
            shutil.copy(file, self.draft / file.name)
        taste, readings = self.readings()
        sentences = MovieFolder(self.draft, {}).sentences
        write_tables(self.draft, self._tables(readings, sentences), tastes_in_words(taste))
        write_card(self, MovieFolder(self.draft, {}), self.draft)
        shutil.rmtree(self.work)
        seal(self.draft, self._about())
        replace_folder(self.draft, self.out)

    def _tables(self, readings: Readings, sentences: WrittenSentences) -> MovieTables:
        from prompt_bandits.movie.encoders import SentenceTransformerEncoder
        from prompt_bandits.movie.rewards.folder import load_head

        films, words = self.catalogue.films, text_array(keyword.text for keyword in self.catalogue.keywords)
        bare = sentences.prompt_id == NO_PROMPT
        item_embedding = np.stack(
            [sentences.embedding[bare & (sentences.query_id == film)].mean(axis=0) for film in range(len(films))]
        )
        prompts = Prompts.from_embedding(SentenceTransformerEncoder(str(self.draft / "encoder")).encode(words), words)
        return MovieTables(
            user_embedding=load_head(self.draft / "reward").user_embedding,
            title=text_array(film.query for film in films),
            item_embedding=item_embedding,
            prompts=prompts,
            interactions=np.stack([readings.user_id, readings.film], axis=1),
            interaction_reward=readings.liked,
            year=np.array([film.year for film in films]),
            genres=text_array("|".join(film.genres) for film in films),
        )

    def _about(self) -> dict[str, object]:
        return {
            "recipe": self.recipe.to_json(),
            "recipe_hash": self.recipe.hash(),
            "template": asdict(self.recipe.template),
            "sampling": asdict(self.recipe.sampling),
        }


def tastes_in_words(taste: FloatArray) -> TextArray:
    """(n_users,) the three aspects that each seeks most and the two that they avoid most."""
    order = taste.argsort(axis=1)
    return text_array(
        f"seeks {', '.join(ASPECTS[i] for i in row[:-4:-1])}; avoids {', '.join(ASPECTS[i] for i in row[:2])}"
        for row in order
    )
