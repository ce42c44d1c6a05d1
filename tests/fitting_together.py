"""Models fitted by all processes of a launch: torchrun --nproc_per_node 2 tests/fitting_together.py OUT

Writes OUT/<process>.npz with the parameters of each, and how many sentences and logs this process asked for and saw.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from agents.cloning import distil_reward_model
from agents.density import DensityTraining, fit_density_model
from agents.learners import DR, DSO, IPS, POTEC, ActorCritic, OnlineREINFORCE
from agents.online_rewards import fit_action_reward_model_online
from agents.processes import together
from agents.reward_models import RewardTraining, fit_action_reward_model, fit_output_reward_model
from prompt_bandits import BanditDataset, collect
from prompt_bandits.policies import OracleScore, Softmax
from prompt_bandits.simulator import PromptSimulator
from prompt_bandits.synthetic import SyntheticConfig

REWARDS = RewardTraining(steps=60, batch_size=32, log_every=20, patience=1, optimizer="SGD", lr=1e-3)
DENSITY = DensityTraining(steps=60, batch_size=32, optimizer="SGD", lr=1e-2)
POLICY: dict[str, Any] = {"steps": 80, "batch_size": 32, "optimizer": "SGD", "lr": 0.01, "log_every": 20}


class Counting:
    """A simulator that counts the sentences that it was asked for."""

    def __init__(self, simulator: PromptSimulator) -> None:
        self.simulator, self.asked = simulator, 0

    def respond(self, obs, action, rounds):
        self.asked += len(obs)
        return self.simulator.respond(obs, action, rounds)


def world() -> tuple[PromptSimulator, BanditDataset]:
    simulator = SyntheticConfig(n_actions=10).build()
    return simulator, collect(simulator, Softmax(OracleScore(simulator), beta=0.5), 500, seed=1)


def models() -> dict[str, Callable[[], Any]]:
    """What is fitted, by name."""
    simulator, log = world()
    pessimistic = replace(REWARDS, pessimism=0.1)
    regularised = IPS(**POLICY, warmup_steps=10, entropy=0.01, kl_to_logging=0.01, validation_fraction=0.2)
    reward, steps = {"reward_training": REWARDS}, POLICY
    return {
        "reward by action": lambda: fit_action_reward_model(log, REWARDS, seed=0),
        "reward by output": lambda: fit_output_reward_model(log, pessimistic, seed=0, simulator=simulator),
        "reward online": lambda: fit_action_reward_model_online(simulator, REWARDS, seed=0),
        "distilled": lambda: distil_reward_model(
            fit_output_reward_model(log, REWARDS, seed=0), log, simulator, REWARDS, seed=0
        ),
        "density": lambda: fit_density_model(log, simulator, DENSITY, seed=0),
        "ips": lambda: regularised.fit(log, seed=0),
        "dr": lambda: DR(**steps, **reward).fit(log, seed=0),
        "dso": lambda: DSO(**steps, n_inner=2, density_training=DENSITY).fit(log, seed=0, simulator=simulator),
        "potec": lambda: POTEC(**steps, **reward, n_clusters=3).fit(log, seed=0).first_stage,
        "online": lambda: OnlineREINFORCE(**steps).fit(seed=0, simulator=simulator),
        "adam": lambda: IPS(steps=80, batch_size=32, lr=1e-3).fit(log, seed=0),
        "actor-critic": lambda: ActorCritic(**steps).fit(seed=0, simulator=simulator),
    }


def parameters(network: nn.Module) -> np.ndarray:
    return torch.nn.utils.parameters_to_vector(network.parameters()).detach().numpy().copy()


def fitted() -> dict[str, np.ndarray]:
    """All parameters of each."""
    found = {name: parameters(fit().network) for name, fit in models().items()}
    simulator, log = world()
    counting, calls = Counting(simulator), []
    density = fit_density_model(log, simulator, DENSITY, seed=0)
    asked = DSO(**POLICY)
    asked.fit(log, seed=0, simulator=counting, density=density, callback=lambda step, *_: calls.append(step))
    return found | {"asked": np.array([counting.asked]), "calls": np.array(calls)}


def main(out: Path) -> None:
    torch.set_num_threads(1)
    with together() as processes:
        try:
            refused = IPS(self_normalised=True)
            refused.fit(world()[1], seed=0)
            said = ""
        except ValueError as error:
            said = str(error)
        np.savez(out / f"{processes.index}.npz", said=said, n=processes.n, **fitted())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
