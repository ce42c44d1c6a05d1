"""All that a run's folder shows of its cells: tables, plots, and a report in one file that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prompt_bandits.datasets.files import whole_file

from .exports import write_cells, write_means
from .measures import GAIN
from .pages import Picture, page, picture
from .pairing import paired_table, worlds_table
from .plots import figures, write_plots
from .published import SOURCE
from .results import Cell, Run, read_run
from .tables import failures_table, results_table, write_markdown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CAPTIONS = {
    "ablation": "Optimality over kernels and the ways to find the density of outputs, mean ± s.e. over worlds.",
    "optimality": "Optimality, mean ± s.e. over worlds.",
    "gain": "Gain over no prompt. A dot is a dataset with an optimiser seed, in rows by dataset; a box holds the "
    "middle half of them, its line is the median; numbers are means ± s.e. over datasets. Baselines have one value.",
    "learning_curves": "Learning curves: {title} of the policy in training, mean ± s.e. over {over}.",
}
_HOLLOW = "Hollow marks are published; an arrow stands on what is only a lower bound."
_COSTS = (
    "Time: learning, learning curves and judging, without the models that methods share; memory: the whole process; a "
    "mean and a maximum."
)
_PUBLISHED = "Published: ≥ a lower bound (its density model was fitted for another noise level), ≈ read off a figure."


def write_results(folder: str | Path) -> None:
    """(Re)writes results.parquet, results.csv, table.csv, table.md, plots/*.png and report.html from the run's cells.

    Whatever has ended is shown; cells that are missing or have failed are counted.

    Raises:
        ValueError: no run.json there, or a damaged file.
        ImportError: matplotlib is not installed; the tables are written all the same.
    """
    folder = Path(folder)
    run = read_run(folder)
    write_cells(folder, run)
    write_means(folder, run)
    write_markdown(folder, run)
    drawn = figures(run)
    write_plots(folder, drawn)
    with whole_file(folder / "report.html") as stream:
        stream.write(report(run, drawn).encode())


def report(run: Run, drawn: Mapping[str, Figure]) -> str:
    """The report as HTML: one file, no network, every text from data escaped."""
    return page(
        "report.html.jinja",
        run=run,
        pictures=[_picture(name, figure, run) for name, figure in drawn.items()],
        results=results_table(run),
        paired=paired_table(run),
        worlds=worlds_table(run),
        failures=failures_table(run),
        about=run.measure.about if run.measure is GAIN else f"{run.measure.about} Published: {SOURCE}, 20 worlds.",
        legend=_COSTS if run.measure is GAIN else f"{_COSTS} {_PUBLISHED}",
        facts=_facts(run),
        notes=_notes(run),
        settings={name: _json(value) for name, value in run.settings.items() if name != "versions" and value != ""},
        configs=_configs(run),
        versions=_versions(run),
    )


def _picture(name: str, figure: Figure, run: Run) -> Picture:
    caption = _CAPTIONS[name].format(title=run.measure.title, over="datasets" if run.measure is GAIN else "worlds")
    if name in ("ablation", "optimality"):
        caption = f"{caption} {_HOLLOW}"
    return picture(name, caption, figure)


def _facts(run: Run) -> list[tuple[int, str]]:
    """How large the run is and how far it got."""
    counts = {name: len(run.settings.get(name, ())) for name in ("values", "methods", "seeds", "fit_seeds")}
    facts = [(counts["values"], f"values of {run.parameter}")] if run.parameter else []
    facts.append((counts["methods"], "methods"))
    if counts["fit_seeds"]:
        facts += [(counts["seeds"], "dataset seeds"), (counts["fit_seeds"], "optimiser seeds")]
    else:
        facts.append((counts["seeds"], f"worlds ({run.settings.get('world', 'unknown')})"))
    facts.append((len(run.cells) - len(run.failures), "cells done"))
    ends = [(len(run.failures), "failed"), (run.n_asked - len(run.cells), "to come")]
    return facts + [(count, what) for count, what in ends if count > 0]


def _notes(run: Run) -> list[str]:
    """What a reader has to know to compare the figures."""
    notes = []
    changed = {**(run.settings.get("world_config") or {}), **(run.settings.get("base") or {})}
    listed = ", ".join(f"{name} = {value}" for name, value in changed.items())
    if run.measure is GAIN:
        if changed:
            notes.append(f"Not the published settings ({listed}).")
    elif run.settings.get("world") != "published":
        notes.append("The worlds are not the published ones: the published figures are means over other worlds.")
    elif not run.in_published_worlds:
        notes.append(f"Not the published settings ({listed}): the published figures are of other problems.")
    if run.settings.get("steps_scale", 1) != 1:
        notes.append(
            f"All numbers of training steps are multiplied by {run.settings['steps_scale']}: a first look, that no "
            "published figure stands beside."
        )
    return notes


def _configs(run: Run) -> list[tuple[str, str]]:
    """(label, JSON) of each method's learner, as in the first cell that it has."""
    first: dict[str, Cell] = {}
    for cell in run.cells:
        if cell.config:
            first.setdefault(cell.method, cell)
    return [(cell.label, _json(cell.config, indent=1)) for cell in first.values()]


def _json(value: Any, indent: int | None = None) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=indent, ensure_ascii=False)


def _versions(run: Run) -> dict[str, str]:
    """Of each package, all versions that cells were computed with."""
    found: dict[str, dict[str, None]] = {}
    for versions in (run.settings.get("versions") or {}, *(cell.versions for cell in run.cells)):
        for package, version in versions.items():
            found.setdefault(package, {})[str(version)] = None
    return {package: ", ".join(versions) for package, versions in found.items()}
