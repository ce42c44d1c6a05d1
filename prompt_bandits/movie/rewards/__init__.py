"""Users of the movie task: the reward simulators, their networks, and how they are fitted and saved."""

from prompt_bandits.movie.rewards.head import RewardHead
from prompt_bandits.movie.rewards.sentence_table import TableFeatures
from prompt_bandits.movie.rewards.simulators import (
    CollaborativeFilteringReward,
    PromptCosineReward,
    SentenceCosineReward,
    SentenceReward,
)

__all__ = [
    "CollaborativeFilteringReward",
    "PromptCosineReward",
    "RewardHead",
    "SentenceCosineReward",
    "SentenceReward",
    "TableFeatures",
]
