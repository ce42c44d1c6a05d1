"""The asset card: what is in the folder, how good it is, in figures, plots and sentences to read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from prompt_bandits.llms.bank import NO_PROMPT
from prompt_bandits.movie.building.card_figures import CardFigures, measure
from prompt_bandits.movie.building.personalisation import Personalisation
from prompt_bandits.movie.folder import MovieFolder
from prompt_bandits.rounds import named_generator

if TYPE_CHECKING:
    from prompt_bandits.movie.building.pipeline import Build

_SHOWN = 50  # sentences
_DPI = 120


def write_card(build: Build, folder: MovieFolder, to: Path) -> CardFigures:
    """Writes `card.md` and its plots to the folder `to`."""
    figures = measure(build, folder)
    plots = to / "card"
    plots.mkdir(exist_ok=True)
    values_figure(_ladder(figures.values)).savefig(plots / "values.png", dpi=_DPI)
    _plot_calibration(figures, plots / "calibration.png")
    _plot_aspects(figures, plots / "best_prompts.png")
    (to / "card.md").write_text("\n".join(_lines(build, folder, figures)) + "\n", encoding="utf-8")
    return figures


def _lines(build: Build, folder: MovieFolder, figures: CardFigures) -> Iterator[str]:
    tables, quality, values = folder.tables, figures.quality, figures.values
    best = len(set(values.best_prompt.tolist()))
    yield "# Movie assets\n"
    yield "Films, keywords, simulated users, a small language model that describes the films, what it wrote, and a"
    yield "model of what the users think of it. Built by `prompt-bandits build-movie-assets`; nothing is downloaded.\n"
    yield f"Recipe `{build.recipe.hash()}`, seed {build.recipe.seed}.\n"
    yield "| | |\n|---|---|"
    yield f"| films · keywords · users | {tables.n_items} · {tables.n_prompts} · {tables.n_users} |"
    yield f"| language model | {figures.n_parameters / 1e6:.1f} million parameters |"
    yield f"| its perplexity a token, film–keyword pairs that it never saw | {figures.perplexity:.2f} |"
    yield f"| sentences in the bank | {figures.n_sentences:,} |"
    yield f"| their words · share of distinct ones | {figures.words:.1f} · {figures.distinct:.1%} |"
    yield f"| sentences in which a classifier finds their keyword, of {tables.n_prompts} | {figures.expressed:.1%} |"
    yield f"| the same of the corpus' own sentences | {figures.expressed_by_corpus:.1%} |"
    yield f"| reward simulator, held-out AUC | {quality.auc:.3f} |"
    yield f"| its Brier score · expected calibration error | {quality.brier:.3f} · {quality.calibration_error:.3f} |"
    yield ""
    yield "## Is it a personalisation problem?\n"
    yield "Exact values over users × films, each as likely; the sentence without a keyword is worth 0.\n"
    yield "| policy | value |\n|---|---|"
    for name, value in _ladder(values):
        yield f"| {name} | {value:+.3f} |"
    yield f"\nKnowing user and film is worth {figures.values.gain_share:.0%} of the best policy's gain over no prompt;"
    yield f"{len(values.best_prompt)} users have {best} different best keywords.\n"
    yield "![Values](card/values.png)\n![Best keywords](card/best_prompts.png)\n![Calibration](card/calibration.png)\n"
    yield "## Sentences\n"
    yield "| film | keyword | sentence |\n|---|---|---|"
    yield from _examples(folder)
    yield "\n## Users\n"
    about = folder.user_about
    assert about is not None
    for user in named_generator(0, "card", "shown users").permutation(tables.n_users)[:5]:
        yield f"- {user}: {about[user]}; likes best: {_favourites(folder, int(user))}"


def _ladder(values: Personalisation) -> list[tuple[str, float]]:
    return [
        ("no prompt", 0.0),
        ("uniform", values.uniform),
        ("best single prompt", values.best_single),
        ("best prompt for each film", values.best_by_film),
        ("best prompt for each user", values.best_by_user),
        ("best prompt for each user and film", values.best),
    ]


def _examples(folder: MovieFolder) -> Iterator[str]:
    sentences, tables = folder.sentences, folder.tables
    assert tables.prompts.text is not None
    for row in np.sort(named_generator(0, "card", "sentences").permutation(len(sentences.text))[:_SHOWN]):
        prompt = int(sentences.prompt_id[row])
        keyword = "" if prompt == NO_PROMPT else tables.prompts.text[prompt]
        yield f"| {tables.title[sentences.query_id[row]]} | {keyword} | {sentences.text[row]} |"


def _favourites(folder: MovieFolder, user: int) -> str:
    """The user's five best keywords, on average over the films."""
    from prompt_bandits.movie.building.card_figures import reward_of

    sentences, tables, bank, reward = folder.sentences, folder.tables, folder.bank, reward_of(folder)
    assert tables.prompts.text is not None
    mean = np.zeros(tables.n_prompts)
    for film in range(tables.n_items):
        table = reward.expected_table(np.array([user]), film, sentences.reward_features[bank.rows[film].ravel()])
        mean += table.reshape(tables.n_prompts, bank.n_slots).mean(axis=1)
    return ", ".join(tables.prompts.text[mean.argsort()[:-6:-1]])


def _axes(title: str, size: tuple[float, float] = (6, 3.6)) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize=10, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def values_figure(ladder: list[tuple[str, float]]) -> Any:
    """A bar for each (policy, value); all labels on the right of zero, where no name of a policy is."""
    figure, axes = _axes("Value of the best prompts that know so much")
    names, values = zip(*ladder, strict=True)
    axes.barh(names, values, color="#4477aa")
    for row, value in enumerate(values):
        end = (max(value, 0.0), row)
        axes.annotate(f"{value:+.2f}", end, xytext=(4, 0), textcoords="offset points", va="center")
    axes.axvline(0, color="black", linewidth=0.8)
    low, high = min(0.0, *values), max(0.0, *values)
    width = high - low or 1.0
    axes.set_xlim(low - 0.05 * width, high + 0.3 * width)  # a label has to fit on the right
    axes.invert_yaxis()
    axes.set_xlabel("policy value: gain over no prompt")
    return figure


def _plot_calibration(figures: CardFigures, file: Path) -> None:
    figure, axes = _axes("Reward simulator on held-out readings", (4.2, 4))
    axes.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=1)
    bins = figures.quality.bins
    axes.plot([one.predicted for one in bins], [one.observed for one in bins], "o-", color="#4477aa")
    axes.set_xlabel("predicted probability of a like")
    axes.set_ylabel("share of likes")
    figure.savefig(file, dpi=_DPI)


def _plot_aspects(figures: CardFigures, file: Path) -> None:
    figure, axes = _axes("Aspect of the best keyword, over users and films", (6, 4.8))
    ordered = sorted(figures.best_aspects.items(), key=lambda item: item[1])
    axes.barh([name for name, _ in ordered], [share for _, share in ordered], color="#4477aa")
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.set_xlabel("share of (user, film)")
    figure.savefig(file, dpi=_DPI)
