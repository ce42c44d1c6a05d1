"""What all five stages are asked for. Give all of them the same: each finds what earlier ones left by it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agents.benchmark import Experiment, Variant, benchmark_config, parse_method, specialised


@dataclass
class Args:
    out: Path = Path("runs/movie_description")
    """the run's folder; every stage reads there what earlier ones left"""
    methods: tuple[str, ...] = ("dso",)
    """names of `prompt-bandits benchmark`, with fields of the learner if you like: 'dso[tau=median]'"""
    assets: Path | None = None
    """an asset folder; the one that comes with the package unless given"""
    n_actions: int | None = None
    """keyword prompts; all of the assets' unless given"""
    world_seed: int = 0
    """who is a user to learn from and who is one to judge by; also the seed of the online policy"""
    data_seed: int = 0
    """of the logged rounds, and of the models that are fitted to them"""
    fit_seed: int = 0
    """of the learner"""
    n: int = 10_000
    """logged rounds"""
    beta: float = 0.2
    """inverse temperature of the logging policy: of the online policy's logits"""
    q_hat: Literal["published", "quick", "pessimistic", "two_stage", "sentence"] = "published"
    """the reward model by prompt; `quick` is fitted until held-out rounds say stop"""
    kernel: Literal["gaussian", "uniform", "laplace", "epanechnikov"] | None = None
    """of sentence embeddings, gaussian unless given"""
    tau: float | None = None
    """bandwidth of the kernel, .1 unless given; three times as wide for kernels that end at it"""
    predictor_steps: int | None = None
    """of the reward model as published, and of the density; theirs in the synthetic experiments unless given"""
    steps_scale: float = 1.0
    """of all gradient steps"""

    def experiment(self) -> Experiment:
        """One log and one optimiser seed, with the settings of the benchmark where nothing else is said."""
        optional = {"tau": self.tau, "predictor_steps": self.predictor_steps}
        config = benchmark_config(
            "movie",
            methods=self.methods,
            world_config={
                "assets": None if self.assets is None else str(self.assets),
                "n_actions": self.n_actions,
                "world_seed": self.world_seed,
            },
            base={"n": self.n, "beta": self.beta, **{name: value for name, value in optional.items() if value}},
            steps_scale=self.steps_scale,
        )
        return config.experiment(None, self.data_seed, self.fit_seed)

    def variants(self) -> list[Variant]:
        """The methods, with the kernel and the reward model that are asked for."""
        options = {"q_hat": self.q_hat} | ({"kernel": self.kernel} if self.kernel else {})
        return [parse_method(specialised(method, options)) for method in self.methods]
