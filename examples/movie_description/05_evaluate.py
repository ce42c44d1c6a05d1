"""Stage 5: the exact gains of policies over no prompt, for 10,000 rounds of users that nobody learnt from. What is not
learnt yet is learnt first.

python examples/movie_description/05_evaluate.py                      after stage 4
python examples/movie_description/05_evaluate.py --methods ips dso    some minutes where their policies are missing
"""

from __future__ import annotations

import torch
import tyro
from arguments import Args

from agents.benchmark import parse_method, stages


def main(args: Args) -> None:
    torch.set_num_threads(1)  # the networks are small
    no_prompt, uniform, logging, optimal = map(parse_method, ("no_prompt", "uniform", "logging", "optimal"))
    print(f"{'method':<20}  {'policy value':>18}  gain over no prompt")
    for variant in (no_prompt, uniform, logging, *args.variants(), optimal):
        judged = stages.evaluate(args.out, args.experiment(), variant)
        print(f"{variant.name:<20}  {judged.value!s:>18}  {judged.gain:>19.3f}")


if __name__ == "__main__":
    main(tyro.cli(Args))
