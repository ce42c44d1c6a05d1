"""What may be evaluated: a policy, the folder of one, or its probabilities in the logged rounds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from prompt_bandits import load
from prompt_bandits.protocols import Policy
from prompt_bandits.types import FloatArray, Observation, RowIndex

PolicyLike: TypeAlias = "Policy | str | Path | FloatArray"
"""A policy, a folder that one was saved to, or an array (n, |A|) or (n, |A|, 1) of its probabilities in the rounds."""


@dataclass(frozen=True, eq=False)
class ActionDist:
    """A policy of which only its probabilities in the logged rounds are known, in the order of the rounds.

    Raises:
        ValueError: neither (n, |A|) nor (n, |A|, 1).
    """

    dist: FloatArray  # (n, |A|)

    def __post_init__(self) -> None:
        dist = np.asarray(self.dist)
        if dist.ndim == 3 and dist.shape[2] == 1:
            dist = dist[:, :, 0]
        if dist.ndim != 2 or not np.issubdtype(dist.dtype, np.number):
            raise ValueError(
                f"action_dist: expected numbers of shape (n, |A|) or (n, |A|, 1), got {dist.dtype} {dist.shape}"
            )
        object.__setattr__(self, "dist", dist)

    def __len__(self) -> int:
        return len(self.dist)

    def at(self, first: int, n: int) -> FloatArray:
        """Those of `n` rounds from the `first` on, (n, |A|)."""
        return self.dist[first : first + n]

    def take(self, index: RowIndex) -> ActionDist:
        """Those of the rounds that `data.take(index)` gives."""
        return ActionDist(self.dist[index])

    def action_dist(self, obs: Observation) -> FloatArray:
        """Those of all rounds.

        Raises:
            ValueError: asked about another number of rounds.
        """
        if len(obs) != len(self):
            raise ValueError(f"action_dist: known for {len(self)} rounds together, asked about {len(obs)}")
        return self.dist


def as_policy(policy: PolicyLike, n: int, n_actions: int) -> Policy:
    """The policy that is meant.

    Args:
        policy: see `PolicyLike`.
        n: logged rounds.
        n_actions: their prompts.

    Raises:
        FileNotFoundError: no saved policy in the folder.
        ValueError: a folder of something else, or an array of another shape.
    """
    found = load(policy) if isinstance(policy, (str, Path)) else policy
    if isinstance(found, np.ndarray):
        found = ActionDist(found)
    if isinstance(found, ActionDist):
        if found.dist.shape != (n, n_actions):
            raise ValueError(f"action_dist: expected shape ({n}, {n_actions}), got {found.dist.shape}")
        return found
    if not isinstance(found, Policy):
        raise ValueError(f"policy: expected one with `action_dist(obs)`, its folder or an array, got {found!r}")
    return found


def policy_name(policy: PolicyLike) -> str:
    """What to call it in a table: the folder, or the class."""
    if isinstance(policy, (str, Path)):
        return Path(policy).name
    return "action_dist" if isinstance(policy, (np.ndarray, ActionDist)) else type(policy).__name__
