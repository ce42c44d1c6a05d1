"""What estimators are judged on: worlds, a logging policy, policies near to it and far from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from prompt_bandits.checking import check_choice, check_integer, check_number
from prompt_bandits.policies import EpsilonGreedy, OracleScore, Softmax, Uniform
from prompt_bandits.protocols import ActionScore, Policy
from prompt_bandits.simulator import PromptSimulator
from prompt_bandits.synthetic.build import SyntheticConfig

from ...ope.estimators.base import Estimator
from ...ope.named_estimators import estimator_named
from ...reward_training import RewardTraining

POLICIES: Mapping[str, tuple[str, Callable[[ActionScore], Policy]]] = {
    "near": ("softmax(2·q)", lambda score: Softmax(score, 2.0)),
    "far": ("the best prompt by q, at random in 10% of the rounds", lambda score: EpsilonGreedy(score, 0.1)),
    "halfway": ("softmax(6·q)", lambda score: Softmax(score, 6.0)),
    "uniform": ("every prompt alike", lambda score: Uniform()),
    "opposite": ("softmax(−2·q)", lambda score: Softmax(score, -2.0)),
}
"""What each is, and how it is made of the true q(x, a)."""
_APART = 100_000
ESTIMATORS = ("ips", "snips", "dm", "dr", "auto")


@dataclass(frozen=True)
class OpeBenchmark:
    """A run, as plain values. Rounds are logged by softmax(β·q) of the true q(x, a).

    Raises:
        ValueError: nothing of something, an unknown name, or a number out of range.
    """

    n: tuple[int, ...] = (1_000, 10_000, 100_000)  # logged rounds
    n_actions: tuple[int, ...] = (10, 100, 1_000)
    policies: tuple[str, ...] = ("near", "far")
    estimators: tuple[str, ...] = ESTIMATORS
    worlds: tuple[int, ...] = tuple(range(5))  # seeds
    datasets: int = 4  # a world
    beta: float = 1.0  # of the logging policy
    environment: Mapping[str, Any] = field(default_factory=dict)  # further fields of SyntheticConfig
    contexts: int = 100_000  # that true values are means over
    steps: int = 2_000  # of training a reward model
    folds: int = 3  # of cross-fitting
    level: float = 0.95
    interval: str = "student_t"
    k: int = 1  # policies that are chosen
    threshold: float | None = None  # of a safe policy; the logging policy's value unless given

    def __post_init__(self) -> None:
        for name in ("n", "n_actions", "policies", "estimators", "worlds"):
            if not getattr(self, name):
                raise ValueError(f"{name}: expected at least one, got none")
        for name, low in (("contexts", 2), ("steps", 1), ("folds", 2)):
            check_integer(name, getattr(self, name), low)
        check_integer("datasets", self.datasets, 1, _APART)
        for n in self.n:
            check_integer("n", n, 2)
        check_integer("k", self.k, 1, len(self.policies))
        check_number("beta", self.beta)
        for name in self.policies:
            check_choice("policies", name, tuple(POLICIES))
        self.made_estimators()
        for n_actions in self.n_actions:
            self.config(n_actions, self.worlds[0])

    def made_estimators(self) -> list[Estimator]:
        """As objects."""
        return [estimator_named(text) for text in self.estimators]

    def config(self, n_actions: int, world: int) -> SyntheticConfig:
        """Of a world."""
        return SyntheticConfig(**{**self.environment, "n_actions": n_actions, "world_seed": world})

    def training(self) -> RewardTraining:
        """Of reward models: stopped early where held-out rounds say so."""
        return RewardTraining(steps=self.steps, log_every=max(1, min(100, self.steps // 4)))

    def jobs(self) -> Iterator[Job]:
        """All of the run, a world after the other."""
        for n_actions in self.n_actions:
            for world in self.worlds:
                for n in self.n:
                    for dataset in range(self.datasets):
                        yield Job(n, n_actions, world, _APART * world + dataset)  # of no noise that other worlds share

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> OpeBenchmark:
        """What `to_json` gave."""
        given: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in values.items()}
        return cls(**given)


class Job(NamedTuple):
    """One log."""

    n: int
    n_actions: int
    world: int
    dataset: int  # the seed of its rounds


@dataclass(frozen=True, eq=False)
class Problem:
    """A world, who logs in it, and who is judged."""

    simulator: PromptSimulator
    logging_policy: Policy
    policies: Mapping[str, Policy]

    @classmethod
    def of(cls, settings: OpeBenchmark, n_actions: int, world: int) -> Problem:
        simulator = settings.config(n_actions, world).build()
        score = OracleScore(simulator)
        return cls(
            simulator, Softmax(score, settings.beta), {name: POLICIES[name][1](score) for name in settings.policies}
        )
