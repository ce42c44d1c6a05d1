"""`PromptPersonalization-Synthetic-v0`: everything a vector, everything with an exact oracle."""

from prompt_bandits.synthetic.build import SyntheticConfig, config_from, synthetic_simulator
from prompt_bandits.synthetic.contexts import GaussianContexts, RandomMask
from prompt_bandits.synthetic.llm import SyntheticLLM
from prompt_bandits.synthetic.rewards import BilinearReward, ProbitReward

__all__ = [
    "BilinearReward",
    "GaussianContexts",
    "ProbitReward",
    "RandomMask",
    "SyntheticConfig",
    "SyntheticLLM",
    "config_from",
    "synthetic_simulator",
]
