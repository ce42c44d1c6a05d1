"""Stage 4: policies, with their true value along the way.

python examples/synthetic/04_policy.py                          half a minute, after stages 2 and 3
python examples/synthetic/04_policy.py --methods sentence_dm
"""

from __future__ import annotations

import torch
import tyro
from arguments import Args

from agents.benchmark import stages


def main(args: Args) -> None:
    torch.set_num_threads(1)  # the networks are small
    for variant in args.variants():
        learnt = stages.policy(args.out, args.experiment(), variant)
        print(f"{variant.name}: learnt in {learnt.cost.wall_s:.1f} s")
        for step, value in learnt.curve:
            print(f"step {step:>6}  policy value {value:.4f}")


if __name__ == "__main__":
    main(tyro.cli(Args))
