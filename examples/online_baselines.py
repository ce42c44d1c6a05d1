"""LinUCB, linear Thompson sampling and ε-greedy, which may try their choices on users: regret round by round.

python examples/online_baselines.py            half a minute on 2 cores
python examples/online_baselines.py --help     every setting
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gymnasium as gym
import tyro

from agents.online import LinEpsilonGreedy, LinTS, LinUCB, play_seeds, plot_bands
from prompt_bandits.policies import Uniform


@dataclass
class Args:
    env_id: str = "PromptPersonalization-Synthetic-v0"
    """or MovieDescription-v0"""
    n_actions: int = 100
    """candidate prompts; of the synthetic environment"""
    n: int = 10_000
    """rounds"""
    seeds: int = 5
    """runs of each learner, for the intervals"""
    batch: int = 10
    """rounds whose rewards arrive together"""
    features: str = "shared"
    """one model over user × prompt features; disjoint: one a prompt"""
    alpha: float = 1.0
    """width of LinUCB's confidence bounds"""
    scale: float = 1.0
    """of Thompson sampling's draws"""
    epsilon: float = 0.1
    """of ε-greedy"""
    out: Path = Path("runs/online_baselines")
    """where the plot and the last run's log go"""


def main(args: Args) -> None:
    # 1. An environment whose oracle knows what every prompt is worth to every user.
    kwargs = {"n_actions": args.n_actions} if "Synthetic" in args.env_id else {}
    simulator = gym.make(args.env_id, **kwargs).unwrapped.simulator
    missed_by_chance = simulator.regret(Uniform(), 2000).value

    # 2. Every learner plays the same rounds of each seed, a new learner each time.
    learners = {
        "LinUCB": lambda: LinUCB(features=args.features, alpha=args.alpha),
        "linear Thompson sampling": lambda: LinTS(features=args.features, scale=args.scale),
        "linear ε-greedy": lambda: LinEpsilonGreedy(features=args.features, epsilon=args.epsilon),
    }
    runs = {name: play_seeds(simulator, make, args.n, range(args.seeds), args.batch) for name, make in learners.items()}

    # 3. What they missed in all, and how good what they learnt is in the end, without exploring.
    print(f"{'learner':<26}{'regret a round [95%]':>26}{'final optimality':>18}")
    print(f"{'uniform':<26}{missed_by_chance:>26.4f}{0:>18.3f}")
    for name, repeated in runs.items():
        band = repeated.regret()
        low, mean, high = (values[-1] / args.n for values in (band.low, band.mean, band.high))
        reached = sum(simulator.optimality(run.learner.policy(), 2000) for run in repeated.runs) / args.seeds
        print(f"{name:<26}{f'{mean:.4f} [{low:.4f}, {high:.4f}]':>26}{reached:>18.3f}")

    # 4. The curves, and a log: ε-greedy's propensities are exact, so that any offline learner can go on from it.
    args.out.mkdir(parents=True, exist_ok=True)
    axes = plot_bands({name: repeated.regret() for name, repeated in runs.items()}, "cumulative regret")
    axes.axline((0, 0), slope=missed_by_chance, color="0.6", linestyle="--", label="uniform")
    axes.legend(frameon=False)
    axes.set_ylim(0, 1.15 * max(repeated.regret().high[-1] for repeated in runs.values()))
    axes.figure.savefig(args.out / "regret.png", dpi=150)
    runs["linear ε-greedy"].runs[-1].data.save(args.out / "log", overwrite=True)
    print(f"\nsaved: {args.out}/regret.png, {args.out}/log")


if __name__ == "__main__":
    main(tyro.cli(Args))
