"""What a run of the benchmark is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import product
from typing import Any

from .results import Key
from .settings import OWN_PARAMETERS, SETTINGS, Environment, Evaluation, Experiment, Setting
from .variants import Variant, parse_method


@dataclass(frozen=True)
class BenchmarkConfig:
    """A run: a setting over values, methods and seeds. Make one with `benchmark_config`, which fills in and checks."""

    setting: str
    values: tuple[Any, ...]
    methods: tuple[str, ...]  # as `parse_method` reads them
    seeds: tuple[int, ...]  # of worlds; with optimiser seeds beside them, of datasets in one world
    fit_seeds: tuple[int, ...] = ()  # of optimisers; none where the world's seed is the seed of everything
    world: str = "published"
    world_config: Mapping[str, Any] = field(default_factory=dict)  # fields of the environment that differ
    base: Mapping[str, Any] = field(default_factory=dict)  # fields of Experiment that differ from the setting's
    steps_scale: float = 1.0
    evaluation: Evaluation = field(default_factory=Evaluation)

    @property
    def preset(self) -> Setting:
        return SETTINGS[self.setting]

    @property
    def parameter(self) -> str:
        return self.preset.parameter

    def experiment(self, value: Any, seed: int, fit_seed: int | None = None) -> Experiment:
        """The world of this seed, or the dataset and the optimiser of these seeds, at a swept value."""
        own = {**self.preset.base, **self.base, "steps_scale": self.steps_scale, "evaluation": self.evaluation}
        environment: Environment
        if self.preset.n_fit_seeds:
            environment = self.preset.environment(**self.world_config)
            own |= {"data_seed": seed, "fit_seed": fit_seed}
        else:
            environment = self.preset.environment(**{**self.world_config, "world": self.world, "world_seed": seed})
        if self.parameter in OWN_PARAMETERS:
            own[self.parameter] = value
        elif self.parameter:
            environment = replace(environment, **{self.parameter: value})
        return Experiment(environment, **own)

    def experiments(self) -> Iterator[tuple[Any, int, Experiment]]:
        """(value, seed, experiment), world by world or dataset by dataset."""
        for seed, fit_seed in product(self.seeds, self.fit_seeds or (None,)):
            for value in self.values:
                yield value, seed, self.experiment(value, seed, fit_seed)

    def cells(self) -> dict[Key, tuple[Experiment, Variant]]:
        """All of the run, each with the seeds that its method depends on and no others."""
        variants, found = [parse_method(name) for name in self.methods], dict[Key, tuple[Experiment, Variant]]()
        for value, _, experiment in self.experiments():
            for variant in variants:
                needless = {"data_seed", "fit_seed"} - {*variant.method.seeds}
                own = replace(experiment, **dict.fromkeys(needless))  # type: ignore[arg-type]
                found.setdefault(Key(value, own.seed, variant.name, own.data_seed, own.fit_seed), (own, variant))
        return found

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "parameter": self.parameter}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> BenchmarkConfig:
        """What `to_json` gave; further entries are left aside."""
        known = {f.name: values[f.name] for f in fields(cls) if f.name in values or f.name not in _LATER}
        for name in ("values", "methods", "seeds", "fit_seeds"):
            known[name] = tuple(known.get(name, ()))
        return cls(**{**known, "evaluation": Evaluation(**known["evaluation"])})


_LATER = ("fit_seeds",)  # absent from what earlier versions wrote


def benchmark_config(
    setting: str = "default",
    *,
    values: tuple[float, ...] | None = None,
    methods: tuple[str, ...] | None = None,
    seeds: tuple[int, ...] | None = None,
    fit_seeds: tuple[int, ...] | None = None,
    world: str | None = None,
    world_config: Mapping[str, Any] | None = None,
    base: Mapping[str, Any] | None = None,
    steps_scale: float = 1.0,
    evaluation: Evaluation | None = None,
) -> BenchmarkConfig:
    """A run of a setting, with the setting's own values, methods and numbers of seeds where none are given.

    Raises:
        ValueError: an unknown setting, method, world or field, a value out of range, or one given for what is swept.
    """
    if setting not in SETTINGS:
        raise ValueError(f"setting: expected one of {', '.join(SETTINGS)}, got {setting!r}")
    preset = SETTINGS[setting]
    config = BenchmarkConfig(
        setting=setting,
        values=_distinct(preset.check_value(value) for value in (preset.values if values is None else values)),
        methods=_distinct(parse_method(method).name for method in (methods or preset.methods)),
        seeds=_distinct(seeds if seeds is not None else range(preset.n_seeds)),
        fit_seeds=_distinct(fit_seeds if fit_seeds is not None else range(preset.n_fit_seeds)),
        world=preset.worlds[0] if world is None else world,
        world_config=dict(world_config or {}),
        base=dict(base or {}),
        steps_scale=steps_scale,
        evaluation=evaluation or Evaluation(),
    )
    _check(config)
    return replace(
        config,
        world_config={name: v for name, v in config.world_config.items() if v != _default(preset.environment, name)},
        base={name: v for name, v in config.base.items() if v != preset.default(name)},
    )


def _default(cls: type, name: str) -> Any:
    """Of a field: a run that states it is the same run."""
    return next(f.default for f in fields(cls) if f.name == name)


def _distinct(items: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(items))


def _check(config: BenchmarkConfig) -> None:
    preset = config.preset
    for name in ("values", "methods", "seeds", *["fit_seeds"] * bool(preset.n_fit_seeds)):
        if not getattr(config, name):
            raise ValueError(f"{name}: expected at least one, got none")
    if config.fit_seeds and not preset.n_fit_seeds:
        raise ValueError(
            f"fit_seeds: expected none, since in the setting {config.setting} the world's seed is the seed of "
            f"everything, got {', '.join(map(str, config.fit_seeds))}"
        )
    if config.world not in preset.worlds:
        raise ValueError(f"world: expected {' or '.join(preset.worlds)}, got {config.world!r}")
    _check_names(config)
    for _, seed, experiment in config.experiments():
        for method in config.methods if seed == config.seeds[0] else ():
            _check_method(parse_method(method), experiment, config)


def _check_names(config: BenchmarkConfig) -> None:
    for name in (*config.world_config, *config.base):
        if name == config.parameter:
            raise ValueError(f"{name}: the setting {config.setting} sweeps it; give its values instead")
    for name in config.base:
        if name not in OWN_PARAMETERS:
            raise ValueError(f"{name}: expected one of {', '.join(OWN_PARAMETERS)}")
    cls, decided = config.preset.environment, ("split",) if config.preset.n_fit_seeds else ("world", "world_seed")
    for name in config.world_config:
        if name in decided or name not in {f.name for f in fields(cls)}:
            raise ValueError(f"{name}: expected a field of {cls.__name__} other than {' and '.join(decided)}")


def _check_method(variant: Variant, experiment: Experiment, config: BenchmarkConfig) -> None:
    if config.parameter in dict(variant.overrides):
        raise ValueError(f"{variant.name}: {config.parameter}: the setting {config.setting} sweeps it")
    variant.learner(experiment)


def parse_seeds(text: str, name: str = "seeds") -> tuple[int, ...]:
    """`0:20` (0 … 19), `0,3,5`, `7`, and any of them joined by commas.

    Raises:
        ValueError: something else, or no seed at all.
    """
    seeds: list[int] = []
    for part in text.split(","):
        begin, colon, end = part.strip().partition(":")
        if not begin.isdecimal() or (colon and not end.isdecimal()):
            raise ValueError(f"{name}: expected such as 0:20, 0,3,5 or 7, got {text!r}")
        seeds += range(int(begin), int(end)) if colon else [int(begin)]
    if not seeds:
        raise ValueError(f"{name}: expected at least one, got {text!r}")
    return _distinct(seeds)
