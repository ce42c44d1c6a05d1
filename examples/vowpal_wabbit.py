"""A Vowpal Wabbit learner on a log of ours; its policy comes back, to be judged by a fresh log and the truth.

python examples/vowpal_wabbit.py            half a minute on 2 cores; needs pip install "prompt_bandits[vw]"
python examples/vowpal_wabbit.py --help     every setting
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gymnasium as gym
import tyro
import vowpalwabbit

import prompt_bandits
from agents import ope
from agents.ope.comparing import Comparison
from agents.reward_models import RewardTraining
from prompt_bandits.exchange import export_dataset
from prompt_bandits.exchange.vowpal_policy import VowpalPolicy
from prompt_bandits.policies import OracleScore, Softmax


@dataclass
class Args:
    n_actions: int = 10
    """candidate prompts"""
    n: int = 20_000
    """logged rounds to learn from"""
    n_fresh: int = 10_000
    """logged rounds to judge by"""
    n_truth: int = 5_000
    """users over which true values are averaged"""
    vw: str = "--cb_explore_adf --cb_type mtr --epsilon 0.05 -q xa -q qa --power_t 0.5"
    """the learner: x is the context, q the query, a a prompt's number, e its embedding"""
    steps: int = 500
    """gradient steps of the reward model that judges"""
    seed: int = 0
    """of rounds and estimates"""
    out: Path = Path("runs/vowpal_wabbit")
    """where logs, model and policy go"""


def main(args: Args) -> None:
    # 1. Two logs of what runs today: one to learn from, one to judge by.
    env = gym.make("PromptPersonalization-Synthetic-v0", n_actions=args.n_actions)
    simulator = env.unwrapped.simulator
    today = Softmax(OracleScore(simulator), beta=0.3)
    log = prompt_bandits.collect(env, today, args.n, seed=args.seed, path=args.out / "log", overwrite=True)
    fresh = prompt_bandits.collect(env, today, args.n_fresh, seed=args.seed + 1)

    # 2. The log as Vowpal Wabbit's text, written a part at a time; and a learner of its own, which reads the file.
    text = export_dataset(log, "vw-adf", args.out / "log.vw.txt", overwrite=True)
    model = args.out / "model.vw"
    workspace = vowpalwabbit.Workspace(arg_list=[*args.vw.split(), "--quiet", "-d", str(text), "-f", str(model)])
    seen = int(workspace.get_weighted_examples())
    progressive = -workspace.get_sum_loss() / seen
    workspace.finish()  # writes the model
    print(f"Vowpal Wabbit read {seen:,} rounds; while it learned, it estimated its own value as {progressive:+.4f}\n")

    # 3. Its policy as one of ours, with the exact probabilities of its exploration; it can be saved and loaded.
    policy = VowpalPolicy.load_model(model)
    prompt_bandits.save(policy, args.out / "policy")

    # 4. What it would earn, by the fresh log alone, against what runs today.
    found = ope.evaluate(
        policy,
        fresh,
        [ope.DR(), ope.SNIPS(), ope.IPS(), ope.DM()],
        training=RewardTraining(steps=args.steps),
        seed=args.seed,
        name="Vowpal Wabbit",
    )
    print(f"{Comparison(found, headline='dr')}\n")

    # 5. The truth, which only a simulator knows.
    value, before = (simulator.policy_value(one, n=args.n_truth) for one in (policy, today))
    best = simulator.optimal_value(n=args.n_truth)
    print(f"true value  today {before}  Vowpal Wabbit {value}  optimal {best}")
    print(f"Really it gains {value.value - before.value:+.4f}.")


if __name__ == "__main__":
    main(tyro.cli(Args))
