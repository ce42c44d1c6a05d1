"""A movie simulator from plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from prompt_bandits.checking import check_choice, check_integer, check_number
from prompt_bandits.llms.naming import check_name
from prompt_bandits.movie.contexts import HOW, SPLITS
from prompt_bandits.movie.published.offline_prompts import FILES
from prompt_bandits.movie.published.reward import TOKENIZER
from prompt_bandits.simulator import PromptSimulator

REWARDS = ("sentence", "collaborative_filtering", "prompt_cosine", "sentence_cosine")
REWARD_TYPES = ("continuous", "binary")
_LLMS = "'bank', 'assets', 'hf:<model id or folder>' or 'openai:<base url>#<model>'"


@dataclass(frozen=True)
class MovieConfig:
    """Everything that makes a movie environment, as plain JSON values.

    Args:
        assets: an asset folder, or OfflinePrompts' folder of published files; None is the one that comes with the
            package.
        n_actions: so many of the prompts, drawn once; None: all.
        world_seed: of that draw and of the split.
        split: "train" or "test" users.
        test_ratio: the share of the users that are test users.
        contexts: "interactions" (users ask for films that they rated) or "independent".
        llm: "bank" (sentences that were written beforehand), "assets" (the asset folder's language model), or another
            text model by name.
        llm_options: further arguments of the text model, such as `revision`, `dtype` or `batch_size`.
        n_slots: of a text model: different sentences for a film and prompt; None writes anew in every round.
        template: parts of the `PromptTemplate` that differ from the assets'.
        sampling: parts of the `Sampling` that differ from the assets'.
        post: parts of the `PostProcessing` that differ from the assets'.
        cache: an SQLite file, in which a text model's answers are kept.
        replay: answers come from the cache only.
        encoder: of sentences: a sentence-transformers model, or a folder that `LLMStateEncoder.save` wrote; None is
            the assets'.
        reward: "sentence", "collaborative_filtering", "prompt_cosine" or "sentence_cosine".
        reward_type: "continuous", or "binary": a coin with the probability that the sentence pleases.
        reward_std: noise of continuous rewards.
        reward_tokenizer: that OfflinePrompts' reward simulator was fitted with: a folder, or an id on the hub.
        path_to_user_embeddings: this and the nine others are OfflinePrompts' files one by one, which take the place
            of those in `assets`.

    Raises:
        ValueError: an unknown name, a number out of range, or values that exclude each other.
    """

    assets: str | None = None
    n_actions: int | None = None
    world_seed: int = 0
    split: str = "train"
    test_ratio: float = 0.5
    contexts: str = "interactions"
    llm: str = "bank"
    llm_options: Mapping[str, Any] | None = None
    n_slots: int | None = 4
    template: Mapping[str, Any] | None = None
    sampling: Mapping[str, Any] | None = None
    post: Mapping[str, Any] | None = None
    cache: str | None = None
    replay: bool = False
    encoder: str | None = None
    reward: str = "sentence"
    reward_type: str = "continuous"
    reward_std: float = 0.05
    reward_tokenizer: str = TOKENIZER
    path_to_user_embeddings: str | None = None
    path_to_queries: str | None = None
    path_to_query_embeddings: str | None = None
    path_to_candidate_prompts: str | None = None
    path_to_prompt_embeddings: str | None = None
    path_to_interaction_data: str | None = None
    path_to_finetuned_params: str | None = None
    path_to_query_pca_matrix: str | None = None
    path_to_prompt_pca_matrix: str | None = None
    path_to_sentence_pca_matrix: str | None = None

    saved_as: ClassVar[str] = "movie_config"

    def build(self) -> PromptSimulator:
        """The simulator of these values."""
        from prompt_bandits.movie.parts import movie_simulator

        return movie_simulator(self)

    @property
    def published_files(self) -> dict[str, str]:
        """OfflinePrompts' files that are named one by one."""
        named = {name: getattr(self, name) for name in FILES}
        return {name: file for name, file in named.items() if file is not None}

    def __post_init__(self) -> None:
        for name in ("n_actions", "n_slots"):
            if getattr(self, name) is not None:
                check_integer(name, getattr(self, name), 1)
        check_integer("world_seed", self.world_seed, 0)
        check_choice("split", self.split, SPLITS)
        check_number("test_ratio", self.test_ratio, 0, 1)
        check_choice("contexts", self.contexts, HOW)
        check_choice("reward", self.reward, REWARDS)
        check_choice("reward_type", self.reward_type, REWARD_TYPES)
        check_number("reward_std", self.reward_std, low=0)
        self._check_kinds()
        self._check_llm()
        if self.reward_type == "binary" and self.reward.endswith("cosine"):
            raise ValueError(f"reward_type: expected 'continuous' for {self.reward}, which is no probability")

    def _check_kinds(self) -> None:
        needed = ("llm", "reward_tokenizer")
        for name in ("assets", "cache", "encoder", *needed, *FILES):
            value = getattr(self, name)
            if not isinstance(value, str) and (value is not None or name in needed):
                raise ValueError(f"{name}: expected a text{'' if name in needed else ' or None'}, got {value!r}")
        for name in ("llm_options", "template", "sampling", "post"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, Mapping):
                raise ValueError(f"{name}: expected values by name or None, got {value!r}")
        if not isinstance(self.replay, bool):
            raise ValueError(f"replay: expected True or False, got {self.replay!r}")

    def _check_llm(self) -> None:
        if self.llm not in ("bank", "assets"):
            check_name(self.llm, _LLMS)
        for name in ("template", "sampling", "post", "encoder"):
            if self.llm == "bank" and getattr(self, name) is not None:
                raise ValueError(
                    f"{name}: expected None with llm='bank', whose sentences are written and encoded already; "
                    f"llm='assets' writes them anew; got {getattr(self, name)!r}"
                )
        if self.replay and self.cache is None:
            raise ValueError("cache: expected a file with replay=True, which reads answers from it, got None")
