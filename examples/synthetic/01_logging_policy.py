"""Stage 1: a so-so logging policy. A reward model is fitted to rounds of the uniform policy, and its softmax plays.

python examples/synthetic/01_logging_policy.py           about a minute
python examples/synthetic/01_logging_policy.py --help    every setting; all five stages have these
"""

from __future__ import annotations

import torch
import tyro
from arguments import Args

from agents.benchmark import stages


def main(args: Args) -> None:
    torch.set_num_threads(1)  # the networks are small
    experiment = args.experiment()
    policy = stages.logging_policy(args.out, experiment)

    simulator = experiment.environment.build()
    for name, value in {
        "uniform": simulator.uniform_value(),
        "logging": simulator.policy_value(policy),
        "optimal": simulator.optimal_value(),
    }.items():
        print(f"{name:<8} {value}")


if __name__ == "__main__":
    main(tyro.cli(Args))
