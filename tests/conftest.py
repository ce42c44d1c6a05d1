"""Small worlds that many tests play in."""

from __future__ import annotations

import os

import pytest

import prompt_bandits
from prompt_bandits.datasets import BanditDataset
from prompt_bandits.policies import OracleScore, Softmax
from prompt_bandits.simulator import PromptSimulator
from prompt_bandits.synthetic import SyntheticConfig

os.environ.setdefault("OMP_NUM_THREADS", "1")  # networks are small, and tests run side by side; torch comes later

SYNTHETIC = "PromptPersonalization-Synthetic-v0"


@pytest.fixture(scope="session")
def simulator() -> PromptSimulator:
    """Ten prompts, everything else at its default."""
    return SyntheticConfig(n_actions=10).build()


@pytest.fixture(scope="session")
def logged(simulator: PromptSimulator) -> BanditDataset:
    """600 rounds of a softmax policy."""
    return prompt_bandits.collect(simulator, Softmax(OracleScore(simulator), beta=0.5), 600, seed=1)
