"""The card of assets from MovieLens: what is in the folder, and how well the reward simulator knows its users."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from prompt_bandits.movie.folder import MovieFolder
from prompt_bandits.movie.movielens.catalogue import MovieLensCatalogue
from prompt_bandits.movie.movielens.features import read_descriptions
from prompt_bandits.movie.movielens.settings import MovieLensSettings
from prompt_bandits.movie.movielens.writing import Written
from prompt_bandits.movie.rewards.folder import SentenceFeaturizer, load_head
from prompt_bandits.movie.rewards.quality import held_out_quality
from prompt_bandits.movie.rewards.settings import held_out_rows
from prompt_bandits.rounds import named_generator
from prompt_bandits.types import FloatArray

_JUDGED, _SENTENCES, _USERS = 20_000, 20, 5
_PLOT = Path("card") / "reward_distribution.png"


def write_card(
    folder: MovieFolder,
    catalogue: MovieLensCatalogue,
    written: Written,
    settings: MovieLensSettings,
    models: Mapping[str, Any],
) -> None:
    """Writes `card.md` and its plot to the folder."""
    probability, liked = held_out_probability(folder, catalogue, written, settings)
    lines = [*_sizes(folder, settings, models), *_quality(probability, liked), *_examples(folder, settings.seed)]
    (folder.path / "card.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    _plot(probability, liked, folder.path / _PLOT)


def held_out_probability(
    folder: MovieFolder, catalogue: MovieLensCatalogue, written: Written, settings: MovieLensSettings
) -> tuple[FloatArray, FloatArray]:
    """p of ratings that the reward simulator was not fitted to (at most 20,000), and whether they are likes."""
    rows = catalogue.interactions
    held_out = np.flatnonzero(held_out_rows(len(rows), settings.reward.validation_fraction, settings.seed))[:_JUDGED]
    sentence = read_descriptions(catalogue, written, settings.seed)[held_out]
    read = SentenceFeaturizer(folder.reward).encode(sentence)
    probability = load_head(folder.reward).probability(rows.user_id[held_out], rows.item_id[held_out], read)
    return probability, rows.reward[held_out]


def _sizes(folder: MovieFolder, settings: MovieLensSettings, models: Mapping[str, Any]) -> Iterator[str]:
    tables, sentences, rules = folder.tables, folder.sentences, settings.rules
    yield "# Movie assets from MovieLens\n\n| | |\n|---|---|"
    yield f"| users · films · keywords | {tables.n_users:,} · {tables.n_items:,} · {tables.n_prompts:,} |"
    yield f"| ratings | {0 if tables.interactions is None else len(tables.interactions):,} |"
    left_out = ", ".join(f"{stars:g}" for stars in rules.left_out) or "none"
    yield f"| a rating is a like · says neither | from {rules.positive_from:g} stars · {left_out} |"
    yield f"| likes and dislikes of each user and film, at least | {rules.min_positive} · {rules.min_negative} |"
    yield f"| language model | {' '.join(models['llm'].values())} |"
    yield f"| read by · encoded by | {models['reward_encoder']} · {models['encoder']} |"
    yield f"| sentences · distinct ones | {len(sentences.text):,} · {len(set(sentences.text)):,} |"
    yield f"| empty sentences | {sum(not text for text in sentences.text):,} |"


def _quality(probability: FloatArray, liked: FloatArray) -> Iterator[str]:
    yield f"\n## Reward simulator on held-out ratings\n\n![Distribution]({_PLOT.as_posix()})\n"
    if len(set(liked.tolist())) < 2:
        yield f"{len(liked)} held-out ratings, all alike: too few to judge."
        return
    yield f"```\n{held_out_quality(probability, liked)}\n```"


def _examples(folder: MovieFolder, seed: int) -> Iterator[str]:
    tables, sentences, about = folder.tables, folder.sentences, folder.user_about
    assert about is not None
    assert tables.prompts.text is not None
    yield "\n## Sentences\n\n| film | keyword | sentence |\n|---|---|---|"
    for row in np.sort(named_generator(seed, "card", "sentences").permutation(len(sentences.text))[:_SENTENCES]):
        keyword = tables.prompts.text[sentences.prompt_id[row]] if sentences.prompt_id[row] >= 0 else ""
        text = sentences.text[row].replace("\n", " ").replace("|", "\\|")
        yield f"| {tables.title[sentences.query_id[row]]} | {keyword} | {text} |"
    yield "\n## Users\n"
    for user in np.sort(named_generator(seed, "card", "users").permutation(tables.n_users)[:_USERS]):
        yield f"- {user}: {about[user]}"


def _plot(probability: FloatArray, liked: FloatArray, file: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, kind, color in (("likes", liked == 1, "#4477aa"), ("dislikes", liked == 0, "#cc6677")):
        axes.hist(
            probability[kind],
            bins=np.linspace(0, 1, 41).tolist(),
            alpha=0.6,
            label=f"{name} ({kind.sum():,})",
            color=color,
        )
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("predicted probability of a like, held-out ratings")
    axes.legend(frameon=False)
    file.parent.mkdir(exist_ok=True)
    figure.savefig(file, dpi=120)
