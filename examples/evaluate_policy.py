"""Is the new policy better? Learn policies from one log, judge them by another, and see how right the judgement was.

python examples/evaluate_policy.py            some minutes on 2 cores
python examples/evaluate_policy.py --help     every setting
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gymnasium as gym
import tyro

import prompt_bandits
from agents import ope
from agents.learners import IPS, SentenceDM
from agents.ope.comparing import Comparison
from agents.ope.report import report
from agents.reward_models import RewardTraining
from prompt_bandits.policies import OracleScore, Softmax


@dataclass
class Args:
    n_actions: int = 100
    """candidate prompts"""
    n: int = 4000
    """logged rounds to learn from"""
    n_fresh: int = 20_000
    """logged rounds to judge by"""
    steps: int = 1000
    """gradient steps of learners and reward models"""
    seed: int = 0
    """of rounds, learners and estimates"""
    out: Path = Path("runs/evaluate_policy")
    """where logs, policies and reports go"""


def main(args: Args) -> None:
    # 1. Two logs of what runs today: a policy looks too good in the rounds that it has learnt from.
    env = gym.make("PromptPersonalization-Synthetic-v0", n_actions=args.n_actions)
    simulator = env.unwrapped.simulator
    today = Softmax(OracleScore(simulator), beta=0.3)
    log = prompt_bandits.collect(env, today, args.n, seed=args.seed)
    fresh = args.out / "fresh_log"
    prompt_bandits.collect(env, today, args.n_fresh, seed=args.seed + 1, path=fresh, overwrite=True)

    # 2. New policies.
    policies = {
        "IPS": IPS.quick(steps=args.steps).fit(log, seed=args.seed),
        "SentenceDM": SentenceDM(steps=args.steps).fit(log, seed=args.seed, simulator=simulator),
    }

    # 3. What each would earn, by the fresh log alone. Which estimator gives the verdict is settled here: dr.
    estimators = [ope.DR(), ope.SNIPS(), ope.IPS(), ope.DM()]
    training = RewardTraining(steps=args.steps)
    models = None  # fitted for the first policy, taken over by the second
    for name, policy in policies.items():
        found = ope.evaluate(policy, fresh, estimators, models=models, training=training, seed=args.seed, name=name)
        models = found.models
        compared = Comparison(found, headline="dr")
        print(f"{compared}\n")
        page = args.out / f"{name}.html"
        page.write_text(report(compared, {"data": str(fresh), "policy": name, "seed": args.seed}), encoding="utf-8")

        # 4. The truth, which only a simulator knows.
        gain = simulator.policy_value(policy).value - simulator.policy_value(today).value
        print(f"Really it gains {gain:+.4f}. {page} shows the estimates.\n")
        prompt_bandits.save(policy, args.out / name)

    # The same from a shell: prompt-bandits evaluate --data runs/evaluate_policy/fresh_log --policy ...
    print(f"prompt-bandits evaluate --data {fresh} --policy {args.out / 'SentenceDM'} --baseline {args.out / 'IPS'}")


if __name__ == "__main__":
    main(tyro.cli(Args))
