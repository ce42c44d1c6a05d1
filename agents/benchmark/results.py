"""Cells, the unit of a benchmark: one method in one world at one swept value, with one dataset and one optimiser where
these have seeds of their own; how they are kept and summed up.
"""

from __future__ import annotations

import json
import math
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from prompt_bandits.types import Estimate

from .measures import Measure, measure_of
from .methods import METHODS

Value: TypeAlias = "float | None"  # of the swept parameter; None where nothing is swept
VALUES = ("policy_value", "policy_value_se", "uniform_value", "optimal_value", "no_prompt_value")
NUMBERS = (*VALUES, "optimality", "wall_s", "peak_mb")
SEEDS = ("world_seed", "data_seed", "fit_seed")
_LATER = {"data_seed", "fit_seed", "no_prompt_value"}  # absent from what earlier versions wrote


class Key(NamedTuple):
    """What no other cell of a run has."""

    value: Value
    world_seed: int
    method: str
    data_seed: int | None = None
    fit_seed: int | None = None

    @property
    def where(self) -> str:
        """For people: which world, dataset and optimiser."""
        seeds = {"world": self.world_seed, "dataset": self.data_seed, "optimiser": self.fit_seed}
        return " · ".join(f"{name} {seed}" for name, seed in seeds.items() if seed is not None)


@dataclass(frozen=True)
class Cell:
    """One method in one world at one value; what could not be measured, or does not apply, is None.

    Raises:
        ValueError: a number that is not finite, an "ok" without its results, or a "failed" without its error.
    """

    setting: str
    parameter: str  # what is swept; "" for nothing
    value: Value
    world: str
    world_seed: int
    method: str  # with its variant, so that (value, world_seed, method) is unique
    label: str  # for people
    config: Mapping[str, Any] = field(default_factory=dict)  # of the learner, plain JSON
    environment: Mapping[str, Any] = field(default_factory=dict)
    status: Literal["ok", "failed"] = "ok"
    error: str | None = None
    policy_value: float | None = None
    policy_value_se: float | None = None
    uniform_value: float | None = None
    optimal_value: float | None = None
    optimality: float | None = None
    wall_s: float | None = None
    peak_mb: float | None = None
    curve: tuple[tuple[int, float], ...] = ()  # (step, policy value)
    versions: Mapping[str, str] = field(default_factory=dict)
    data_seed: int | None = None  # of the dataset, where it is not the world's
    fit_seed: int | None = None  # of the optimiser, likewise
    no_prompt_value: float | None = None

    def __post_init__(self) -> None:
        for name in ("value", *NUMBERS):
            _check_number(name, getattr(self, name))
        for step, value in self.curve:
            _check_number(f"curve at step {step}", value)
        if self.status not in ("ok", "failed"):
            raise ValueError(f"status: expected ok or failed, got {self.status!r}")
        if self.status == "failed" and not self.error:
            raise ValueError("error: expected a text in a cell that failed, got none")
        for name in ("policy_value", "optimality", self.measure.name):
            if self.status == "ok" and getattr(self, name) is None:
                raise ValueError(f"{name}: expected a number in a cell that is ok, got none")

    @property
    def key(self) -> Key:
        """What no other cell of the run has."""
        return Key(self.value, self.world_seed, self.method, self.data_seed, self.fit_seed)

    @property
    def measure(self) -> Measure:
        """How policies are compared in the cell's setting."""
        return measure_of(self.setting)

    @property
    def gain(self) -> float | None:
        """V(π) − V(no prompt)."""
        if self.policy_value is None or self.no_prompt_value is None:
            return None
        return self.policy_value - self.no_prompt_value

    @property
    def drawn(self) -> tuple[int, int | None]:
        """What cells are independent of each other by: world and dataset, or optimiser where there is no dataset."""
        return self.world_seed, self.fit_seed if self.data_seed is None else self.data_seed

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str | bytes) -> Cell:
        """What `to_json` gave.

        Raises:
            ValueError: not JSON, not these fields, or values that no cell has.
        """
        values = json.loads(line)
        if not isinstance(values, dict):
            raise ValueError(f"cell: expected a JSON object, got {type(values).__name__}")
        names = {f.name for f in fields(cls)}
        missing, unknown = sorted(names - values.keys() - _LATER), sorted(values.keys() - names)
        if missing or unknown:
            raise ValueError(f"cell: expected the fields of Cell, missing {missing}, unknown {unknown}")
        curve = tuple((int(step), value) for step, value in values.pop("curve"))
        return cls(**values, curve=curve)


def _check_number(name: str, value: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{name}: expected a finite number or none, got {value!r}")


def append_cell(path: Path, cell: Cell) -> None:
    """Adds a line to `path`, on disk when this returns; what a killed run left half written goes. One writer a file."""
    line = (cell.to_json() + "\n").encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("r+b" if path.exists() else "w+b") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(size - 1, 0))
        if stream.read(1) not in (b"", b"\n"):
            stream.seek(0)
            stream.seek(stream.read().rfind(b"\n") + 1)
            stream.truncate()
        stream.write(line)
        stream.flush()
        os.fsync(stream.fileno())


