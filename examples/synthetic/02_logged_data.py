"""Stage 2: what the logging policy did and earned, and two reward models of it: by prompt and by output.

python examples/synthetic/02_logged_data.py    about two minutes, after stage 1
"""

from __future__ import annotations

import numpy as np
import torch
import tyro
from arguments import Args

from agents.benchmark import stages


def main(args: Args) -> None:
    torch.set_num_threads(1)  # the networks are small
    experiment = args.experiment()
    data = stages.logged_data(args.out, experiment)
    print(f"{data.summary()}\n")

    q_hat = stages.reward_model_by_action(args.out, experiment, args.q_hat)
    r_hat = stages.reward_model_by_output(args.out, experiment)
    expected = data.oracle["expected_reward"]
    for name, predicted in {
        "by prompt": q_hat.predict(data.obs, data.action),
        "by output": r_hat.predict(data.obs, data.require_output()),
    }.items():
        print(f"reward model {name}: correlation with the true mean {np.corrcoef(predicted, expected)[0, 1]:.3f}")


if __name__ == "__main__":
    main(tyro.cli(Args))
