"""Online baselines: learners that play, LinUCB and linear Thompson sampling, and what they earn and miss."""

from .learners import LinearLearner, LinEpsilonGreedy, LinTS, LinUCB
from .playing import OnlineRun, play_online
from .protocols import OnlineLearner
from .repeated import Band, RepeatedRuns, play_seeds, plot_bands
from .scores import BilinearScore, PerPromptScore

__all__ = [
    "Band",
    "BilinearScore",
    "LinEpsilonGreedy",
    "LinTS",
    "LinUCB",
    "LinearLearner",
    "OnlineLearner",
    "OnlineRun",
    "PerPromptScore",
    "RepeatedRuns",
    "play_online",
    "play_seeds",
    "plot_bands",
]
