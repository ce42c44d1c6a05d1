"""What all five stages are asked for. Give all of them the same: each finds what earlier ones left by it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agents.benchmark import Experiment, Variant, parse_method, specialised
from prompt_bandits.synthetic import SyntheticConfig


@dataclass
class Args:
    out: Path = Path("runs/synthetic")
    """the run's folder; every stage reads there what earlier ones left"""
    methods: tuple[str, ...] = ("dso",)
    """names of `prompt-bandits benchmark`, with fields of the learner if you like: 'dso[kernel=uniform]'"""
    world_seed: int = 0
    """which of the published worlds; also the seed of everything else"""
    n_actions: int = 1000
    """candidate prompts"""
    n: int = 8000
    """logged rounds"""
    beta: float = 1.0
    """inverse temperature of the logging policy; at 1 it is close to uniform"""
    reward_std_for_regression: float | None = None
    """noise of the rewards that the reward models see; that of the log unless given"""
    q_hat: Literal["published", "quick", "pessimistic", "two_stage"] = "published"
    """the reward model by prompt"""
    kernel: Literal["gaussian", "uniform", "laplace", "epanechnikov"] | None = None
    """of outputs, gaussian unless given"""
    tau: float | None = None
    """bandwidth of the kernel, 1 unless given; three times as wide for kernels that end at it"""
    steps_scale: float = 1.0
    """of the published gradient steps"""

    def experiment(self) -> Experiment:
        """One world, and how everything in it is made."""
        return Experiment(
            SyntheticConfig(world="published", world_seed=self.world_seed, n_actions=self.n_actions),
            n=self.n,
            beta=self.beta,
            reward_std_for_regression=self.reward_std_for_regression,
            tau=self.tau,
            steps_scale=self.steps_scale,
        )

    def variants(self) -> list[Variant]:
        """The methods, with the kernel and the reward model that are asked for."""
        options = {"q_hat": self.q_hat} | ({"kernel": self.kernel} if self.kernel else {})
        return [parse_method(specialised(method, options)) for method in self.methods]
