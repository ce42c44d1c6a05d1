"""Which dimensions of the prompts' embeddings MIPS looks at: few make it vary little, all make it unbiased."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from pathlib import Path

from prompt_bandits.datasets import BanditDataset

from ...protocols import LoggedData
from ..models import Models
from ..policies import PolicyLike
from ..results import Evaluation
from .marginal import MIPS

_MOST = 255


def dimension_candidates(n_dimensions: int, base: MIPS | None = None) -> tuple[MIPS, ...]:
    """`base` with every set of dimensions, the larger ones first: what `Slope` chooses among ("exact" selection).

    Raises:
        ValueError: more than eight dimensions, whose sets are too many; take `select_dimensions`.
    """
    if not 1 <= 2**n_dimensions - 1 <= _MOST:
        raise ValueError(f"n_dimensions: expected 1 … 8, got {n_dimensions}; select_dimensions stands more")
    sizes = range(n_dimensions, 0, -1)
    chosen = base or MIPS()
    return tuple(replace(chosen, dimensions=own) for size in sizes for own in combinations(range(n_dimensions), size))


def select_dimensions(
    policy: PolicyLike,
    data: LoggedData | str | Path,
    base: MIPS | None = None,
    *,
    models: Models | None = None,
    propensities: str = "logged",
    level: float = 0.95,
    seed: int = 0,
    memory_mb: int = 256,
) -> MIPS:
    """`base` with the dimensions that SLOPE leaves of all, greedily (Saito and Joachims, 2022, appendix C).

    From all dimensions on, one after the other is left out: of those without which the estimate is still compatible
    with all before it, |θ̂_i − θ̂_j| ≤ CNF_i + (√6 − 1)·CNF_j (Su et al., 2020), the one without which the interval is
    narrowest, as long as that makes it narrower. One pass over the rounds for each.

    Args:
        policy: as `evaluate`.
        data: as `evaluate`.
        base: whose `dimensions` are to choose from; all with None.
        models: as `evaluate`.
        propensities: as `evaluate`.
        level: of the intervals.
        seed: as `evaluate`.
        memory_mb: as `evaluate`.

    Raises:
        Refused: there is no estimate, since the data carry no logging policy.
        ValueError: as `evaluate`.
    """
    from ..evaluate import evaluate

    rounds = BanditDataset.open(data) if isinstance(data, (str, Path)) else data
    look = partial(
        evaluate,
        policy,
        rounds,
        propensities=propensities,
        level=level,
        seed=seed,
        memory_mb=memory_mb,
        progress=False,
    )
    chosen = base or MIPS()
    if chosen.dimensions is None:
        chosen = replace(chosen, dimensions=tuple(range(rounds.prompts.embedding.shape[1])))
    found = look(estimators=[chosen], models=models)
    path = [_Step.of(chosen, found)]
    while candidates := _one_left_out(path[-1].estimator):
        found = look(estimators=candidates, models=found.models)
        steps = [step for one in candidates if (step := _Step.of(one, found)).may_follow(path)]
        if not steps:
            break
        path.append(min(steps, key=lambda step: step.half_width))
    return path[-1].estimator


@dataclass(frozen=True)
class _Step:
    estimator: MIPS
    value: float
    half_width: float

    @classmethod
    def of(cls, estimator: MIPS, found: Evaluation) -> _Step:
        result = found[estimator.name]
        result.terms()
        assert result.value is not None
        assert result.interval is not None
        return cls(estimator, result.value, result.interval.width / 2)

    def may_follow(self, path: Sequence[_Step]) -> bool:
        """Whether it is narrower than the last, and compatible with all."""
        from ..selection.slope import CONSTANT

        believed = (abs(self.value - one.value) <= self.half_width + CONSTANT * one.half_width for one in path)
        return self.half_width < path[-1].half_width and all(believed)


def _one_left_out(estimator: MIPS) -> list[MIPS]:
    """The same with a dimension less; none where there is one only."""
    own = estimator.dimensions or ()
    sets = (tuple(d for d in own if d != out) for out in own)
    return [replace(estimator, dimensions=some) for some in sets if some]
