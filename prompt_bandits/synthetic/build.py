"""A synthetic simulator from plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from prompt_bandits import checking
from prompt_bandits.checking import check_choice, check_integer, check_number
from prompt_bandits.interface import INTERFACE_ARGUMENTS
from prompt_bandits.protocols import ContextQuerySource, FrozenLLM, RewardModel, RewardNoise
from prompt_bandits.simulator import BernoulliNoise, GaussianNoise, PromptSimulator
from prompt_bandits.synthetic import llm as maps
from prompt_bandits.synthetic.contexts import GaussianContexts, RandomMask
from prompt_bandits.synthetic.llm import OutputMap, SyntheticLLM
from prompt_bandits.synthetic.rewards import BilinearReward, ProbitReward
from prompt_bandits.synthetic.worlds import WORLDS, Draws, gaussian_prompts, mixture_prompts, random_covariance
from prompt_bandits.types import Prompts


@dataclass(frozen=True)
class SyntheticConfig:
    """Everything that makes a synthetic environment, as plain JSON values.

    Raises:
        ValueError: an unknown name, or a number out of range.
    """

    n_actions: int = 1000
    dim_context: int = 5
    dim_query: int = 5
    dim_prompt: int = 5
    dim_output: int = 5
    world: str = "independent"  # or "published"
    world_seed: int = 0
    split: str = "train"  # or "test": other rounds, and contexts moved by context_shift
    context_shift: float = 0.0  # of the test split, in standard deviations along a direction of the world's
    covariance: list[list[float]] | None = None  # of (context, query); drawn by the world unless given
    prompts: str = "gaussian"  # or "mixture"
    n_clusters: int | None = None  # of "mixture"; 100, or all prompts where there are fewer
    mapping: str = "trigonometric"  # linear, rational, sigmoid, trigonometric, power, exponential
    output_scaler: float = 1.0  # inside the mapping, where it has one
    output_amplitude: float = 5.0  # of the mapping, where it has one
    output_gain: float = 2.0
    output_noise: float = 1.0
    n_confounded: int = 0  # output dimensions that depend on neither query nor prompt
    confounder_scale: float = 1.0
    n_relevant: int | None = None  # output dimensions that the reward looks at; all unless given
    reward_type: str = "continuous"  # or "binary"
    reward_std: float = 1.0  # of continuous rewards
    reward_normalizer: float | None = None
    mask_rate: float = 0.0  # share of prompts that a round leaves out

    saved_as: ClassVar[str] = "synthetic_config"

    def build(self) -> PromptSimulator:
        """The simulator of these values."""
        return synthetic_simulator(self)

    def __post_init__(self) -> None:
        for name in ("n_actions", "dim_context", "dim_query", "dim_prompt", "dim_output"):
            check_integer(name, getattr(self, name), 1)
        check_integer("world_seed", self.world_seed, 0)
        check_choice("world", self.world, WORLDS)
        check_choice("split", self.split, ("train", "test"))
        check_choice("prompts", self.prompts, ("gaussian", "mixture"))
        check_choice("mapping", self.mapping, MAPPINGS)
        check_choice("reward_type", self.reward_type, ("continuous", "binary"))
        check_integer("n_confounded", self.n_confounded, 0, self.dim_output)
        for name in ("context_shift", "output_scaler", "output_amplitude", "output_gain"):
            check_number(name, getattr(self, name))
        for name in ("output_noise", "confounder_scale", "reward_std", "mask_rate"):
            check_number(name, getattr(self, name), low=0)
        if self.n_relevant is not None:
            check_integer("n_relevant", self.n_relevant, 1, self.dim_output)
        if self.n_clusters is not None:
            check_integer("n_clusters", self.n_clusters, 1, self.n_actions)
        if self.reward_normalizer is not None:
            check_number("reward_normalizer", self.reward_normalizer)


MAPPINGS: dict[str, Callable[[SyntheticConfig, Draws], OutputMap]] = {
    "linear": lambda config, draws: maps.linear,
    "rational": lambda config, draws: maps.Rational(float(draws.normal(1)[0]), config.output_amplitude),
    "sigmoid": lambda config, draws: maps.Sigmoid(config.output_amplitude, config.output_scaler),
    "trigonometric": lambda config, draws: maps.Trigonometric(config.output_amplitude, config.output_scaler),
    "power": lambda config, draws: maps.Power(config.output_scaler),
    "exponential": lambda config, draws: maps.Exponential(config.output_scaler),
}


def config_from(kwargs: dict[str, Any]) -> SyntheticConfig:
    """A config from keyword arguments; a wrong name is answered with the likeliest right one.

    Raises:
        TypeError: an unknown argument.
    """
    return checking.config_from(SyntheticConfig, kwargs, INTERFACE_ARGUMENTS)


def synthetic_simulator(
    config: SyntheticConfig | None = None,
    *,
    source: ContextQuerySource | None = None,
    prompts: Prompts | None = None,
    llm: FrozenLLM | None = None,
    reward_model: RewardModel | None = None,
    reward_noise: RewardNoise | None = None,
) -> PromptSimulator:
    """The simulator that `config` describes; a part given as an object takes the place of the described one.

    Raises:
        ValueError: a given part does not fit the others (its shapes are tried on two rounds).
    """
    config = config or SyntheticConfig()
    given = {
        "source": source,
        "prompts": prompts,
        "llm": llm,
        "reward_model": reward_model,
        "reward_noise": reward_noise,
    }
    parts: dict[str, Any] = {name: _MAKERS[name](config) if part is None else part for name, part in given.items()}
    if all(part is None for part in given.values()):
        return PromptSimulator.from_recipe(config, **parts, split=config.split)
    simulator = PromptSimulator(**parts, split=config.split)
    from prompt_bandits.testing import check_simulator

    check_simulator(simulator)
    return simulator


def _draws(config: SyntheticConfig, part: str) -> Draws:
    return WORLDS[config.world](config.world_seed, part)


def _source(config: SyntheticConfig) -> ContextQuerySource:
    dim = config.dim_context + config.dim_query
    covariance = (
        random_covariance(_draws(config, "covariance"), dim)
        if config.covariance is None
        else np.asarray(config.covariance)
    )
    if covariance.shape != (dim, dim):
        raise ValueError(f"covariance: expected shape ({dim}, {dim}), got {covariance.shape}")
    mean = _shifted_mean(config, covariance) if config.split == "test" and config.context_shift else None
    source = GaussianContexts(covariance, config.dim_context, mean)
    return RandomMask(source, config.mask_rate) if config.mask_rate else source


def _shifted_mean(config: SyntheticConfig, covariance: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The contexts' new mean: `context_shift` standard deviations along a random direction; queries stay."""
    mean = np.zeros(len(covariance))
    direction = _draws(config, "context_shift").normal(config.dim_context)
    spread = np.sqrt(np.diag(covariance)[: config.dim_context])
    mean[: config.dim_context] = config.context_shift * spread * direction / np.linalg.norm(direction)
    return mean


