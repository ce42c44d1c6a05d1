"""The published settings as presets, and what they set.

Values of data_size, candidate_actions, reward_noise and kernel_bandwidth, all defaults, and what `movie` sets, are
those of Kiyohara et al. (2025, arXiv 2504.02646); logging_policy, reward_regression and output_noise exist there
without published values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from prompt_bandits.movie.config import MovieConfig
from prompt_bandits.synthetic import SyntheticConfig

Environment: TypeAlias = "SyntheticConfig | MovieConfig"
"""A recipe: plain values that build a simulator."""

PUBLISHED_METHODS = ("online_reinforce", "regression", "regression_greedy", "ips", "dr", "potec", "dso")
BASELINES = ("uniform", "logging", "optimal")
_COLUMNS = (*BASELINES, *PUBLISHED_METHODS, "sentence_dm", "sentence_dr")
_PUBLISHED_COLUMNS = ("no_prompt", *BASELINES, *PUBLISHED_METHODS, "sentence_dm")
_MOVIE_COLUMNS = (
    *("no_prompt", *BASELINES, *PUBLISHED_METHODS, "dso_64_draws", "dso_dr_64_draws"),
    *("sentence_dm", "sentence_dr", "regression_greedy[q_hat=sentence]"),
)
_ABLATION = ("dso", "dso[density_by=monte_carlo]", "dso[kernel=uniform]", "dso[kernel=uniform,density_by=monte_carlo]")


@dataclass(frozen=True)
class Evaluation:
    """How policies are judged: by their exact values in so many contexts, the same for all."""

    contexts: int = 10_000
    curve_contexts: int = 2_000  # of learning curves
    curve_every: int = 1_000  # steps
    costly_contexts: int = 100  # of the optimal policy, where a costly LLM has to be asked for every prompt

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise ValueError(f"{name}: expected >= 1, got {value}")


@dataclass(frozen=True)
class Experiment:
    """One world at one value: all that the stages depend on. The world's seed is the seed of all that has none of its
    own.

    Raises:
        ValueError: a number out of range.
    """

    environment: Environment
    n: int = 8000  # logged rounds
    beta: float = 1.0  # inverse temperature of the logging policy
    reward_std_for_regression: float | None = None  # of the rewards that reward models see; None: the log's own
    tau: float | None = None  # bandwidth of learners with a kernel; three times as wide for the uniform kernel
    emb_noise: float | None = None  # on outputs inside the kernel; None, as for all below: the learner's own
    predictor_steps: int | None = None  # of reward models as published, and of densities
    optimizer: str | None = None  # of published offline learners
    lr: float | None = None  # likewise
    warmup_steps: int | None = None  # of published learners
    online_steps: int | None = None  # of online ones
    logging: str = "regression"  # the logging policy is the softmax of a reward model, or of an "online" policy
    steps_scale: float = 1.0  # of all published steps; below 1 for a first look
    evaluation: Evaluation = field(default_factory=Evaluation)
    data_seed: int | None = None  # of the log, and of the models fitted to it; None: the world's
    fit_seed: int | None = None  # of learners; None: the world's

    def __post_init__(self) -> None:
        if self.n < 2:
            raise ValueError(f"n: expected at least 2 logged rounds, got {self.n}")
        if not 0 < self.steps_scale < math.inf:
            raise ValueError(f"steps_scale: expected > 0 and finite, got {self.steps_scale}")
        if self.logging not in ("regression", "online"):
            raise ValueError(f"logging: expected regression or online, got {self.logging!r}")
        for name, low in _LOWEST.items():
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= low):
                bound = "" if low == -math.inf else f" >= {low}"
                raise ValueError(f"{name}: expected a finite number{bound}, got {value}")

    @property
    def seed(self) -> int:
        return self.environment.world_seed

    @property
    def log_seed(self) -> int:
        """Of the logged rounds, and of the models fitted to them."""
        return self.seed if self.data_seed is None else self.data_seed

    @property
    def learner_seed(self) -> int:
        """Of everything that a learner draws."""
        return self.seed if self.fit_seed is None else self.fit_seed

    @property
    def world(self) -> str:
        """The kind of world, in the names of folders."""
        return self.environment.world if isinstance(self.environment, SyntheticConfig) else "movie"

    @property
    def judged(self) -> Environment:
        """Where policies are judged: movie policies for users that nobody learnt from."""
        environment = self.environment
        return environment if isinstance(environment, SyntheticConfig) else replace(environment, split="test")


_LOWEST = {
    "beta": -math.inf,
    **dict.fromkeys(("reward_std_for_regression", "tau", "emb_noise", "lr"), 0),
    **dict.fromkeys(("predictor_steps", "warmup_steps", "online_steps"), 0),
}
OWN_PARAMETERS = (
    *("n", "beta", "reward_std_for_regression", "tau", "emb_noise"),
    *("predictor_steps", "optimizer", "lr", "warmup_steps", "online_steps", "logging"),
)
"""What a run may set, and a setting may sweep, beside the environment's fields."""


