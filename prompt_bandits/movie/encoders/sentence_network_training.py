"""Features in which sentences are as far apart as their rewards (Kiyohara et al., 2025, arXiv 2504.02646)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from prompt_bandits.acting import act
from prompt_bandits.movie.encoders.sentence_network import ContextualSentenceEncoder, Layer, NNSentenceEncoder
from prompt_bandits.movie.rewards.fitting import Curve, Fitting, fit_epochs, torch_seed
from prompt_bandits.movie.rewards.sentence_table import TableFeatures
from prompt_bandits.policies import Uniform
from prompt_bandits.protocols import SentenceEncoder
from prompt_bandits.rounds import Rounds
from prompt_bandits.simulator import PromptSimulator
from prompt_bandits.types import FloatArray

if TYPE_CHECKING:
    from torch import Tensor

_LABEL = "sentence network"


@dataclass(frozen=True)
class SentenceNetworkFitting(Fitting):
    """How a sentence network is fitted.

    Raises:
        ValueError: a number out of range.
    """

    batch_size: int = 128
    max_epochs: int = 40
    steps_per_epoch: int = 50
    n_held_out: int = 1000  # pairs of sentences that judge it after every epoch
    dim: int = 20
    hidden: int = 100
    alpha: float = 10.0  # distance of two sentences for each unit of reward between them

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("steps_per_epoch", "n_held_out", "dim", "hidden"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected >= 1, got {getattr(self, name)}")
        if not self.alpha > 0:
            raise ValueError(f"alpha: expected > 0, got {self.alpha}")


@dataclass(frozen=True, eq=False)
class SentencePairs:
    """Two sentences for each of n contexts, of two prompts drawn at random."""

    context: FloatArray  # (n, d_x + d_q)
    first: FloatArray  # (n, D) features of the one sentence
    second: FloatArray  # (n, D) of the other
    gap: FloatArray  # (n,) |r(x, s1) − r(x, s2)|, expected rewards

    def take(self, rows: slice) -> SentencePairs:
        """Some of them."""
        return SentencePairs(self.context[rows], self.first[rows], self.second[rows], self.gap[rows])


def sentence_pairs(
    simulator: PromptSimulator, base: SentenceEncoder, seed: int, start: int, n: int, purpose: str = "train"
) -> SentencePairs:
    """The pairs of rounds start … start+n−1; both prompts, and what the LLM writes, are drawn independently.

    Raises:
        ValueError: the LLM gives no texts.
    """
    drawn = [Rounds(seed, start, n, f"fit/sentence_network/{purpose}/{which}") for which in ("first", "second")]
    obs = simulator.observe(drawn[0])
    features, rewards = [], []
    for rounds in drawn:
        action, _ = act(Uniform(), obs, rounds)
        output = simulator.respond(obs, action, rounds)
        if output.text is None:
            raise ValueError("llm: expected sentences, for their features, got embeddings only")
        features.append(np.asarray(base.encode(output.text), dtype=np.float32))
        rewards.append(simulator.expected_reward(obs, output, action))
    gap = np.abs(rewards[0] - rewards[1]).astype(np.float32)
    return SentencePairs(np.asarray(obs.features(), dtype=np.float32), features[0], features[1], gap)


def fit_sentence_network(
    simulator: PromptSimulator, base: SentenceEncoder, settings: SentenceNetworkFitting | None = None, seed: int = 0
) -> tuple[NNSentenceEncoder, Curve]:
    """Minimises (‖φ(s1) − φ(s2)‖/d − α·|r(x, s1) − r(x, s2)|)² over `sentence_pairs`.

    Args:
        simulator: writes the sentences and knows their rewards.
        base: features that the network reads.
        settings: how.
        seed: of everything random.

    Returns:
        The encoder with the best weights on held-out pairs, and the losses by epoch.

    Raises:
        ValueError: the LLM gives no texts.
        FloatingPointError: the loss is not finite.
    """
    layers, curve = _fit(simulator, base, settings or SentenceNetworkFitting(), seed, contextual=False)
    return NNSentenceEncoder(base, layers), curve


def fit_contextual_sentence_network(
    simulator: PromptSimulator, base: SentenceEncoder, settings: SentenceNetworkFitting | None = None, seed: int = 0
) -> tuple[ContextualSentenceEncoder, Curve]:
    """As `fit_sentence_network`, of features φ(x, s) that depend on context and query too."""
    layers, curve = _fit(simulator, base, settings or SentenceNetworkFitting(), seed, contextual=True)
    return ContextualSentenceEncoder(base, layers), curve


def _fit(
    simulator: PromptSimulator, base: SentenceEncoder, settings: SentenceNetworkFitting, seed: int, *, contextual: bool
) -> tuple[dict[str, Layer], Curve]:
    import torch

    from prompt_bandits.movie.rewards.nets import SentenceNet, to_array

    known = TableFeatures((), np.zeros((0, 0)), fallback=base)
    judged = sentence_pairs(simulator, known, seed, 0, settings.n_held_out, "validation")
    n_context = judged.context.shape[1] if contextual else None

    def batches(epoch: int) -> Iterator[SentencePairs]:
        size = settings.batch_size * settings.steps_per_epoch
        pairs = sentence_pairs(simulator, known, seed, epoch * size, size)
        return (pairs.take(slice(at, at + settings.batch_size)) for at in range(0, size, settings.batch_size))

    def loss(pairs: SentencePairs) -> Tensor:
        columns = (pairs.context, pairs.first, pairs.second, pairs.gap)
        context, first, second, gap = (torch.from_numpy(column).to(settings.device) for column in columns)
        return distance_loss(net(first, context), net(second, context), gap, settings.alpha)

    with torch_seed(seed, _LABEL):
        net = SentenceNet(judged.first.shape[1], n_context, settings.hidden, settings.dim).to(settings.device)
        curve = fit_epochs(net, batches, loss, lambda: float(loss(judged)), settings, label=_LABEL)
    weights = {name: to_array(tensor) for name, tensor in net.state_dict().items()}
    names = {name.split(".")[0] for name in weights}
    return {name: Layer(weights[f"{name}.weight"], weights[f"{name}.bias"]) for name in names}, curve


def distance_loss(first: Tensor, second: Tensor, gap: Tensor, alpha: float) -> Tensor:
    """mean (‖φ1 − φ2‖/d − α·gap)², of features (B, d) and gaps of reward (B,)."""
    assert first.shape == second.shape
    assert gap.shape == first.shape[:1]
    distance: Tensor = (first - second).norm(dim=1) / first.shape[1]
    return (distance - alpha * gap).square().mean()
