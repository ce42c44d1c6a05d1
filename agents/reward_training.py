"""How reward models are fitted: settings, objective, and the regression that all of them are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from torch import Tensor

from prompt_bandits.types import FloatArray, Observation

from .losses import squared_loss
from .networks import PairwiseMLP
from .pair_models import RewardModel
from .protocols import Callback
from .reward_losses import logistic_loss, pessimistic_penalty
from .training import Loss, TrainingConfig, optimise, torch_seed

_LINK_OF_LOSS = {"mse": "identity", "bce": "logistic"}
M = TypeVar("M", bound=RewardModel)


@dataclass(frozen=True)
class RewardTraining(TrainingConfig):
    """How reward models are fitted: squared error, the best checkpoint on held-out rounds.

    `loss="bce"` is binary cross-entropy on logits, for rewards in [0, 1]; the model then predicts probabilities.
    `pessimism` adds pessimism · mean(r̂(x, negative) − r̂(x, logged)) to the loss, the negative being what a uniform
    random allowed prompt would have given; 0.1 in the published variant. Under squared error nothing but the network's
    smoothness and the number of steps bounds it from below. Held-out rounds are judged by the same sum.

    Raises:
        ValueError: a number out of range, or an unknown loss.
    """

    lr: float = 1e-3
    weight_decay: float = 1e-4
    steps: int = 5_000
    batch_size: int = 256
    log_every: int = 250
    validation_fraction: float = 0.1
    patience: int | None = 5
    hidden: int = 100
    loss: str = "mse"  # or "bce"
    pessimism: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden < 1:
            raise ValueError(f"hidden: expected >= 1, got {self.hidden}")
        if self.loss not in _LINK_OF_LOSS:
            raise ValueError(f"loss: expected 'mse' or 'bce', got {self.loss!r}")
        if not 0 <= self.pessimism < np.inf:
            raise ValueError(f"pessimism: expected a finite number >= 0, got {self.pessimism}")

    @classmethod
    def published(cls) -> RewardTraining:
        """The published settings: Adam 1e-4, 100 × 1000 steps of 32; a fifth held out, but the last weights kept."""
        return cls(
            lr=1e-4,
            weight_decay=0.0,
            steps=100_000,
            batch_size=32,
            log_every=1000,
            validation_fraction=0.2,
            checkpoint="last",
            patience=None,
        )

    def refuse_pessimism(self, why: str) -> None:
        """Raises a ValueError if there is a penalty to add."""
        if self.pessimism:
            raise ValueError(f"pessimism: expected 0, for {why}, got {self.pessimism}")

    def check_targets(self, target: FloatArray) -> FloatArray:
        """The targets (n,), as they are.

        Raises:
            ValueError: the loss is cross-entropy, and they are not all in [0, 1].
        """
        if self.loss == "bce" and len(target) and not (target.min() >= 0 and target.max() <= 1):
            raise ValueError(
                f"reward: expected values in [0, 1] with loss='bce', got {target.min():.3g} … {target.max():.3g}"
            )
        return target


@dataclass(frozen=True, eq=False)
class Pairs:
    """What one step of regression looks at."""

    features: Tensor  # (B, d_x + d_q)
    other: Tensor  # (B, d_v) of the prompt or the output
    target: Tensor  # (B,)
    negative: Tensor | None = None  # (B, d_v) of another prompt or output; None without pessimism

    def take(self, rows: slice) -> Pairs:
        """Some of them."""
        negative = None if self.negative is None else self.negative[rows]
        return Pairs(self.features[rows], self.other[rows], self.target[rows], negative)


def new_model(cls: type[M], obs: Observation, dim_other: int, training: RewardTraining, seed: int) -> M:
    """An untrained model for rounds like `obs`, on the device of the training."""
    dims = {"dim_features": obs.features().shape[1], "dim_other": dim_other, "hidden": training.hidden}
    with torch_seed(seed, cls.saved_as):
        model = cls(dims, link=_LINK_OF_LOSS[training.loss])
    model.network.to(training.device)
    return model


def regress(
    model: RewardModel,
    draw: Callable[[], Pairs],
    training: RewardTraining,
    *,
    label: str,
    judged: Pairs | None,
    callback: Callback | None,
) -> None:
    """Fits the model, in place, to what `draw` gives at each step; `judged` are rounds held out."""
    validate = None
    if judged is not None:
        validate = lambda: float(objective(model, judged, training).value)  # noqa: E731
    optimise(
        model.network,
        lambda _: objective(model, draw(), training),
        training,
        label=label,
        validate=validate,
        callback=callback,
    )


def objective(model: RewardModel, pairs: Pairs, training: RewardTraining) -> Loss:
    """The loss on these pairs, and the pessimistic penalty on what the model predicts."""
    network: PairwiseMLP = model.network
    raw = network.pairs(pairs.features, pairs.other)
    error = (squared_loss if training.loss == "mse" else logistic_loss)(raw, pairs.target)
    if pairs.negative is None:
        return Loss(error)
    other = network.pairs(pairs.features, pairs.negative)
    penalty = pessimistic_penalty(model.linked(other), model.linked(raw))
    return Loss(error + training.pessimism * penalty, {"error": error, "penalty": penalty})
