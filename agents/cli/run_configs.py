"""The config.yaml of a benchmark's folder: the options that ask for all that the folder was ever asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..configs import to_plain, write_values
from .common import CONFIG

if TYPE_CHECKING:
    from ..benchmark.config import BenchmarkConfig
    from ..benchmark.ope.settings import OpeBenchmark


def store_benchmark(folder: Path) -> None:
    """Writes it, from what the run's own file says; nothing where there is no run, or one of values that no option
    sets, which was started from Python.
    """
    from ..benchmark.run_folder import stored_config
    from .run_arguments import OWN_OPTIONS

    config = stored_config(folder)
    if config is not None and {*config.base} <= {*OWN_OPTIONS}:
        write_values({"command": "benchmark", "out": folder, **benchmark_options(config)}, folder / CONFIG)


def benchmark_options(config: BenchmarkConfig) -> dict[str, Any]:
    """The options of `prompt-bandits benchmark` that make this config."""
    from .run_arguments import QUICK_EVALUATION

    options: dict[str, Any] = {
        "setting": config.setting,
        "values": config.values if config.parameter else None,
        "methods": config.methods,
        "seeds": _seeds(config.seeds),
        "fit_seeds": _seeds(config.fit_seeds),
        "world": None if config.fit_seeds else config.world,
        "environment": config.world_config,
        **config.base,
        "steps_scale": config.steps_scale,
        "quick": config.evaluation == QUICK_EVALUATION,
    }
    return _given(options)


def store_ope_benchmark(folder: Path) -> None:
    """As `store_benchmark`, for a run of ope-benchmark."""
    from ..benchmark.ope.runner import RUN, read_settings

    if (folder / RUN).is_file():
        options = ope_options(read_settings(folder))
        write_values({"command": "ope-benchmark", "out": folder, **options}, folder / CONFIG)


def ope_options(settings: OpeBenchmark) -> dict[str, Any]:
    """The options of `prompt-bandits ope-benchmark` that make these settings."""
    return _given({**settings.to_json(), "worlds": _seeds(settings.worlds)})


def _seeds(seeds: tuple[int, ...]) -> str | None:
    return ",".join(map(str, seeds)) or None


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: to_plain(value) for name, value in options.items() if value not in (None, (), {}, [])}
