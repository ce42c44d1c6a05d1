"""Folders of benchmark runs that nobody ran: cells drawn around the published means."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from agents.benchmark.published import published_mean
from agents.benchmark.results import Cell, append_cell

LABELS = {
    "uniform": "Uniform",
    "logging": "Logging policy",
    "optimal": "Optimal",
    "online_reinforce": "Online REINFORCE",
    "regression": "Regression",
    "regression_greedy": "Regression, greedy",
    "ips": "IPS",
    "dr": "DR",
    "potec": "POTEC",
    "dso": "DSO",
    "sentence_dm": "Sentence DM",
    "sentence_dr": "Sentence DR",
}
KERNELS = ("dso", "dso[density_by=monte_carlo]", "dso[kernel=uniform]", "dso[kernel=uniform,density_by=monte_carlo]")
PARAMETERS = {
    "default": ("", [None]),
    "data_size": ("n", [500, 1000, 2000, 4000, 8000]),
    "candidate_actions": ("n_actions", [10, 50, 100, 500, 1000]),
    "reward_noise": ("reward_std", [0.0, 1.0, 2.0, 3.0]),
    "kernel_bandwidth": ("tau", [0.5, 1.0, 2.0, 4.0]),
    "logging_policy": ("beta", [0.0, 0.5, 1.0, 2.0, 4.0]),
}
SCRIPT = "<script>alert(1)</script>"
VERSIONS = {"prompt_bandits": "0.2.0", "torch": "2.4.1", "numpy": "2.1.0", "python": "3.11.7"}


def made_up_cell(setting: str, value: float | None, seed: int, method: str, **changes: Any) -> Cell:
    """A cell that ended; its optimality lies around the published mean, the world's scale depends on the seed."""
    noise = np.random.Generator(np.random.Philox(key=[seed, sum(map(ord, method)) + int(100 * (value or 0))]))
    uniform, optimal = 0.02 + 0.03 * seed, 0.8 + 0.05 * seed
    reached = _mean(setting, value, method) + (0.05 * noise.normal() if method not in ("uniform", "optimal") else 0.0)
    learnt = method not in ("uniform", "optimal", "logging")
    curve = [
        (step, uniform + (optimal - uniform) * (reached * (1 - np.exp(-step / 5000)) + 0.01 * noise.normal()))
        for step in range(0, 21_000, 1_000)
    ]
    fields = {
        "label": LABELS.get(method, method.replace("dso[", "DSO (").replace("]", ")").replace(",", ", ")),
        "config": _config(method) if learnt else {},
        "environment": {"world": "published", "world_seed": seed, "n_actions": 1000, "reward_std": 1.0},
        "policy_value": uniform + (optimal - uniform) * reached,
        "policy_value_se": 0.004,
        "uniform_value": uniform,
        "optimal_value": optimal,
        "optimality": reached,
        "wall_s": float(20 + 10 * noise.random()) if learnt else 0.4,
        "peak_mb": float(500 + 50 * noise.random()),
        "curve": tuple((step, float(value)) for step, value in curve) if learnt else (),
        "versions": VERSIONS,
    }
    heading = {"setting": setting, "parameter": PARAMETERS[setting][0], "value": value, "world": "published"}
    return Cell(**{**heading, "world_seed": seed, "method": method, **fields, **changes})


def _mean(setting: str, value: float | None, method: str) -> float:
    if method in ("uniform", "optimal"):
        return float(method == "optimal")
    known = published_mean(setting, value, method) or published_mean("default", None, method)
    return known.optimality if known else {"sentence_dm": 0.88, "sentence_dr": 0.85}.get(method, 0.4)


def _config(method: str) -> dict[str, Any]:
    base = {"learner": method.split("[")[0], "lr": 5e-4, "steps": 20_000, "batch_size": 32, "clip": 200.0}
    if not method.startswith("dso"):
        return base
    return {
        **base,
        "kernel": "uniform" if "kernel=uniform" in method else "gaussian",
        "density_by": "monte_carlo" if "monte_carlo" in method else "function",
    }


def failed_cell(setting: str, value: float | None, seed: int, method: str, error: str) -> Cell:
    """A cell that did not end."""
    empty = dict.fromkeys(
        ("policy_value", "policy_value_se", "uniform_value", "optimal_value", "optimality", "wall_s", "peak_mb")
    )
    return made_up_cell(setting, value, seed, method, **empty, curve=(), status="failed", error=error)


def made_up_cells(
    setting: str, methods: Sequence[str] = tuple(LABELS), seeds: Sequence[int] = range(5), values: Any = None
) -> Iterator[Cell]:
    """All cells of a run."""
    for seed in seeds:
        for value in values or PARAMETERS[setting][1]:
            for method in methods:
                yield made_up_cell(setting, value, seed, method)


def write_run(folder: Path, setting: str, cells: Sequence[Cell], **settings: Any) -> Path:
    """The folder as the runner leaves it."""
    parameter, values = PARAMETERS[setting]
    asked = {
        "setting": setting,
        "parameter": parameter,
        "values": values,
        "methods": list(dict.fromkeys(cell.method for cell in cells)),
        "seeds": sorted({cell.world_seed for cell in cells}),
        "world": "published",
        "world_config": {},
        "base": {},
        "steps_scale": 1.0,
        "evaluation": {"contexts": 10_000, "curve_contexts": 2_000, "curve_every": 1_000},
        "versions": VERSIONS,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps({**asked, **settings}))
    for cell in cells:
        append_cell(folder / "cells.jsonl", cell)
    return folder


def few(setting: str = "data_size", methods: tuple[str, ...] = ("logging", "dso", "mine"), **more: Any) -> list[Cell]:
    """Cells of three worlds."""
    return list(made_up_cells(setting, methods, **{"seeds": range(3), **more}))


def hostile_run(folder: Path) -> Path:
    """Every text that comes from data tries to be more than text."""
    attack = f'{SCRIPT}"\'><img src=x onerror="alert(2)"></script>'
    cells = few(methods=("dso", SCRIPT), values=[500, 1000, 8000], seeds=range(2))
    cells = [
        replace(cell, config={attack: attack}, versions={attack: attack})
        if cell.method == "dso"
        else replace(cell, label=attack, config={"fields": [attack]})
        for cell in cells
    ]
    cells.append(failed_cell("data_size", 500, 7, "dso", f"ValueError: {attack}\n  in its second line {'x' * 300}"))
    cells.append(replace(failed_cell("data_size", 500, 7, "ips", attack), label=attack))
    return write_run(folder, "data_size", cells, world=attack, world_config={attack: attack}, versions={attack: attack})
