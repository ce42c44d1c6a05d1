"""What learners are given beside data, refused by name where it is something else."""

from __future__ import annotations

from .clustering import Clustering
from .output_model import OutputModel
from .pair_models import OutputReward
from .protocols import Density, QFunction


def check_given(
    *,
    q_hat: object = None,
    r_hat: object = None,
    density: object = None,
    outputs: object = None,
    clustering: object = None,
) -> None:
    """Raises a ValueError that names the first of these that is given and is not what its name says."""
    if q_hat is not None and not isinstance(q_hat, QFunction):
        raise ValueError(f"q_hat: expected a reward model by action, with `scores` and `predict`, got {q_hat!r}")
    if r_hat is not None and (isinstance(r_hat, QFunction) or not isinstance(r_hat, OutputReward)):
        raise ValueError(f"r_hat: expected a reward model by output, with `predict(obs, output)`, got {r_hat!r}")
    if density is not None and not isinstance(density, Density):
        raise ValueError(f"density: expected something with `density(obs, output)`, got {density!r}")
    if outputs is not None and not isinstance(outputs, OutputModel):
        raise ValueError(f"outputs: expected an OutputModel, as fit_output_model gives, got {outputs!r}")
    if clustering is not None and not isinstance(clustering, Clustering):
        raise ValueError(f"clustering: expected a Clustering, as kmeans gives, got {clustering!r}")
