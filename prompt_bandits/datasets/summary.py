"""A dataset in a few numbers."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from prompt_bandits.types import Estimate

if TYPE_CHECKING:
    from prompt_bandits.datasets.dataset import BanditDataset


@dataclass(frozen=True)
class Summary:
    """A dataset in numbers."""

    n: int
    n_actions: int
    actions_seen: int
    reward: Estimate | None  # mean and its standard error; None without rounds
    propensity_range: tuple[float, float] | None  # None where unknown
    effective_sample_size: float | None  # of the weights of a uniform policy, (Σw)²/Σw² with w = 1/propensity

    @classmethod
    def of(cls, data: BanditDataset) -> Summary:
        p = data.propensity if len(data) else None
        return cls(
            n=len(data),
            n_actions=data.n_actions,
            actions_seen=len(np.unique(data.action)),
            reward=Estimate.from_terms(data.reward) if len(data) else None,
            propensity_range=None if p is None else (float(p.min()), float(p.max())),
            effective_sample_size=None if p is None else float((1 / p).sum() ** 2 / (1 / p**2).sum()),
        )

    def __str__(self) -> str:
        def shown(value: object) -> str:
            if value is None:
                return "unknown"
            if isinstance(value, tuple):
                return " … ".join(f"{v:.3g}" for v in value)
            return (
                f"{value:,.1f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
            )

        return "\n".join(
            f"{entry.name.replace('_', ' '):>22}  {shown(getattr(self, entry.name))}" for entry in fields(self)
        )
