"""The direct method in sentence space: what do users like to read, and which prompt makes the LLM write it?"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import Self

from ..output_model import OutputModel, fit_output_model
from ..pair_models import OutputReward
from ..policies import NeuralPolicy
from ..protocols import Callback, LoggedData, SamplesOutputs
from ..requirements import check_given
from ..reward_models import RewardTraining
from ..sampling import require_sampler
from ..sentence_rewards import CLASSES, CorrectedReward, RidgeReward, fit_sentence_reward
from ..sentence_value import AffineReward, SentenceValue
from .base import PolicyTraining, fit_policy
from .model_value import model_value_loss


@dataclass(frozen=True)
class SentenceDM(PolicyTraining):
    """Sentence-space direct method: maximises E_{a~π}[q̂(x, a)] with q̂(x, a) = E_{s~LLM(q, a)}[r̂(x, s)].

    The reward depends on the prompt through the sentence only, and the LLM is frozen. So the log need not tell how good
    each prompt is, only what each user likes to read (r̂, on all rounds alike), while what the LLM writes for a prompt
    can be sampled without any user. The expectation over prompts is exact in every step.

    It assumes that outputs carry what the reward depends on, that the log covers the sentences of good prompts (not the
    prompts themselves), and that r̂ and the model of outputs are of a class that holds them; the first is chosen by
    validation, the second says its R². No propensities are needed. Without a simulator the logged outputs have to tell
    what the LLM writes.
    """

    lr: float = 5e-3
    steps: int = 3_000
    batch_size: int = 128
    reward_classes: Sequence[str] = CLASSES  # to choose from
    n_outputs: int = 16  # fresh outputs of the LLM for each prompt, in all
    pessimism: float = 0.0  # standard deviations of r̂'s posterior to go down
    n_members: int = 16  # draws from that posterior, where pessimism is asked for
    reward_training: RewardTraining = field(default_factory=RewardTraining)  # of the network, where there is one

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_outputs < 1 or self.n_members < 2:
            raise ValueError(f"n_outputs, n_members: expected >= 1 and >= 2, got {self.n_outputs}, {self.n_members}")
        if not self.pessimism >= 0:
            raise ValueError(f"pessimism: expected >= 0, got {self.pessimism}")
        unknown = set(self.reward_classes) - set(CLASSES)
        if unknown or isinstance(self.reward_classes, str) or not self.reward_classes:
            raise ValueError(f"reward_classes: expected some of {', '.join(CLASSES)}, got {self.reward_classes!r}")
        if self.reward_training.loss != "mse" or self.reward_training.pessimism:
            raise ValueError(
                "reward_training: expected loss='mse' and pessimism=0, for a network on what a ridge regression leaves "
                f"over, got {self.reward_training.loss!r} and {self.reward_training.pessimism}"
            )

    @classmethod
    def quick(cls, **changes: Any) -> Self:
        """A third of the steps, for a first look."""
        return cls(**({"steps": 1_000} | changes))

    def fit(
        self,
        data: LoggedData,
        *,
        seed: int,
        simulator: SamplesOutputs | None = None,
        callback: Callback | None = None,
        r_hat: OutputReward | None = None,
        outputs: OutputModel | None = None,
    ) -> NeuralPolicy:
        """Learns from (context, query, action, output, reward) and fresh outputs of `simulator`, if there is one; a
        reward model by output and a model of outputs are fitted unless given. Warns where the latter explains less than
        half of what is written.

        Raises:
            ValueError: no output embeddings.
        """
        value = self.fit_value(data, simulator, seed=seed, r_hat=r_hat, outputs=outputs)
        loss = model_value_loss(value)
        return fit_policy(self, data, loss, name="sentence dm", seed=seed, callback=callback, make_score=loss)

    def fit_value(
        self,
        data: LoggedData,
        simulator: SamplesOutputs | None = None,
        *,
        seed: int,
        r_hat: OutputReward | None = None,
        outputs: OutputModel | None = None,
    ) -> SentenceValue:
        """q̂ as this learner would estimate it: a reward model by action for other learners, too."""
        fitted = self.fit_reward(data, seed=seed) if r_hat is None else r_hat
        return self.value_of(fitted, self.fit_outputs(data, simulator, seed=seed) if outputs is None else outputs, seed)

    def fit_reward(self, data: LoggedData, *, seed: int) -> OutputReward:
        """r̂(x, s) as this learner would estimate it."""
        return fit_sentence_reward(data, classes=self.reward_classes, training=self.reward_training, seed=seed)

    def fit_outputs(self, data: LoggedData, simulator: SamplesOutputs | None = None, *, seed: int) -> OutputModel:
        """E[φ(s)|q, a] as this learner would estimate it."""
        if simulator is not None:
            require_sampler(simulator, type(self).__name__)
        return fit_output_model(data, simulator, n_outputs=self.n_outputs, seed=seed, memory_mb=self.memory_mb)

    def value_of(self, r_hat: OutputReward, outputs: OutputModel, seed: int) -> SentenceValue:
        """The two put together.

        Raises:
            ValueError: something else, or pessimism about a reward model that tells no uncertainty.
        """
        check_given(r_hat=r_hat, outputs=outputs)
        if outputs.r_squared < _LITTLE:
            warnings.warn(
                f"{type(self).__name__}: the model of outputs explains {outputs.r_squared:.0%} of what is written; "
                "DSO, which asks the LLM anew in every step, does not need it",
                stacklevel=3,
            )
        ridge = r_hat.ridge if isinstance(r_hat, CorrectedReward) else r_hat
        rest = r_hat.rest if isinstance(r_hat, CorrectedReward) else None
        if self.pessimism:
            if not isinstance(ridge, RidgeReward):
                raise ValueError(
                    "pessimism: expected 0 with a reward model that tells no uncertainty, "
                    f"got {self.pessimism} and {r_hat!r}"
                )
            return SentenceValue(outputs, tuple(ridge.draws(self.n_members, seed)), rest, self.pessimism)
        if isinstance(ridge, AffineReward):
            return SentenceValue(outputs, (ridge,), rest)
        return SentenceValue(outputs, rest=r_hat)


_LITTLE = 0.5
