"""Stage 4: policies, with their true gain over no prompt along the way.

python examples/movie_description/04_policy.py                          a minute or two, after stages 2 and 3
python examples/movie_description/04_policy.py --methods sentence_dm
"""

from __future__ import annotations

import torch
import tyro
from arguments import Args

from agents.benchmark import stages


def main(args: Args) -> None:
    torch.set_num_threads(1)  # the networks are small
    experiment = args.experiment()
    no_prompt = experiment.judged.build().no_prompt_value().value
    for variant in args.variants():
        learnt = stages.policy(args.out, experiment, variant)
        print(f"{variant.name}: learnt in {learnt.cost.wall_s:.1f} s")
        for step, value in learnt.curve:
            print(f"step {step:>6}  gain over no prompt {value - no_prompt:.4f}")


if __name__ == "__main__":
    main(tyro.cli(Args))
