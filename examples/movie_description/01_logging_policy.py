"""Stage 1: a policy learns online, by trying its choices on users; a softer version of it is what logs.

python examples/movie_description/01_logging_policy.py           half a minute
python examples/movie_description/01_logging_policy.py --help    every setting; all five stages have these
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

    simulator = experiment.judged.build()  # users that nobody learns from
    for name, value in {
        "no prompt": simulator.no_prompt_value(),
        "uniform": simulator.uniform_value(),
        "logging": simulator.policy_value(policy),
        "online": simulator.policy_value(policy.score),
        "optimal": simulator.optimal_value(),
    }.items():
        print(f"{name:<10} {value}")


if __name__ == "__main__":
    main(tyro.cli(Args))
