"""What may be wrong with a folder of logged rounds, looked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from prompt_bandits.datasets import BanditDataset, StoredDataset
from prompt_bandits.types import Estimate, FloatArray

_SOME = 2_000_000  # rounds × prompts whose probabilities are computed anew
_SURE = 4.0  # standard errors
_CLOSE = 1e-3


@dataclass(frozen=True)
class Check:
    """A look at one thing."""

    name: str
    status: str  # "ok", "note" or "failed"
    says: str

    def __str__(self) -> str:
        return f"  {self.status:<7} {self.name:<13} {self.says}"


def checks_of(data: StoredDataset) -> list[Check]:
    """All of them."""
    found = [_files(data)]
    if found[0].status == "failed":
        return found  # the rest would read what is damaged
    return [*found, *_open(data), *_rounds(data)]


def _files(data: StoredDataset) -> Check:
    try:
        data.verify()
    except ValueError as error:
        return Check("files", "failed", f"{error}; `prompt-bandits recover --salvage {data.path}` keeps what is whole")
    return Check("files", "ok", f"{len(data.manifest.checksums())} are what their checksums say")


def _open(data: StoredDataset) -> Iterator[Check]:
    if data.open_rows is not None:
        n = len(data.open_rows["action"])
        says = f"{n:,} rounds: a writer is at work, or died; then `prompt-bandits recover {data.path}` seals them"
        yield Check("open shard", "note", says)


def _rounds(data: StoredDataset) -> Iterator[Check]:
    """Reads all rounds, which by itself refuses what no round may be."""
    columns = [name for name in ("propensity", "action_mask") if name in data.columns]
    weights, seen = [], np.zeros(data.n_actions, dtype=np.int64)
    try:
        for rows in data.batches(1 << 16, columns=columns):
            seen += np.bincount(rows.action, minlength=data.n_actions)
            if rows.propensity is not None:
                mask = rows.obs.action_mask
                weights.append(1 / (rows.propensity * (data.n_actions if mask is None else mask.sum(axis=1))))
    except ValueError as error:
        yield Check("rounds", "failed", str(error))
        return
    yield Check("rounds", "ok", f"all {len(data):,} have finite rewards, known prompts and legal propensities")
    never = int((seen == 0).sum())
    says = f"{never:,} of {data.n_actions:,} were never shown" if never else f"all {data.n_actions:,} were shown"
    yield Check("prompts", "note" if never else "ok", says)
    if not weights:
        says = "unknown; evaluate and train can estimate some, see `prompt-bandits evaluate --help`"
        yield Check("propensities", "note", says)
        return
    yield _mean_weight(np.concatenate(weights))
    yield from _against_policies(data)


def _mean_weight(weights: FloatArray) -> Check:
    """The weights of a uniform policy have mean 1 if the propensities are right and every prompt was possible."""
    mean = Estimate.from_terms(weights)
    if abs(mean.value - 1) <= max(_SURE * mean.se, _CLOSE):
        return Check("propensities", "ok", f"the weights of a uniform policy average {mean}, 1 is right")
    why = "some prompts are never tried, or propensities are wrong" if mean.value < 1 else "propensities are wrong"
    return Check("propensities", "note", f"the weights of a uniform policy average {mean} in place of 1: {why}")


def _against_policies(data: StoredDataset) -> Iterator[Check]:
    if not data.policies or not len(data):
        return
    rows: BanditDataset = next(data.batches(max(1, _SOME // data.n_actions), columns=data.learnable_columns(), seed=0))
    given = rows.require_propensity()
    own = rows.logging_dist()[np.arange(len(rows)), rows.action]
    gap = float(np.abs(own / given - 1).max())
    says = f"those of {len(rows):,} rounds are what the logging policy in the folder says, to {gap:.1g}"
    yield Check("propensities", "ok" if gap < _CLOSE else "failed", says)