def _prompts(config: SyntheticConfig) -> Prompts:
    draws = _draws(config, "prompts")
    if config.prompts == "mixture":
        n_clusters = min(100, config.n_actions) if config.n_clusters is None else config.n_clusters
        return Prompts.from_embedding(mixture_prompts(draws, config.n_actions, config.dim_prompt, n_clusters))
    return Prompts.from_embedding(gaussian_prompts(draws, config.n_actions, config.dim_prompt))


def _llm(config: SyntheticConfig) -> SyntheticLLM:
    draws = _draws(config, "output")
    query_matrix = draws.normal(config.dim_query, config.dim_output)
    prompt_matrix = draws.normal(config.dim_prompt, config.dim_output)
    return SyntheticLLM(
        query_matrix,
        prompt_matrix,
        output_map=MAPPINGS[config.mapping](config, draws),
        noise_level=config.output_noise,
        gain=config.output_gain,
        n_confounded=config.n_confounded,
        confounder_scale=config.confounder_scale,
    )


def _reward_model(config: SyntheticConfig) -> RewardModel:
    draws = _draws(config, "reward")
    k = config.dim_output if config.n_relevant is None else config.n_relevant
    bilinear = BilinearReward(
        draws.normal(config.dim_context, k), draws.normal(config.dim_query, k), config.reward_normalizer
    )
    return ProbitReward(bilinear) if config.reward_type == "binary" else bilinear


def _reward_noise(config: SyntheticConfig) -> RewardNoise:
    return BernoulliNoise() if config.reward_type == "binary" else GaussianNoise(config.reward_std)


_MAKERS: dict[str, Callable[[SyntheticConfig], Any]] = {
    "source": _source,
    "prompts": _prompts,
    "llm": _llm,
    "reward_model": _reward_model,
    "reward_noise": _reward_noise,
}
