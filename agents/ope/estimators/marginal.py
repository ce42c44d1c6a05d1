"""Estimators that weight what prompts have in common: their features, or the sentence that was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ..columns import Column, Reward
from ..marginal_weights import GroupWeight, PromptCells
from ..models import ModelSpec
from ..output_weights import Classified, Known, Modelled, OutputWeight
from .weighting import IPS, SNIPS

POSTERIORS: Mapping[str, ModelSpec] = {"model": Modelled(), "classifier": Classified(), "true": Known()}


@dataclass(frozen=True)
class MIPS(IPS):
    """mean(w·r) with w = p(e_i|x_i, π) / p(e_i|x_i, π0), e being the prompts' embeddings (Saito and Joachims, 2022).

    A prompt's embedding is known, so the weight is Σ π / Σ π0 over the prompts that share that of the logged one: cut
    into `bins` quantiles in each dimension, so that different prompts do. Unbiased where prompts of one cell earn the
    same; where no two share a cell it is IPS. `embedding_selection.select_dimensions` chooses dimensions.

    Raises:
        ValueError: no dimension, fewer than two bins, or as `IPS`.
    """

    dimensions: tuple[int, ...] | None = None  # all
    bins: int = 4
    short: ClassVar[str] = "mips"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bins < 2 or (self.dimensions is not None and not self.dimensions):
            raise ValueError(f"bins, dimensions: expected >= 2 and some or None, got {self.bins}, {self.dimensions}")

    def columns(self) -> Mapping[str, Column]:
        return {"weight": GroupWeight(self.loggers, groups=PromptCells(self.dimensions, self.bins)), "reward": Reward()}


@dataclass(frozen=True)
class SNMIPS(MIPS, SNIPS):
    """`MIPS`, self-normalised: Σ w·r / Σ w. Raises as that."""

    short: ClassVar[str] = "sn-mips"


@dataclass(frozen=True)
class OutputMIPS(IPS):
    """mean(w·r) with w = p(φ(s_i)|x_i, π) / p(φ(s_i)|x_i, π0): MIPS whose e is the sentence that was written, through
    which alone the prompt acts (Saito and Joachims, 2022).

    w is the mean of π/π0 over the prompts that may be behind the sentence. How likely each is tells a model of outputs
    with Gaussian residuals; or, as in the paper, a classifier of logged prompts; or the LLM itself, where it is a
    synthetic one and a simulator is given ("true"). It gains over IPS as far as different prompts write the same.

    Raises:
        ValueError: an unknown posterior, or as `IPS`.
    """

    posterior: str = "model"  # or "classifier", "true"
    short: ClassVar[str] = "output-mips"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.posterior not in POSTERIORS:
            raise ValueError(f"posterior: expected one of {', '.join(POSTERIORS)}, got {self.posterior!r}")

    def columns(self) -> Mapping[str, Column]:
        return {"weight": OutputWeight(self.loggers, behind=POSTERIORS[self.posterior]), "reward": Reward()}


@dataclass(frozen=True)
class SNOutputMIPS(OutputMIPS, SNIPS):
    """`OutputMIPS`, self-normalised: Σ w·r / Σ w. Raises as that."""

    short: ClassVar[str] = "sn-output-mips"
