"""What a run of the benchmark is asked for."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from prompt_bandits.synthetic import SyntheticConfig

from .settings import OWN_PARAMETERS, SETTINGS, Evaluation, Experiment
from .variants import parse_method


@dataclass(frozen=True)
class BenchmarkConfig:
    """A run: a setting over values, methods and worlds. Make one with `benchmark_config`, which fills in and checks."""

    setting: str
    values: tuple[Any, ...]
    methods: tuple[str, ...]  # as `parse_method` reads them
    seeds: tuple[int, ...]  # of worlds
    world: str = "published"
    world_config: Mapping[str, Any] = field(default_factory=dict)  # fields of SyntheticConfig that differ
    base: Mapping[str, Any] = field(default_factory=dict)  # fields of Experiment that differ
    steps_scale: float = 1.0
    evaluation: Evaluation = field(default_factory=Evaluation)

    @property
    def parameter(self) -> str:
        return SETTINGS[self.setting].parameter

    def experiment(self, value: Any, seed: int) -> Experiment:
        """The world of this seed at a swept value."""
        environment = SyntheticConfig(**{**self.world_config, "world": self.world, "world_seed": seed})
        bare = Experiment(environment, **self.base, steps_scale=self.steps_scale, evaluation=self.evaluation)
        if not self.parameter:
            return bare
        swept: dict[str, Any] = {self.parameter: value}
        if self.parameter in OWN_PARAMETERS:
            return replace(bare, **swept)
        return replace(bare, environment=replace(environment, **swept))

    def experiments(self) -> Iterator[tuple[Any, int, Experiment]]:
        """(value, seed, experiment), world by world."""
        for seed in self.seeds:
            for value in self.values:
                yield value, seed, self.experiment(value, seed)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "parameter": self.parameter}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> BenchmarkConfig:
        """What `to_json` gave; further entries are left aside."""
        known = {f.name: values[f.name] for f in fields(cls)}
        for name in ("values", "methods", "seeds"):
            known[name] = tuple(known[name])
        return cls(**{**known, "evaluation": Evaluation(**known["evaluation"])})


def benchmark_config(
    setting: str = "default",
    *,
    values: tuple[float, ...] | None = None,
    methods: tuple[str, ...] | None = None,
    seeds: tuple[int, ...] | None = None,
    world: str = "published",
    world_config: Mapping[str, Any] | None = None,
    base: Mapping[str, Any] | None = None,
    steps_scale: float = 1.0,
    evaluation: Evaluation | None = None,
) -> BenchmarkConfig:
    """A run of a setting, with the setting's own values, methods and number of worlds where none are given.

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
        world=world,
        world_config=dict(world_config or {}),
        base=dict(base or {}),
        steps_scale=steps_scale,
        evaluation=evaluation or Evaluation(),
    )
    _check(config)
    return replace(
        config,
        world_config=_differing(config.world_config, SyntheticConfig),
        base=_differing(config.base, Experiment),
    )


def _differing(values: Mapping[str, Any], cls: type) -> dict[str, Any]:
    """Those that are not the defaults of `cls`: a run that states a default is the same run."""
    defaults = {f.name: f.default for f in fields(cls)}
    return {name: value for name, value in values.items() if value != defaults[name]}


def _distinct(items: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(items))


def _check(config: BenchmarkConfig) -> None:
    for name in ("values", "methods", "seeds"):
        if not getattr(config, name):
            raise ValueError(f"{name}: expected at least one, got none")
    for name in (*config.world_config, *config.base):
        if name == config.parameter:
            raise ValueError(f"{name}: the setting {config.setting} sweeps it; give its values instead")
    for name in config.base:
        if name not in OWN_PARAMETERS:
            raise ValueError(f"{name}: expected one of {', '.join(OWN_PARAMETERS)}")
    environment = typing.get_type_hints(SyntheticConfig)
    for name in config.world_config:
        if name in ("world", "world_seed") or name not in environment:
            raise ValueError(f"{name}: expected a field of SyntheticConfig other than world and world_seed")
    for _, seed, experiment in config.experiments():
        for method in config.methods if seed == config.seeds[0] else ():
            parse_method(method).learner(experiment)


def parse_seeds(text: str) -> tuple[int, ...]:
    """`0:20` (0 … 19), `0,3,5`, `7`, and any of them joined by commas.

    Raises:
        ValueError: something else, or no seed at all.
    """
    seeds: list[int] = []
    for part in text.split(","):
        begin, colon, end = part.strip().partition(":")
        if not begin.isdecimal() or (colon and not end.isdecimal()):
            raise ValueError(f"seeds: expected such as 0:20, 0,3,5 or 7, got {text!r}")
        seeds += range(int(begin), int(end)) if colon else [int(begin)]
    if not seeds:
        raise ValueError(f"seeds: expected at least one, got {text!r}")
    return _distinct(seeds)
