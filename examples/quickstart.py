"""Record a log, learn better policies from the log alone, show by how much they are better.

python examples/quickstart.py            a minute or two on 2 cores
python examples/quickstart.py --help     every setting
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gymnasium as gym
import tyro

import prompt_bandits
from agents.comparison import compare
from agents.learners import DSO, IPS, BehaviourCloning, DirectMethod, SentenceDM
from agents.logging_policies import published_logging_policy
from agents.reward_models import RewardTraining


@dataclass
class Args:
    n_actions: int = 1000
    """candidate prompts"""
    n: int = 8000
    """logged rounds"""
    steps: int = 5000
    """gradient steps of the first four learners, of 128 rounds (published: 20,000 of 32)"""
    world_seed: int = 0
    """of the environment's matrices"""
    seed: int = 0
    """of the rounds and the learners"""
    out: Path = Path("runs/quickstart")
    """where the dataset's folder, the best learner's policy and the plot go"""


def main(args: Args) -> None:
    # 1. An environment: a user with a query arrives, a prompt is chosen, a frozen LLM answers, the user reacts.
    env = gym.make("PromptPersonalization-Synthetic-v0", n_actions=args.n_actions, world_seed=args.world_seed)
    simulator = env.unwrapped.simulator

    # 2. A logged dataset: what a so-so policy did, with the probability of everything it did.
    quick = RewardTraining(steps=2000, patience=None)
    logging_policy = published_logging_policy(env, seed=args.seed + 1, training=quick)
    data = prompt_bandits.collect(env, logging_policy, args.n, seed=args.seed)
    print(f"logged data\n{data.summary()}\n")

    # 3. Learn from the log alone. DSO and SentenceDM may also ask the frozen LLM for sentences; nobody asks the users.
    learners = {
        "behaviour cloning": BehaviourCloning.quick(steps=args.steps),
        "direct method": DirectMethod.quick(steps=args.steps),
        "IPS": IPS.quick(steps=args.steps),
        "DSO": DSO.quick(steps=args.steps),
        "SentenceDM": SentenceDM(steps=min(3000, args.steps)),
    }
    policies = {"logging policy": logging_policy}
    for name, learner in learners.items():
        policies[name] = learner.fit(data, seed=args.seed, simulator=simulator)

    # 4. The truth, which only a simulator knows: exact values over the same 10,000 fresh users for all policies.
    comparison = compare(policies, simulator, baseline="logging policy")
    print(comparison)

    args.out.mkdir(parents=True, exist_ok=True)
    data.save(args.out / "dataset", overwrite=True)
    prompt_bandits.save(policies["SentenceDM"], args.out / "policy")
    comparison.plot().figure.savefig(args.out / "policy_values.png", dpi=150)
    print(f"\nsaved: {args.out}/dataset, {args.out}/policy, {args.out}/policy_values.png")


if __name__ == "__main__":
    main(tyro.cli(Args))
