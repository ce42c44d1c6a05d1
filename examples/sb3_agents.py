"""Stable-Baselines3 on the environments: PPO, A2C, DQN and MaskablePPO learn online, and their training is recorded as
a logged dataset with the probabilities that they played with.

python examples/sb3_agents.py                                    PPO on ten synthetic prompts, half a minute
python examples/sb3_agents.py --algorithm dqn --env movie        a minute
python examples/sb3_agents.py --help                             every setting
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import torch
import tyro
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecMonitor

import prompt_bandits
from agents import ope
from agents.comparison import compare
from agents.integrations.stable_baselines3 import (
    PolicyValueCallback,
    RecordingCallback,
    SB3Policy,
    log_interval,
    one_step_arguments,
    to_vec_env,
)
from prompt_bandits import RecordBanditDatasetVector
from prompt_bandits.policies import EpsilonGreedy

IDS = {"synthetic": "PromptPersonalization-Synthetic-v0", "movie": "MovieDescription-v0"}


@dataclass
class Args:
    algorithm: Literal["ppo", "a2c", "dqn", "maskable_ppo"] = "ppo"
    """maskable_ppo plays the synthetic world with three in ten prompts masked in each round"""
    env: Literal["synthetic", "movie"] = "synthetic"
    """where to learn"""
    n_actions: int = 10
    """candidate prompts"""
    rounds: int = 200_000
    """of training"""
    num_envs: int = 256
    """rounds played at once; DQN takes a quarter of it, since it learns between steps"""
    hidden: tuple[int, ...] = (64, 64)
    """units of each hidden layer"""
    n_judged: int = 10_000
    """contexts that true values are averaged over"""
    seed: int = 0
    """of the rounds and the networks"""
    out: Path = Path("runs/sb3_agents")
    """where the log and the policy go"""


def main(args: Args) -> None:
    torch.set_num_threads(1)  # the networks are small
    folder = args.out / f"{args.algorithm}_{args.env}"
    shutil.rmtree(folder / "log", ignore_errors=True)

    # 1. The vector environment, recorded; SB3 sees it as a VecEnv.
    num_envs = args.num_envs // 4 if args.algorithm == "dqn" else args.num_envs
    masks = {"mask_rate": 0.3} if args.algorithm == "maskable_ppo" and args.env == "synthetic" else {}
    vector = gym.make_vec(IDS[args.env], num_envs=num_envs, flatten_obs=True, n_actions=args.n_actions, **masks)
    simulator = vector.unwrapped.simulator
    recorder = RecordBanditDatasetVector(vector, folder / "log")
    env = VecMonitor(to_vec_env(recorder))

    # 2. Training. The exact value along the way is for this table only: no learner sees it.
    print("rounds    policy value  optimality")
    every, n = max(1, args.rounds // 5), min(2000, args.n_judged)
    told = PolicyValueCallback(simulator, every, n, told=print_row)
    model = make_model(args, env)
    model.learn(args.rounds, callback=[RecordingCallback(recorder), told], log_interval=log_interval(model))
    env.close()

    # 3. The model as a policy of ours: as it draws, and its best prompt.
    learnt = SB3Policy.of(model)
    policies = {f"{args.algorithm}, drawn": learnt, f"{args.algorithm}, best": EpsilonGreedy(learnt)}
    print(f"\n{compare(policies, simulator, n=args.n_judged)}\n")
    prompt_bandits.save(learnt, folder / "policy")

    # 4. The recorded training, judged off-policy although the policy changed all the time. (The model has learnt from
    # these very rounds, which flatters it a little; a verdict wants a fresh log, as in evaluate_policy.py.)
    log = recorder.dataset()
    print(f"the log of its training\n{log.summary()}\n")
    name = f"{args.algorithm}, best"
    print(ope.evaluate(EpsilonGreedy(learnt), log, [ope.IPS(), ope.SNIPS()], seed=args.seed, name=name))
    print(f"really: {simulator.policy_value(EpsilonGreedy(learnt), args.n_judged)}")
    print(f"\nsaved: {folder}/log, {folder}/policy")


def make_model(args: Args, env: VecMonitor) -> BaseAlgorithm:
    """Settings for rounds that are cheap to play and rewards that are mostly noise: large batches, decaying steps."""
    common: dict[str, Any] = {
        **one_step_arguments(),
        "seed": args.seed,
        "policy_kwargs": {"net_arch": list(args.hidden)},
        "learning_rate": decaying_from(5e-3 if args.algorithm == "a2c" else 2e-3),
    }
    if args.algorithm == "a2c":
        return A2C("MlpPolicy", env, n_steps=2, use_rms_prop=False, **common)
    if args.algorithm == "dqn":
        steps = {"train_freq": 1, "gradient_steps": 2, "batch_size": 512, "learning_starts": 1000}
        return DQN("MlpPolicy", env, buffer_size=args.rounds, exploration_fraction=0.5, **steps, **common)
    rollout = {"n_steps": 8, "batch_size": 512, "n_epochs": 4}
    if args.algorithm == "maskable_ppo":
        from sb3_contrib import MaskablePPO

        return MaskablePPO("MlpPolicy", env, **rollout, **common)
    return PPO("MlpPolicy", env, **rollout, **common)


def decaying_from(first: float) -> Callable[[float], float]:
    return lambda left: first * left  # SB3 hands over what is left of training, from 1 to 0


def print_row(rounds: int, value: float, gain: float) -> None:
    print(f"{rounds:<8}  {value:>12.4f}  {gain:>10.3f}", flush=True)


if __name__ == "__main__":
    main(tyro.cli(Args))