@dataclass(frozen=True)
class Setting:
    """What is swept, over which values, for which methods, in which worlds."""

    name: str
    about: str
    parameter: str = ""  # a field of Experiment or of its environment; "": nothing is swept
    values: tuple[float | None, ...] = (None,)
    methods: tuple[str, ...] = _COLUMNS
    n_seeds: int = 20  # worlds; with optimiser seeds beside them, datasets in one world
    n_fit_seeds: int = 0  # optimisers a dataset; 0: the world's seed is the seed of everything
    environment: type[SyntheticConfig] | type[MovieConfig] = SyntheticConfig
    worlds: tuple[str, ...] = ("published", "independent")
    base: Mapping[str, Any] = field(default_factory=dict)  # fields of Experiment that differ from their defaults
    measure: str = "optimality"  # or "gain": on which scale policies are compared

    def default(self, name: str) -> Any:
        """What a field of Experiment is unless a run says otherwise."""
        return self.base.get(name, Experiment.__dataclass_fields__[name].default)

    def check_value(self, value: Any) -> Any:
        """`value` as what the swept parameter is.

        Raises:
            ValueError: a value where nothing is swept, or one of another type.
        """
        if not self.parameter:
            if value is not None:
                raise ValueError(f"values: the setting {self.name} sweeps nothing, got {value}")
            return None
        whole = self.parameter in ("n", "n_actions")
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if not number or (whole and value != int(value)):
            expected = "integers" if whole else "finite numbers"
            raise ValueError(f"values: expected {expected} for {self.parameter}, got {value}")
        return int(value) if whole else float(value)


_PUBLISHED_MOVIE: dict[str, Any] = {
    **{"n": 10_000, "beta": 0.2, "logging": "online", "emb_noise": 0.0},
    **{"optimizer": "Adagrad", "lr": 8e-4, "warmup_steps": 1000, "online_steps": 2000, "predictor_steps": 1000},
}
_MOVIE: dict[str, Any] = {
    **{name: _PUBLISHED_MOVIE[name] for name in ("n", "beta", "logging", "emb_noise", "warmup_steps")},
    "online_steps": 20_000,  # after 2,000 the policy is still worse than no prompt
    "tau": 0.1,  # the shipped encoder puts sentences .32 apart at the median
}


def _movie(name: str, description: str, methods: tuple[str, ...], base: dict[str, Any]) -> Setting:
    seeds: dict[str, Any] = {"n_seeds": 5, "n_fit_seeds": 5, "worlds": ("movie",)}
    return Setting(name, description, methods=methods, environment=MovieConfig, base=base, measure="gain", **seeds)


SETTINGS: dict[str, Setting] = {
    setting.name: setting
    for setting in (
        Setting("default", "8,000 rounds, 1,000 prompts, reward noise 1", n_seeds=5),
        Setting("data_size", "logged rounds", "n", (500, 1000, 2000, 4000, 8000)),
        Setting("candidate_actions", "candidate prompts", "n_actions", (10, 50, 100, 500, 1000)),
        Setting("reward_noise", "standard deviation of rewards", "reward_std", (0.0, 1.0, 2.0, 3.0)),
        Setting("kernel_bandwidth", "bandwidth of the output kernel", "tau", (0.5, 1.0, 2.0, 4.0), _ABLATION),
        Setting("logging_policy", "inverse temperature of the logging policy", "beta", (0.0, 0.5, 1.0, 2.0, 4.0)),
        Setting(
            "reward_regression",
            "standard deviation of the rewards that reward models see",
            "reward_std_for_regression",
            (0.0, 1.0, 2.0, 3.0),
        ),
        Setting("output_noise", "noise on outputs inside the kernel", "emb_noise", (0.0, 0.5, 1.0, 2.0), _ABLATION),
        _movie("movie", "films, keyword prompts, written sentences", _MOVIE_COLUMNS, _MOVIE),
        _movie(
            "movie_published", "the same with the published steps and bandwidth", _PUBLISHED_COLUMNS, _PUBLISHED_MOVIE
        ),
    )
}
