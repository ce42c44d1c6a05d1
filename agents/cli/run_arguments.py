"""Arguments that say what a run is, shared by the benchmark and its stages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..benchmark.config import BenchmarkConfig, benchmark_config, parse_seeds
from ..benchmark.plain_values import parse_fields
from ..benchmark.settings import SETTINGS, Evaluation
from ..benchmark.variants import specialised, split_methods
from .common import CommonArgs

SettingName = Literal[
    "default",
    "data_size",
    "candidate_actions",
    "reward_noise",
    "kernel_bandwidth",
    "logging_policy",
    "reward_regression",
    "output_noise",
    "movie",
    "movie_published",
]
_ENVIRONMENT = ("n_actions", "reward_std")
OWN_OPTIONS = ("n", "beta", "reward_std_for_regression", "tau", "emb_noise", "predictor_steps", "optimizer", "lr")
_QUICK: dict[str, Any] = {"n": 500, "n_actions": 50}
QUICK_EVALUATION = Evaluation(contexts=1000, curve_contexts=200, curve_every=50)


@dataclass(frozen=True)
class RunArgs(CommonArgs):
    """What is not given is as in the folder, if a run is there, else as published."""

    out: Path
    """the run's folder: new, or one to go on with"""
    setting: SettingName | None = None
    """what is swept; movie, which sweeps nothing, is the published experiment with text"""
    values: tuple[float, ...] | None = None
    """of what is swept; the published ones unless given"""
    methods: tuple[str, ...] | None = None
    """such as dso ips sentence_dm, all, or with fields of the learner: 'dso[kernel=uniform,tau=2]'"""
    seeds: str | None = None
    """of the worlds, in movie of the datasets: 0:20 (0 to 19), 0,3,5 or 7"""
    fit_seeds: str | None = None
    """movie: of the optimisers, each for every dataset"""
    world: Literal["published", "independent"] | None = None
    """whose matrices; of synthetic worlds"""
    n: int | None = None
    """logged rounds"""
    n_actions: int | None = None
    """candidate prompts"""
    reward_std: float | None = None
    """noise of rewards"""
    reward_std_for_regression: float | None = None
    """noise of the rewards that reward models see; that of the log unless given"""
    beta: float | None = None
    """inverse temperature of the logging policy"""
    tau: float | None = None
    """bandwidth of the output kernel, three times as wide for the uniform one; of methods that do not name their own"""
    emb_noise: float | None = None
    """noise on outputs inside the kernel, likewise"""
    environment: tuple[str, ...] = ()
    """further fields of the environment, SyntheticConfig or MovieConfig: mapping=linear, assets=path/to/folder"""
    kernel: Literal["gaussian", "uniform", "laplace", "epanechnikov"] | None = None
    """for every method with a kernel that does not name its own"""
    density_by: Literal["function", "monte_carlo", "nearest"] | None = None
    """for every method with a density that does not name its own"""
    q_hat: Literal["published", "quick", "pessimistic", "two_stage", "sentence"] | None = None
    """the reward model by action, for every method with one that does not name its own"""
    predictor_steps: int | None = None
    """of reward models by action and of densities, where they are as published"""
    optimizer: str | None = None
    """of the published offline learners that do not name their own: Adam, or Adagrad in movie_published"""
    lr: float | None = None
    """likewise"""
    steps_scale: float | None = None
    """multiplies all numbers of gradient steps; below 1 for a first look"""
    quick: bool = False
    """a smoke run: 500 rounds, 50 prompts, a hundredth of the steps, one seed, unless given otherwise"""
    workers: int | None = None
    """processes at a time; as many as cores unless given"""


def config_of(args: RunArgs, stored: BenchmarkConfig | None) -> BenchmarkConfig:
    """What the arguments ask for, upon what the folder's run was asked for.

    Raises:
        ValueError: as `benchmark_config`.
    """
    setting = args.setting or (stored.setting if stored else "default")
    same = stored if stored is not None and stored.setting == setting else None
    quick = _QUICK if args.quick else {}
    scale = 0.01 if args.quick and args.steps_scale is None else args.steps_scale
    seeds, fit_seeds = (_seeds(args, name, same) for name in ("seeds", "fit_seeds"))
    if args.quick:
        seeds, fit_seeds = seeds or (0,), fit_seeds or (0,)[: SETTINGS[setting].n_fit_seeds]
    return benchmark_config(
        setting,
        values=args.values if args.values is not None else (same.values if same and same.parameter else None),
        methods=_methods(args, setting, same),
        seeds=seeds,
        fit_seeds=fit_seeds,
        world=args.world or (same.world if same else None),
        world_config={
            **(same.world_config if same else {}),
            **_unswept(quick, _ENVIRONMENT, setting),
            **parse_fields(SETTINGS[setting].environment, args.environment),
            **_given(args, _ENVIRONMENT),
        },
        base={**(same.base if same else {}), **_unswept(quick, OWN_OPTIONS, setting), **_given(args, OWN_OPTIONS)},
        steps_scale=scale if scale is not None else (stored.steps_scale if stored else 1.0),
        evaluation=QUICK_EVALUATION if args.quick else (stored.evaluation if stored else None),
    )


def _seeds(args: RunArgs, name: str, stored: BenchmarkConfig | None) -> tuple[int, ...] | None:
    """None: the setting's own."""
    text = getattr(args, name)
    if text is not None:
        return parse_seeds(text, name)
    return None if stored is None else getattr(stored, name)


def _given(args: RunArgs, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}


def _unswept(values: dict[str, Any], names: tuple[str, ...], setting: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in names and name != SETTINGS[setting].parameter}


def _methods(args: RunArgs, setting: str, stored: BenchmarkConfig | None) -> tuple[str, ...]:
    methods = stored.methods if stored else SETTINGS[setting].methods
    if args.methods is not None:
        methods = split_methods(args.methods)
    wanted = {"kernel": args.kernel, "density_by": args.density_by, "q_hat": args.q_hat}
    options = {name: value for name, value in wanted.items() if value is not None}
    return tuple(specialised(method, options) for method in methods)
