"""The parts of a movie simulator, as a `MovieConfig` describes them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

from prompt_bandits.action_values import is_costly
from prompt_bandits.movie.config import MovieConfig
from prompt_bandits.movie.contexts import MovieContexts
from prompt_bandits.movie.rewards import (
    CollaborativeFilteringReward,
    PromptCosineReward,
    SentenceCosineReward,
    SentenceReward,
)
from prompt_bandits.movie.sources import MovieSource, open_source
from prompt_bandits.movie.tables import MovieTables, subset_prompts
from prompt_bandits.movie.writers import bank_llm, named_llm
from prompt_bandits.protocols import ContextQuerySource, FrozenLLM, RewardModel, RewardNoise
from prompt_bandits.rounds import named_generator
from prompt_bandits.simulator import BernoulliNoise, GaussianNoise, PromptSimulator
from prompt_bandits.types import Observation, TextArray

_T = TypeVar("_T")


def movie_simulator(
    config: MovieConfig | None = None,
    *,
    tables: MovieTables | None = None,
    source: ContextQuerySource | None = None,
    llm: FrozenLLM | None = None,
    reward_model: RewardModel | None = None,
    reward_noise: RewardNoise | None = None,
) -> PromptSimulator:
    """The simulator that `config` describes; a part given as an object takes the place of the described one.

    Args:
        config: defaults unless given.
        tables: users, films, prompts and interactions of your own. The assets' sentences serve films and prompts that
            they know; users and films of your own want a `reward_model` of your own, or a cosine.
        source, llm, reward_model, reward_noise: parts of the simulator.

    Raises:
        FileNotFoundError: no assets, or no model, where they are looked for.
        ValueError: a part that the assets do not have, or parts that do not fit each other.
    """
    config = config or MovieConfig()
    given: dict[str, Any] = {
        "source": source,
        "llm": llm,
        "reward_model": reward_model,
        "reward_noise": reward_noise,
    }
    made = _Parts(config, tables)
    parts = {name: getattr(made, name) if part is None else part for name, part in given.items()}
    parts["prompts"] = made.tables.prompts
    if tables is None and all(part is None for part in given.values()):
        return PromptSimulator.from_recipe(config, **parts, split=config.split)
    simulator = PromptSimulator(**parts, split=config.split)
    if not is_costly(simulator.llm):
        from prompt_bandits.testing import check_simulator

        check_simulator(simulator)
    return simulator


class DescribedContexts(MovieContexts):
    """`MovieContexts` whose users are known in words too."""

    user_about: TextArray  # (n_users,)

    def about(self, obs: Observation) -> TextArray:
        """(n,) what these users like."""
        about: TextArray = self.user_about[obs.user_id]
        return about


class _Parts:
    """Each part, made when it is asked for."""

    def __init__(self, config: MovieConfig, tables: MovieTables | None) -> None:
        self.config, self.own_tables = config, tables

    @cached_property
    def assets(self) -> MovieSource:
        return open_source(self.config.assets, self.config.published_files, self.config.reward_tokenizer)

    @cached_property
    def tables(self) -> MovieTables:
        """With `n_actions` of the prompts."""
        tables = self.assets.tables if self.own_tables is None else self.own_tables
        generator = named_generator(self.config.world_seed, "n_actions")
        return tables.with_prompts(subset_prompts(tables.prompts, self.config.n_actions, generator))

    @property
    def source(self) -> ContextQuerySource:
        config = self.config
        about = self.assets.user_about if self.own_tables is None else None
        kind = MovieContexts if about is None else DescribedContexts
        source = kind(self.tables, config.split, config.test_ratio, config.world_seed, config.contexts)
        if isinstance(source, DescribedContexts) and about is not None:
            source.user_about = about
        return source

    @property
    def llm(self) -> FrozenLLM:
        if self.config.llm == "bank":
            return bank_llm(self.config, self.assets, None if self.own_tables is None else self.tables)
        return named_llm(self.config, self.assets)

    @property
    def reward_model(self) -> RewardModel:
        model: RewardModel = _REWARDS[self.config.reward](self)
        return model

    @property
    def reward_noise(self) -> RewardNoise:
        return BernoulliNoise() if self.config.reward_type == "binary" else GaussianNoise(self.config.reward_std)

    def sentence_reward(self) -> RewardModel:
        """How much better a sentence fits a user than those without a prompt."""
        head = self._of_assets("reward simulator", self.assets.head)
        featurizer, baseline = self.assets.features()
        return SentenceReward(head, featurizer, baseline, binary=self.config.reward_type == "binary")

    def collaborative_filtering(self) -> RewardModel:
        """What a user thinks of a film, whatever the sentence."""
        fitted = self._of_assets("collaborative filtering", self.assets.collaborative_filtering)
        return CollaborativeFilteringReward(*fitted)

    def prompt_cosine(self) -> RewardModel:
        """How near a prompt is to the user, whatever is written."""
        self._check_alike("prompts", self.tables.prompts.embedding.shape[1])
        return PromptCosineReward()

    def sentence_cosine(self) -> RewardModel:
        """How much nearer a sentence is to the user than the film is."""
        self._check_alike("films", self.tables.item_embedding.shape[1])
        return SentenceCosineReward()

    def _check_alike(self, what: str, dim: int) -> None:
        own = self.tables.user_embedding.shape[1]
        if dim != own:
            raise ValueError(
                f"reward: {self.config.reward!r} expects {what} of {own} features, as users have, got {dim}"
            )

    def _of_assets(self, what: str, part: Callable[[], _T | None]) -> _T:
        """A fitted part, which knows the assets' users and films only."""
        where = self.assets.name
        found = part() if self.own_tables is None else None
        if found is None:
            reason = (
                f"{where} holds no {what}" if self.own_tables is None else f"the {what} of {where} knows its own users"
            )
            raise ValueError(
                f"reward: expected a reward_model as an object, 'prompt_cosine' or 'sentence_cosine', since {reason}; "
                f"got {self.config.reward!r}"
            )
        return found


_REWARDS: dict[str, Callable[[_Parts], RewardModel]] = {
    "sentence": _Parts.sentence_reward,
    "collaborative_filtering": _Parts.collaborative_filtering,
    "prompt_cosine": _Parts.prompt_cosine,
    "sentence_cosine": _Parts.sentence_cosine,
}
