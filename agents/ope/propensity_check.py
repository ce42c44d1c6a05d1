"""Whether the propensities are what they say, judged on some of the rounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from prompt_bandits.datasets import BanditDataset
from prompt_bandits.protocols import Policy
from prompt_bandits.rounds import named_generator

from ..protocols import LoggedData
from .models import Models

if TYPE_CHECKING:
    from ..calibration import Calibration

_CELLS, _FEWEST = 2_000_000, 500  # rounds × prompts that are looked at; but so many rounds at least


@dataclass(frozen=True)
class PropensityCheck:
    """What is known of the propensities; nothing where neither a logging policy nor an estimate of it is there."""

    calibration: Calibration | None = None
    gap: float | None = None  # largest |p / π0(a_i|x_i) − 1| of logged propensities p


def check_propensities(data: LoggedData, models: Models, seed: int) -> PropensityCheck:
    """Of the estimate where there is one, else of the logging policy that the data carry; of several, the busiest."""
    if models.propensity is None and not data.policies:
        return PropensityCheck()
    rows = _some(data, max(_FEWEST, _CELLS // data.n_actions), seed)
    from ..calibration import calibration

    if models.propensity is not None:
        return PropensityCheck(calibration(models.propensity, rows))
    own, policy = _busiest(rows)
    return PropensityCheck(calibration(policy, own), _gap(rows))


def _some(data: LoggedData, n: int, seed: int) -> BanditDataset:
    if not isinstance(data, BanditDataset):
        return next(data.batches(n, columns=data.learnable_columns(), seed=seed))
    if len(data) <= n:
        return data
    return data.take(np.sort(named_generator(seed, "propensity check").choice(len(data), n, replace=False)))


def _busiest(rows: BanditDataset) -> tuple[BanditDataset, Policy]:
    """The rounds of the logging policy that has most of them."""
    if rows.policy_id is None:
        return rows, rows.policies[0]
    busiest = int(np.bincount(rows.policy_id).argmax())
    return rows.take(rows.policy_id == busiest), rows.policies[busiest]


def _gap(rows: BanditDataset) -> float | None:
    if rows.propensity is None:
        return None
    own = rows.logging_dist()[np.arange(len(rows)), rows.action]
    return float(np.abs(rows.propensity / np.maximum(own, 1e-300) - 1).max())
