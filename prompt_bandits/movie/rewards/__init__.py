"""Users of the movie task: the reward simulators, their networks, and how they are fitted and saved."""

from prompt_bandits.movie.rewards.simulators import (
    CollaborativeFilteringReward,
    PromptCosineReward,
    RewardHead,
    SentenceCosineReward,
    SentenceReward,
    TableFeatures,
)

__all__ = [
    "CollaborativeFilteringReward",
    "PromptCosineReward",
    "RewardHead",
    "SentenceCosineReward",
    "SentenceReward",
    "TableFeatures",
]