def read_cells(path: Path) -> list[Cell]:
    """The cells of a run, in order; of several with the same key the last. None where there is no file.

    A last line without its end, which a killed run leaves, is passed over.

    Raises:
        ValueError: any other line that holds no cell, by file and line number.
    """
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")[:-1]
    cells: dict[Key, Cell] = {}
    for number, line in enumerate(lines, start=1):
        try:
            cell = Cell.from_json(line)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}, line {number}: holds no cell ({error})") from error
        cells[cell.key] = cell
    return list(cells.values())


@dataclass(frozen=True)
class Run:
    """What a run's folder was asked for, and the cells that have ended."""

    settings: Mapping[str, Any]  # run.json
    cells: tuple[Cell, ...]

    @property
    def setting(self) -> str:
        return str(self.settings["setting"])

    @property
    def parameter(self) -> str:
        return str(self.settings["parameter"])

    @property
    def in_published_worlds(self) -> bool:
        """Whether worlds and logs are those of the published experiments."""
        changed = self.settings.get("world_config") or self.settings.get("base")
        return self.settings.get("world") == "published" and not changed

    @property
    def is_as_published(self) -> bool:
        """Whether published figures are of the same problems, learned in as many steps."""
        return self.in_published_worlds and self.settings.get("steps_scale", 1) == 1

    @property
    def measure(self) -> Measure:
        """How policies are compared."""
        return measure_of(self.setting)

    @property
    def n_asked(self) -> int:
        """Cells that a whole run has."""
        n = {name: len(self.settings.get(name, ())) for name in ("values", "methods", "seeds", "fit_seeds")}
        if not n["fit_seeds"]:
            return n["values"] * n["methods"] * n["seeds"]
        of = {"data_seed": n["seeds"], "fit_seed": n["fit_seeds"]}
        methods = [METHODS[name.partition("[")[0]] for name in self.settings["methods"]]
        return n["values"] * sum(math.prod(of[seed] for seed in method.seeds) for method in methods)

    @property
    def failures(self) -> tuple[Cell, ...]:
        return tuple(cell for cell in self.cells if cell.status == "failed")


def read_run(folder: Path) -> Run:
    """The run in a folder, as far as it got.

    Raises:
        ValueError: no run.json, or a damaged file.
    """
    file = folder / "run.json"
    if not file.is_file():
        raise ValueError(f"{folder}: expected the folder of a benchmark, found no run.json in it")
    try:
        settings = json.loads(file.read_bytes())
    except ValueError as error:
        raise ValueError(f"{file}: damaged ({error})") from error
    if not isinstance(settings, dict) or not {"setting", "parameter"} <= settings.keys():
        raise ValueError(f"{file}: expected an object with setting and parameter")
    return Run(settings, tuple(read_cells(folder / "cells.jsonl")))


@dataclass(frozen=True)
class Summary:
    """A method at a value, over the cells that ended."""

    value: Value
    method: str
    label: str
    optimality: Estimate | None  # mean ± s.e. as `mean_over`; None where all failed
    policy_value: Estimate | None
    wall_s: float | None  # mean
    peak_mb: float | None  # largest
    n_ok: int
    n_failed: int
    gain: Estimate | None = None


def summarise(cells: Iterable[Cell]) -> list[Summary]:
    """A row a (value, method): values ascending, methods in the order in which they first came."""
    groups: dict[tuple[Value, str], list[Cell]] = defaultdict(list)
    order: dict[str, int] = {}
    for cell in cells:
        groups[cell.value, cell.method].append(cell)
        order.setdefault(cell.method, len(order))
    ranked = sorted(groups, key=lambda key: (-math.inf if key[0] is None else key[0], order[key[1]]))
    return [_summary(groups[key]) for key in ranked]


def _summary(cells: Sequence[Cell]) -> Summary:
    ok = [cell for cell in cells if cell.status == "ok"]

    def fold(name: str, function: Callable[[list[float]], Any]) -> Any:
        numbers = [getattr(cell, name) for cell in ok if getattr(cell, name) is not None]
        return function(numbers) if numbers else None

    def mean(name: str) -> Estimate | None:
        numbers = [(cell, getattr(cell, name)) for cell in ok if getattr(cell, name) is not None]
        return mean_over(numbers) if numbers else None

    return Summary(
        value=cells[0].value,
        method=cells[0].method,
        label=cells[0].label,
        optimality=mean("optimality"),
        policy_value=mean("policy_value"),
        wall_s=fold("wall_s", lambda numbers: sum(numbers) / len(numbers)),
        peak_mb=fold("peak_mb", max),
        n_ok=len(ok),
        n_failed=len(cells) - len(ok),
        gain=mean("gain"),
    )


def mean_over(numbers: Iterable[tuple[Cell, float]]) -> Estimate:
    """Mean ± s.e. of the cells' numbers over worlds, or over datasets in one, each with the mean over its optimiser
    seeds.
    """
    groups = defaultdict[Any, list[float]](list)
    for cell, number in numbers:
        groups[cell.drawn].append(number)
    return mean_and_se(sum(own) / len(own) for own in groups.values())


def mean_and_se(numbers: Iterable[float]) -> Estimate:
    """Mean and standard error; one number has no standard error (`inf`)."""
    return Estimate.from_terms(np.array(list(numbers), dtype=np.float64))
