"""A dataset in a few numbers."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from prompt_bandits.types import Estimate

if TYPE_CHECKING:
    from prompt_bandits.datasets.dataset import BanditDataset


_LABELS = {"effective_sample_size": "ESS for uniform policy"}


@dataclass(frozen=True)
class Summary:
    """A dataset in numbers."""

    n: int
    n_actions: int
    actions_seen: int
    reward: Estimate | None  # mean and its standard error; None without rounds
    propensity_range: tuple[float, float] | None  # None where unknown
    effective_sample_size: float | None  # (Σw)²/Σw² of the weights w of a policy uniform over the allowed prompts

    @classmethod
    def of(cls, data: BanditDataset) -> Summary:
        p = data.propensity if len(data) else None
        mask = data.obs.action_mask
        weight = None if p is None else 1 / (p * (data.n_actions if mask is None else mask.sum(axis=1)))
        return cls(
            n=len(data),
            n_actions=data.n_actions,
            actions_seen=len(np.unique(data.action)),
            reward=Estimate.from_terms(data.reward) if len(data) else None,
            propensity_range=None if p is None else (float(p.min()), float(p.max())),
            effective_sample_size=None if weight is None else float(weight.sum() ** 2 / (weight**2).sum()),
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
            f"{_LABELS.get(entry.name, entry.name.replace('_', ' ')):>22}  {shown(getattr(self, entry.name))}"
            for entry in fields(self)
        )
