"""A dataset in a few numbers."""

from __future__ import annotations

from collections.abc import Iterable
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
    def of(cls, parts: Iterable[BanditDataset], n_actions: int) -> Summary:
        """Of the rounds of all parts, read once."""
        seen = np.zeros(n_actions, dtype=bool)
        n, mean, squares = 0, 0.0, 0.0  # of the rewards; squares of their distances from the mean
        low, high, weights, weights_squared = np.inf, -np.inf, 0.0, 0.0
        unknown = False
        for part in parts:
            if len(part) == 0:
                continue
            seen[part.action] = True
            joined, step = n + len(part), float(part.reward.mean()) - mean
            squares += float(((part.reward - part.reward.mean()) ** 2).sum()) + step**2 * n * len(part) / joined
            n, mean = joined, mean + step * len(part) / joined
            if part.propensity is None:
                unknown = True
                continue
            p, mask = part.propensity, part.obs.action_mask
            weight = 1 / (p * (n_actions if mask is None else mask.sum(axis=1)))
            low, high = min(low, float(p.min())), max(high, float(p.max()))
            weights, weights_squared = weights + float(weight.sum()), weights_squared + float((weight**2).sum())
        known = n > 0 and not unknown
        return cls(
            n=n,
            n_actions=n_actions,
            actions_seen=int(seen.sum()),
            reward=Estimate(mean, float(np.sqrt(squares / (n - 1) / n)) if n > 1 else float("inf"), n) if n else None,
            propensity_range=(low, high) if known else None,
            effective_sample_size=weights**2 / weights_squared if known else None,
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
