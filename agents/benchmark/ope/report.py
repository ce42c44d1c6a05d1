"""All that a run's folder shows of its trials: tables, plots, and a report in one file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_bandits.datasets.files import whole_file

from ...ope.judging.judgement import Choices, Errors, Judgement
from ..pages import page, picture
from ..plots import write_plots
from .exports import write_tables
from .plots import figures
from .runner import RUN, judgement, read_settings, read_trials
from .settings import POLICIES, OpeBenchmark
from .tables import AMONG, choices_table, errors_table, mse_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CAPTIONS = {
    "error": "Root of the mean squared error over datasets against the number of logged rounds, both on logarithmic "
    "scales: lower is better, and an unbiased estimator falls tenfold while n grows a hundredfold.",
    "distribution": "How large errors are, at the largest n: a curve is the share of datasets with an error of at most "
    "so much. Further left is better; a curve that ends far right is now and then far off.",
    "coverage": "The share of the intervals that hold the truth; the dotted line is what they promise. The interval "
    "of a biased estimator is too narrow, but for that of auto, which holds what is not known of its bias.",
}


def write_results(folder: str | Path) -> None:
    """(Re)writes trials, errors and choices (.parquet, .csv), table.md, plots/*.png and report.html of a run.

    Raises:
        ValueError: no run there, or a damaged file.
        ImportError: matplotlib is not installed; the tables are written all the same.
    """
    folder = Path(folder)
    settings = read_settings(folder)
    found = judgement(settings, read_trials(folder))
    errors, choices = found.errors(), found.choices(settings.k, settings.threshold)
    write_tables(folder, found, errors, choices)
    with whole_file(folder / "table.md") as stream:
        stream.write(f"{mse_table(errors)}\n{_choices_part(choices)}".encode())
    drawn = figures(found, errors, settings.level)
    write_plots(folder, drawn)
    with whole_file(folder / "report.html") as stream:
        stream.write(report(folder, settings, found, drawn).encode())


def _choices_part(choices: Sequence[Choices]) -> str:
    return str(choices_table(choices)) if _ranks(choices) else ""


def _ranks(choices: Sequence[Choices]) -> bool:
    """Whether there were several policies to choose from."""
    return any(one.rank_correlation is not None for one in choices)


def report(folder: Path, settings: OpeBenchmark, found: Judgement, drawn: Mapping[str, Figure]) -> str:
    """The report as HTML."""
    errors, choices = found.errors(), found.choices(settings.k, settings.threshold)
    n_jobs = len(list(settings.jobs()))
    n_done = len({(one.n, one.n_actions, one.world, one.dataset) for one in found.trials})
    stored = json.loads((folder / RUN).read_bytes())
    return page(
        "ope_report.html.jinja",
        pictures=[picture(name, _CAPTIONS[name], figure) for name, figure in drawn.items()],
        mse=mse_table(errors),
        errors=errors_table(errors),
        choices=choices_table(choices) if _ranks(choices) else None,
        k=settings.k,
        threshold=settings.threshold,
        among=AMONG,
        policies={name: POLICIES[name][0] for name in settings.policies},
        beta=f"{settings.beta:g}",
        facts=_facts(settings, n_done),
        missing=n_jobs - n_done,
        truth_se=_truth_se(found, errors),
        settings={name: json.dumps(value, ensure_ascii=False) for name, value in stored["settings"].items()},
        versions=stored["versions"],
    )


def _facts(settings: OpeBenchmark, n_done: int) -> list[tuple[int, str]]:
    return [
        (n_done, "logs"),
        (len(settings.worlds), "worlds"),
        (len(settings.policies), "policies"),
        (len(settings.estimators), "estimators"),
    ]


def _truth_se(found: Judgement, errors: Sequence[Errors]) -> float | None:
    """The largest share of an MSE that the truth's own error can account for."""
    shares = []
    for row in errors:
        if row.mse is not None and row.mse.value > 0:
            own = [one for one in found.trials if (one.n, one.n_actions, one.policy, one.estimator) == row.cell]
            shares.append(sum(one.truth_se**2 for one in own) / len(own) / row.mse.value)
    return max(shares) if shares else None
