"""Estimators by way of sentences: what do users like to read, and what would the policy have the LLM write?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from prompt_bandits.types import FloatArray

from ..columns import Column, QLogged, QPolicy, Reward, Weight
from ..sentence_balance import Balancing, BalancingWeight
from ..sentence_models import ExplainedOutputs, RLogged, SentenceQ, SentenceReward, check_classes
from .base import Named, ratio_terms
from .kernel import KernelIS

LITTLE = 0.5  # of what the LLM writes


@dataclass(frozen=True)
class SentenceDM(Named):
    """mean_i Σ_a π(a|x_i)·q̂(x_i, a) with q̂(x, a) = E_{s~LLM(q, a)}[r̂(x, s)]: the direct method in sentence space.

    All rounds tell what users like to read, whatever the prompt was; what the LLM writes for a prompt tell logged
    outputs and, where a simulator is given, fresh ones. As good as the two models, whose errors its interval does not
    know: r̂ is shrunken, so that policies seem nearer to each other than they are. Needs no propensities.

    Raises:
        ValueError: an unknown class of reward models.
    """

    reward_classes: tuple[str, ...] = ("linear", "bilinear")  # of r̂ to choose from, where none is given
    short: ClassVar[str] = "sentence-dm"

    def __post_init__(self) -> None:
        check_classes(self.reward_classes)

    def columns(self) -> Mapping[str, Column]:
        return {"q_policy": QPolicy(SentenceQ(SentenceReward(self.reward_classes))), "explained": ExplainedOutputs()}

    def round_values(self, c: Mapping[str, FloatArray]) -> FloatArray:
        return c["q_policy"]

    def doubts(self, c: Mapping[str, FloatArray]) -> tuple[str, ...]:
        return doubts_of_outputs(c)


@dataclass(frozen=True)
class BalancedSentenceDM(SentenceDM):
    """mean(Σ_a π·q̂ + b·(r − r̂(x_i, s_i))): `SentenceDM` without the bias that shrinking r̂ leaves.

    The weights b balance products of features of user and sentence: in the mean of b·f(x_i, s_i) the logged rounds are
    as the policy would make them, so that no error of r̂ that is linear in these survives; of such weights they are
    those of least variance (Hirshberg and Wager, 2021). They may be negative. Needs no propensities.

    Raises:
        ValueError: a negative penalty, or as `SentenceDM`.
    """

    penalty: float = 0.01  # how imbalanced the features may stay for the sake of variance
    short: ClassVar[str] = "balanced-sentence-dm"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.penalty > 0:
            raise ValueError(f"penalty: expected > 0, got {self.penalty}")

    def columns(self) -> Mapping[str, Column]:
        return {
            **super().columns(),
            "balancing": BalancingWeight(Balancing(self.penalty)),
            "reward": Reward(),
            "r_logged": RLogged(SentenceReward(self.reward_classes)),
        }

    def weights(self, c: Mapping[str, FloatArray]) -> FloatArray:
        return c["balancing"]

    def round_values(self, c: Mapping[str, FloatArray]) -> FloatArray:
        return c["q_policy"] + c["balancing"] * (c["reward"] - c["r_logged"])


@dataclass(frozen=True)
class BalancedSentenceDR(BalancedSentenceDM):
    """mean(Σ_a π·q̂ + b·(r − r̂(x_i, s_i))) + Σ w·(r̂(x_i, s_i) − q̂(x_i, a_i)) / Σ w: as `BalancedSentenceDM`, and what
    the model of outputs gets wrong is taken off by importance weights of prompts.

    What these are to weight varies much less than rewards do, so that they do little harm where there are many prompts;
    and where the model of outputs is right, they only add what little it leaves.

    Raises:
        ValueError: as `BalancedSentenceDM`.
    """

    short: ClassVar[str] = "balanced-sentence-dr"

    def columns(self) -> Mapping[str, Column]:
        q_logged = QLogged(SentenceQ(SentenceReward(self.reward_classes)))
        return {**super().columns(), "action_weight": Weight(), "q_logged": q_logged}

    def round_values(self, c: Mapping[str, FloatArray]) -> FloatArray:
        return super().round_values(c) + of_outputs(c)


@dataclass(frozen=True)
class SentenceDR(KernelIS):
    """mean(Σ_a π·q̂ + w̃·(r − r̂(x_i, s_i))) + Σ w·(r̂(x_i, s_i) − q̂(x_i, a_i)) / Σ w, doubly robust twice over: kernel
    weights w̃ of sentences (`KernelIS`) weight what r̂ leaves of the rewards, importance weights w of prompts what the
    model of outputs leaves of r̂.

    With w̃ = w it is DR with q̂(x, a) = E[r̂(x, s)], but for the normalisation.

    Raises:
        ValueError: as `KernelIS`, or an unknown class of reward models.
    """

    reward_classes: tuple[str, ...] = ("linear", "bilinear")  # of r̂ to choose from, where none is given
    short: ClassVar[str] = "sentence-dr"
    share_of_median: ClassVar[float] = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_classes(self.reward_classes)

    def columns(self) -> Mapping[str, Column]:
        reward = SentenceReward(self.reward_classes)
        q = SentenceQ(reward)
        return {
            "weight": self.kernel_weight(),
            "action_weight": Weight(self.loggers),
            "reward": Reward(),
            "q_policy": QPolicy(q),
            "q_logged": QLogged(q),
            "r_logged": RLogged(reward),
            "explained": ExplainedOutputs(),
        }

    def weights(self, c: Mapping[str, FloatArray]) -> FloatArray:
        return self.tamed(c["weight"])

    def round_values(self, c: Mapping[str, FloatArray]) -> FloatArray:
        return c["q_policy"] + self.weights(c) * (c["reward"] - c["r_logged"]) + of_outputs(c)

    def left_out(self, c: Mapping[str, FloatArray]) -> FloatArray:
        return (c["weight"] - self.weights(c)) * (c["reward"] - c["r_logged"])

    def bounds(self, reward_range: tuple[float, float], largest_weight: float | None) -> None:
        return None  # of its terms nothing is known beforehand

    def doubts(self, c: Mapping[str, FloatArray]) -> tuple[str, ...]:
        return doubts_of_outputs(c)


def of_outputs(c: Mapping[str, FloatArray]) -> FloatArray:
    """What importance weights of prompts say that the model of outputs gets wrong, in rewards, (n,)."""
    return ratio_terms(c["action_weight"], c["r_logged"] - c["q_logged"])


def doubts_of_outputs(c: Mapping[str, FloatArray]) -> tuple[str, ...]:
    """Where the model of outputs explains little."""
    explained = float(c["explained"][0])
    if explained >= LITTLE:
        return ()
    return (
        f"The model of outputs explains {max(explained, 0.0):.0%} of what the LLM writes: what it would write for the "
        "policy's prompts is largely a guess.",
    )
