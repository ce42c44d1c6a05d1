"""A run as tasks: which cells and artefacts are missing, what each needs, and what is best begun first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .artefacts import Artefact
from .config import BenchmarkConfig
from .recipes import judged_artefact, references_artefact, stage_artefacts
from .results import Key, Value
from .settings import Experiment
from .variants import Variant, parse_method

# Seconds on one core at the published steps. Only their order matters, and only for how soon a run ends and cells,
# which all wait for the references, come.
_SECONDS = {"references": 1e3, "logging_policy": 60, "dataset": 2, "q_hat": 60, "r_hat": 60, "density": 15, "cell": 1}
_LEARNERS = {"DSO": 50.0, "SentenceDM": 60.0, "SentenceDR": 90.0, "RewardGreedy": 1.0}
_OTHERS = 35.0


@dataclass(frozen=True, eq=False)
class Task:
    """One thing to do in one process: an artefact to make, or a cell to fill.

    Args:
        key: the artefact's name, or the cell's key.
        experiment: of the cell, or of the first that asks for the artefact.
        what: the artefact, or the method of the cell.
        value: of the swept parameter; of a cell.
        needs: keys of artefacts that come before.
    """

    key: str | Key
    experiment: Experiment
    what: Artefact | Variant
    value: Value = None
    needs: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The artefact's stage, or "cell"."""
        return self.what.stage if isinstance(self.what, Artefact) else "cell"

    @property
    def name(self) -> str:
        """For people: what."""
        if isinstance(self.what, Variant):
            return self.what.name
        return f"{self.what.stage} {self.what.label}"

    @property
    def about(self) -> str:
        """For people: what and where."""
        where = self.key.where if isinstance(self.key, Key) else f"world {self.experiment.seed}"
        return f"{self.name} · {where}" + ("" if self.value is None else f" · {self.value:g}")

    @property
    def seconds(self) -> float:
        """A guess."""
        if isinstance(self.what, Artefact) and self.kind == "policies":
            return _LEARNERS.get(str(self.what.recipe["learner"]), _OTHERS)
        return _SECONDS.get(self.kind, _OTHERS)


class Plan:
    """The tasks of a run, each once.

    Args:
        folder: of the run; what is there is not planned.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tasks = dict[str | Key, Task]()

    def cells(self, config: BenchmarkConfig, finished: Iterable[Key]) -> None:
        """All cells but the finished ones, with what they need."""
        known = set(finished)
        for key, (experiment, variant) in config.cells().items():
            if key not in known:
                asked = [references_artefact(experiment), judged_artefact(experiment, variant)]
                needs = [name for artefact in asked if artefact for name in self._artefact(artefact, experiment)]
                self.tasks[key] = Task(key, experiment, variant, key.value, tuple(needs))

    def stage(self, stage: str, config: BenchmarkConfig) -> None:
        """The artefacts of one published stage before the evaluation, with what they need."""
        for experiment, artefact in asked_of_stage(stage, config):
            self._artefact(artefact, experiment)

    def _artefact(self, artefact: Artefact, experiment: Experiment) -> tuple[str, ...]:
        """Plans an artefact unless it exists, with what it needs; its key, if one has to wait for it."""
        if artefact.name not in self.tasks:
            if artefact.exists(self.folder):
                return ()
            needs = [key for need in artefact.needs.values() for key in self._artefact(need, experiment)]
            self.tasks[artefact.name] = Task(artefact.name, experiment, artefact, None, tuple(needs))
        return (artefact.name,)


def asked_of_stage(stage: str, config: BenchmarkConfig) -> list[tuple[Experiment, Artefact]]:
    """The artefacts of a stage before the evaluation, each once."""
    found = dict[str, tuple[Experiment, Artefact]]()
    for _, _, experiment in config.experiments():
        for artefact in stage_artefacts(stage, experiment, [parse_method(name) for name in config.methods]):
            found.setdefault(artefact.name, (experiment, artefact))
    return list(found.values())


def in_order(tasks: Mapping[str | Key, Task], workers: int) -> list[Task]:
    """What is to begin first of what may begin: cells, which take no time, then the longest chain, so many worlds
    (or datasets in one) at a time, so that cells are finished all along.
    """
    ahead = dict.fromkeys(tasks, 0.0)  # seconds from a task's begin to the end of the longest chain behind it
    for key in reversed(_needed_first(tasks)):
        ahead[key] += tasks[key].seconds
        for need in tasks[key].needs:
            ahead[need] = max(ahead[need], ahead[key])
    seeds = {key: (task.experiment.seed, task.experiment.data_seed) for key, task in tasks.items()}
    worlds = {seed: i for i, seed in enumerate(dict.fromkeys(seeds.values()))}

    def rank(task: Task) -> tuple[int, bool, float]:
        return worlds[seeds[task.key]] // workers, task.kind != "cell", -ahead[task.key]

    return sorted(tasks.values(), key=rank)


def _needed_first(tasks: Mapping[str | Key, Task]) -> list[str | Key]:
    order = dict[str | Key, None]()

    def visit(key: str | Key) -> None:
        if key not in order:
            for need in tasks[key].needs:
                visit(need)
            order[key] = None

    for key in tasks:
        visit(key)
    return list(order)
