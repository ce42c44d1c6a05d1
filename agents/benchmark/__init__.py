"""The published experiments as one command: settings, stages, results, report.

`run_benchmark(benchmark_config("data_size", methods=("dso", "sentence_dm"), seeds=(0, 1)), "runs/x")` fills a folder
with cells, one a method, world and value; `prompt-bandits benchmark` is the same from a shell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .config import BenchmarkConfig, benchmark_config, parse_seeds
from .methods import METHODS
from .settings import SETTINGS, Evaluation, Experiment, Setting
from .variants import Variant, parse_method, specialised

if TYPE_CHECKING:
    from .runner import Done, Interrupted, run_benchmark, run_stage

__all__ = [
    "METHODS",
    "SETTINGS",
    "BenchmarkConfig",
    "Done",
    "Evaluation",
    "Experiment",
    "Interrupted",
    "Setting",
    "Variant",
    "benchmark_config",
    "parse_method",
    "parse_seeds",
    "run_benchmark",
    "run_stage",
    "specialised",
]


def __getattr__(name: str) -> Any:
    """What runs is loaded when it is asked for: it needs PyTorch, the rest does not."""
    if name in __all__:
        from . import runner

        return getattr(runner, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
