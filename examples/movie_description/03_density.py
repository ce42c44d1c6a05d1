"""Stage 3: how likely the logging policy was to get sentences like each logged one, which DSO divides by.

python examples/movie_description/03_density.py    seconds, after stage 2
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
    for variant in args.variants():
        learner = variant.learner(experiment)
        if "density" not in variant.wants(learner):
            continue
        density = stages.density(args.out, experiment, learner).density(data.obs, data.require_output())
        levels = ", ".join(f"{level:.2e}" for level in np.quantile(density, (0.01, 0.5, 0.99)))
        print(f"{variant.name}: density of logged sentences, 1%, 50%, 99%: {levels}")


if __name__ == "__main__":
    main(tyro.cli(Args))
