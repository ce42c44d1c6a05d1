"""Stage 2: what the logging policy did and earned, and a reward model of it by prompt.

python examples/movie_description/02_logged_data.py    seconds, after stage 1
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

    for i in range(3):
        prompt = data.prompts.text[data.action[i]]
        print(f"{data.obs.query_text[i]}, {prompt!r}: {data.output.text[i]} Reward {data.reward[i]:.2f}")

    q_hat = stages.reward_model_by_action(args.out, experiment, args.q_hat)
    predicted = q_hat.predict(data.obs, data.action)
    correlation = np.corrcoef(predicted, data.oracle["expected_reward"])[0, 1]
    print(f"\nreward model by prompt: correlation with the true mean {correlation:.3f}")


if __name__ == "__main__":
    main(tyro.cli(Args))
