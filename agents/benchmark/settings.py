"""The published settings as presets, and what they set.

Values of data_size, candidate_actions, reward_noise and kernel_bandwidth, and all defaults, are those of Kiyohara et
al. (2025, arXiv 2504.02646); logging_policy, reward_regression and output_noise exist there without published values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from prompt_bandits.synthetic import SyntheticConfig

PUBLISHED_METHODS = ("online_reinforce", "regression", "regression_greedy", "ips", "dr", "potec", "dso")
BASELINES = ("uniform", "logging", "optimal")
_COLUMNS = (*BASELINES, *PUBLISHED_METHODS, "sentence_dm", "sentence_dr")
_ABLATION = ("dso", "dso[density_by=monte_carlo]", "dso[kernel=uniform]", "dso[kernel=uniform,density_by=monte_carlo]")


@dataclass(frozen=True)
class Evaluation:
    """How policies are judged: by their exact values in so many contexts, the same for all."""

    contexts: int = 10_000
    curve_contexts: int = 2_000  # of learning curves
    curve_every: int = 1_000  # steps

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise ValueError(f"{name}: expected >= 1, got {value}")


@dataclass(frozen=True)
class Experiment:
    """One world at one value: all that the stages depend on. The world's seed is the seed of everything.

    Raises:
        ValueError: a number out of range.
    """

    environment: SyntheticConfig
    n: int = 8000  # logged rounds
    beta: float = 1.0  # inverse temperature of the logging policy
    reward_std_for_regression: float | None = None  # of the rewards that reward models see; None: the log's own
    tau: float | None = None  # bandwidth of learners with a kernel; three times as wide for the uniform kernel
    emb_noise: float | None = None  # on outputs inside the kernel; None, as for tau: the learner's own
    steps_scale: float = 1.0  # of all published steps; below 1 for a first look
    evaluation: Evaluation = field(default_factory=Evaluation)

    def __post_init__(self) -> None:
        if self.n < 2:
            raise ValueError(f"n: expected at least 2 logged rounds, got {self.n}")
        if not 0 < self.steps_scale < math.inf:
            raise ValueError(f"steps_scale: expected > 0 and finite, got {self.steps_scale}")
        for name, low in {"beta": -math.inf, "reward_std_for_regression": 0, "tau": 0, "emb_noise": 0}.items():
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= low):
                raise ValueError(f"{name}: expected a finite number{'' if low else ' >= 0'}, got {value}")

    @property
    def seed(self) -> int:
        return self.environment.world_seed


OWN_PARAMETERS = ("n", "beta", "reward_std_for_regression", "tau", "emb_noise")
"""What a setting may sweep beside the environment's fields."""


@dataclass(frozen=True)
class Setting:
    """What is swept, over which values, for which methods."""

    name: str
    about: str
    parameter: str = ""  # a field of Experiment or of its environment; "": nothing is swept
    values: tuple[float | None, ...] = (None,)
    methods: tuple[str, ...] = _COLUMNS
    n_seeds: int = 20

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
    )
}
