"""A synthetic simulator from plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

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
    n_clusters: int = 100  # of "mixture"
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
            _check_integer(name, getattr(self, name), 1)
        _check_integer("world_seed", self.world_seed, 0)
        _check_choice("world", self.world, WORLDS)
        _check_choice("split", self.split, ("train", "test"))
        _check_choice("prompts", self.prompts, ("gaussian", "mixture"))
        _check_choice("mapping", self.mapping, MAPPINGS)
        _check_choice("reward_type", self.reward_type, ("continuous", "binary"))
        if self.n_relevant is not None:
            _check_integer("n_relevant", self.n_relevant, 1, self.dim_output)


def _check_integer(name: str, value: object, low: int, high: int | None = None) -> None:
    if (
        not isinstance(value, (int, np.integer))
        or isinstance(value, bool)
        or value < low
        or (high is not None and value > high)
    ):
        raise ValueError(
            f"{name}: expected an integer {f'>= {low}' if high is None else f'in {low} … {high}'}, got {value!r}"
        )


def _check_choice(name: str, value: object, choices: Any) -> None:
    if value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")


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
    known = [field.name for field in fields(SyntheticConfig)]
    for name in kwargs:
        if name not in known:
            import difflib

            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; expected one of {', '.join(known)}"
            raise TypeError(f"unknown argument {name!r}{hint}")
    return SyntheticConfig(**kwargs)


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
    injected = any(part is not None for part in (source, prompts, llm, reward_model, reward_noise))
    simulator = PromptSimulator(
        source=_source(config) if source is None else source,
        prompts=_prompts(config) if prompts is None else prompts,
        llm=_llm(config) if llm is None else llm,
        reward_model=_reward_model(config) if reward_model is None else reward_model,
        reward_noise=_reward_noise(config) if reward_noise is None else reward_noise,
        split=config.split,
        recipe=None if injected else config,
    )
    if injected:
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
        return Prompts.from_embedding(mixture_prompts(draws, config.n_actions, config.dim_prompt, config.n_clusters))
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
