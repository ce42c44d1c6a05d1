"""How the reward simulator is fitted, and what it is fitted to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prompt_bandits.movie.rewards.fitting import Fitting
from prompt_bandits.rounds import named_generator
from prompt_bandits.types import BoolArray, FloatArray, IntArray

_LOSSES = ("mse", "bce")


@dataclass(frozen=True)
class RewardFitting(Fitting):
    """Of collaborative filtering, and what both fits share.

    Raises:
        ValueError: a number out of range, or an unknown loss.
    """

    loss: str = "mse"  # squared error of p, or "bce", binary cross-entropy
    dim: int = 20  # of the embeddings, and of a sentence's features
    hidden: int = 100
    validation_fraction: float = 0.2  # of the rows, at random, held out
    steps_per_epoch: int | None = None  # only so many batches an epoch

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loss not in _LOSSES:
            raise ValueError(f"loss: expected one of {', '.join(_LOSSES)}, got {self.loss!r}")
        for name in ("dim", "hidden", "steps_per_epoch"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}: expected >= 1, got {value}")
        if not 0 < self.validation_fraction < 1:
            raise ValueError(f"validation_fraction: expected in (0, 1), got {self.validation_fraction}")

    @classmethod
    def published(cls) -> RewardFitting:
        """Adam 1e-3, at most 300 epochs of 100 steps of 16."""
        return cls(batch_size=16, max_epochs=300, steps_per_epoch=100)


@dataclass(frozen=True)
class SentenceRewardFitting(RewardFitting):
    """Of the reward from sentences.

    Raises:
        ValueError: a number out of range, or an unknown loss.
    """

    batch_size: int = 64
    max_epochs: int = 30
    warmup_steps: int = 200  # without it a base that starts from nothing may learn nothing
    start_layers: bool = True  # layers too are those of collaborative filtering at first, not users and biases only
    freeze_base: bool = False
    base_lr: float | None = None  # of the base model; the same unless given
    max_length: int = 32  # tokens of a sentence, special ones included
    random_rate: float = 0.1  # of tokens that become another one while training
    mask_rate: float = 0.1  # of tokens that become the mask
    shared_rows: int = 4  # up to so many rows of a sentence share a batch, where it is then read once

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, low in (("max_length", 3), ("shared_rows", 1)):
            if getattr(self, name) < low:
                raise ValueError(f"{name}: expected >= {low}, got {getattr(self, name)}")
        if not (self.random_rate >= 0 and self.mask_rate >= 0 and self.random_rate + self.mask_rate <= 1):
            rates = f"{self.random_rate}, {self.mask_rate}"
            raise ValueError(f"random_rate, mask_rate: expected >= 0 and a sum of at most 1, got {rates}")
        if self.base_lr is not None and not self.base_lr > 0:
            raise ValueError(f"base_lr: expected > 0 or None, got {self.base_lr}")

    @classmethod
    def published(cls) -> SentenceRewardFitting:
        """As for collaborative filtering, on a frozen base that reads 20 tokens; layers start at random."""
        return cls(
            batch_size=16,
            max_epochs=300,
            warmup_steps=0,
            steps_per_epoch=100,
            start_layers=False,
            freeze_base=True,
            max_length=20,
        )


@dataclass(frozen=True, eq=False)
class Ratings:
    """Who liked which film, or a sentence about it.

    Raises:
        ValueError: columns that differ in length, ids out of range, or rewards outside [0, 1].
    """

    user_id: IntArray  # (n,)
    query_id: IntArray  # (n,)
    reward: FloatArray  # (n,) in [0, 1]
    n_users: int
    n_items: int

    def __post_init__(self) -> None:
        for name, kind in (("user_id", np.int64), ("query_id", np.int64), ("reward", np.float32)):
            column = np.ascontiguousarray(getattr(self, name), dtype=kind)
            if column.shape != (len(self.user_id),):
                raise ValueError(f"{name}: expected {len(self.user_id)} rows, got shape {column.shape}")
            object.__setattr__(self, name, column)
        if len(self) < 2:
            raise ValueError(f"reward: expected at least 2 rows, one to hold out, got {len(self)}")
        for name, column, n in (("user_id", self.user_id, self.n_users), ("query_id", self.query_id, self.n_items)):
            if not (column.min() >= 0 and column.max() < n):
                raise ValueError(f"{name}: expected 0 … {n - 1}, got {column.min()} … {column.max()}")
        if not (self.reward.min() >= 0 and self.reward.max() <= 1):
            raise ValueError(f"reward: expected values in [0, 1], got {self.reward.min()} … {self.reward.max()}")

    def __len__(self) -> int:
        return len(self.user_id)


def held_out_rows(n: int, fraction: float, seed: int) -> BoolArray:
    """(n,) True for the random rows that are held out: the same for both fits on the same rows from one seed."""
    held_out = np.zeros(n, dtype=bool)
    size = min(max(1, round(fraction * n)), n - 1)
    held_out[named_generator(seed, "held out").permutation(n)[:size]] = True
    return held_out
