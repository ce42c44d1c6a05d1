"""Regression on rounds that are made as they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prompt_bandits.rounds import Rounds

from .processes import current
from .reward_training import Pairs, RewardTraining

_AT_ONCE = 1 << 13  # rounds made at a time
N_JUDGED = 4096  # fresh rounds that a model is validated on
MakePairs = Callable[[Rounds], Pairs]
"""One pair for each of the rounds."""


def fresh_pairs(
    sources: Iterable[tuple[MakePairs, float]], training: RewardTraining, seed: int, label: str
) -> Iterator[Pairs]:
    """Minibatches for every step of the training, from sources in turn, each for so many steps.

    They come from sequential rounds of their own scope, made many steps at a time, and none that is not asked for.
    """
    size, step, own = training.batch_size, 0, current().rows(training.batch_size)
    for make, lasting in sources:
        end = int(min(training.steps, step + lasting))
        while step < end:
            steps = min(max(1, _AT_ONCE // size), end - step)
            pairs = make(Rounds(seed, step * size, steps * size, f"fit/{label}"))
            step += steps
            for i in range(steps):
                yield pairs.take(slice(i * size, (i + 1) * size)).take(own)
        if step == training.steps:
            return


def judged_pairs(make: MakePairs, n: int, training: RewardTraining, seed: int, label: str) -> Pairs | None:
    """`n` pairs to validate on, apart from those that are trained on; None without a `validation_fraction`."""
    return make(Rounds(seed, 0, n, f"fit/{label}/validation")) if training.validation_fraction else None
