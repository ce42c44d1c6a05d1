"""What a process of the benchmark does with a task."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import recipes, stages
from .artefacts import versions
from .config import BenchmarkConfig
from .plan import Task
from .results import Cell
from .settings import Experiment
from .variants import Variant


@dataclass(frozen=True)
class Job:
    """A task, and where it belongs."""

    task: Task
    folder: Path
    config: BenchmarkConfig


def perform(job: Job) -> Cell | None:
    """Does a task; a cell comes back, artefacts stay in the folder."""
    if isinstance(job.task.what, Variant):
        return filled_cell(job, job.task.what)
    stages.make(job.folder, job.task.experiment, job.task.what)
    return None


def filled_cell(job: Job, variant: Variant) -> Cell:
    """The cell with its numbers."""
    judged = stages.evaluate(job.folder, job.task.experiment, variant)
    return Cell(
        **_heading(job, variant),
        policy_value=judged.value.value,
        policy_value_se=judged.value.se,
        uniform_value=judged.beside.uniform.value,
        optimal_value=judged.beside.optimal.value,
        no_prompt_value=judged.beside.no_prompt.value,
        optimality=judged.optimality,
        curve=tuple(judged.curve),
        wall_s=judged.cost.wall_s,
        peak_mb=judged.cost.peak_mb,
    )


def failed_cell(job: Job, variant: Variant, error: str) -> Cell:
    """The cell, with why it has no numbers."""
    return Cell(**_heading(job, variant), status="failed", error=error)


def _heading(job: Job, variant: Variant) -> dict[str, Any]:
    task, config = job.task, job.config
    return {
        "setting": config.setting,
        "parameter": config.parameter,
        "value": task.value,
        "world": config.world,
        "world_seed": task.experiment.seed,
        "data_seed": task.experiment.data_seed,
        "fit_seed": task.experiment.fit_seed,
        "method": variant.name,
        "label": variant.label,
        "config": _config(task.experiment, variant),
        "environment": asdict(task.experiment.environment),
        "versions": versions(),
    }


def _config(experiment: Experiment, variant: Variant) -> dict[str, Any]:
    """The learner's fields, where its policy is, the fitted models that it was given, and the log it learnt from."""
    judged = recipes.judged_artefact(experiment, variant)
    if judged is None:
        return {}
    learner = variant.learner(experiment)
    own = {} if learner is None else {"learner": type(learner).__name__, **asdict(learner)}
    found = {**own, "artefact": judged.name}
    if variant.method.online:
        return found
    log = {name: getattr(experiment, name) for name in ("n", "beta", "reward_std_for_regression")}
    return {**found, "given": judged.given(), "log": log}
