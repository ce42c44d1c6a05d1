"""A fitted reward simulator as a folder, and the features of sentences that it reads.

head.safetensors         the arrays of a `RewardHead`, by name
projection.safetensors   weight (d_f, d_cls) and bias (d_f,), and max_length, the tokens that are read
encoder/                 the base model and its tokenizer, in transformers' format
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from prompt_bandits.movie.rewards.head import RewardHead
from prompt_bandits.movie.rewards.sentence_table import distinct_texts
from prompt_bandits.movie.rewards.token_table import TokenTable
from prompt_bandits.types import FloatArray, TextArray

_HEAD, _PROJECTION, _ENCODER = "head.safetensors", "projection.safetensors", "encoder"


@dataclass(frozen=True, eq=False)
class Projection:
    """f = ReLU(W·CLS(s) + c).

    Raises:
        ValueError: arrays that do not fit.
    """

    weight: FloatArray  # (d_f, d_cls) f32
    bias: FloatArray  # (d_f,)

    def __post_init__(self) -> None:
        if self.weight.ndim != 2 or self.bias.shape != self.weight.shape[:1]:
            raise ValueError(
                f"projection: expected (d_f, d_cls) and (d_f,), got {self.weight.shape}, {self.bias.shape}"
            )

    def features(self, states: FloatArray) -> FloatArray:
        """(n, d_f) of CLS states (n, d_cls)."""
        return np.asarray(np.maximum(np.einsum("nc,fc->nf", states, self.weight) + self.bias, 0))


def save_reward(
    folder: str | Path, head: RewardHead, base: Any, tokenizer: Any, projection: Projection, max_length: int
) -> Path:
    """Writes a reward simulator to `folder` (made if need be)."""
    from safetensors.numpy import save_file

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(head.arrays(), folder / _HEAD)
    arrays = {"weight": projection.weight, "bias": projection.bias, "max_length": np.array(max_length)}
    save_file(arrays, folder / _PROJECTION)
    base.save_pretrained(folder / _ENCODER)
    tokenizer.save_pretrained(folder / _ENCODER)
    return folder


def load_head(folder: str | Path) -> RewardHead:
    """The head of a folder that `save_reward` wrote. Needs no PyTorch.

    Raises:
        FileNotFoundError: none there.
        ValueError: damaged.
    """
    return RewardHead.from_arrays(_arrays(Path(folder) / _HEAD))


class SentenceFeaturizer:
    """Features f = ReLU(W·CLS(s) + c) of sentences; the model is loaded at the first sentence.

    Args:
        folder: as `save_reward` writes it.
        batch_size: sentences read at a time.
        device: of PyTorch; the CPU unless given.

    Raises:
        FileNotFoundError: no reward simulator there.
        ValueError: damaged.
    """

    def __init__(self, folder: str | Path, batch_size: int = 256, device: str | None = None) -> None:
        self.folder, self.batch_size, self.device = Path(folder), batch_size, device
        arrays = _arrays(self.folder / _PROJECTION)
        if set(arrays) != {"weight", "bias", "max_length"}:
            raise ValueError(f"{folder}/{_PROJECTION}: expected weight, bias, max_length, got {sorted(arrays)}")
        self.projection = Projection(arrays["weight"], arrays["bias"])
        self.max_length = int(arrays["max_length"])

    @classmethod
    def of(cls, base: Any, tokenizer: Any, projection: Projection, max_length: int) -> SentenceFeaturizer:
        """The same from a model in memory."""
        featurizer = cls.__new__(cls)
        featurizer.folder, featurizer.batch_size, featurizer.device = Path(), 256, None
        featurizer.projection, featurizer.max_length = projection, max_length
        featurizer.__dict__["_model"] = base, tokenizer
        return featurizer

    @property
    def dim(self) -> int:
        """d_f."""
        return len(self.projection.bias)

    def encode(self, texts: TextArray) -> FloatArray:
        """(n, d_f) f32; equal sentences are read once."""
        from prompt_bandits.movie.rewards.nets import encode_cls, to_array

        if not len(texts):
            return np.zeros((0, self.dim), dtype=np.float32)
        distinct, place = distinct_texts(texts)
        base, tokenizer = self._model
        states = encode_cls(base, TokenTable.of(distinct, tokenizer, self.max_length), self.batch_size)
        return self.projection.features(to_array(states))[place]

    @cached_property
    def _model(self) -> tuple[Any, Any]:
        from transformers import AutoModel, AutoTokenizer

        base = AutoModel.from_pretrained(self.folder / _ENCODER, use_safetensors=True).float().eval()
        return base.to(self.device or "cpu"), AutoTokenizer.from_pretrained(self.folder / _ENCODER)


def _arrays(file: Path) -> dict[str, FloatArray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not file.is_file():
        raise FileNotFoundError(f"{file}: expected a reward simulator's file, found none")
    try:
        return dict(load_file(file))
    except (ValueError, OSError, SafetensorError) as error:
        raise ValueError(f"{file}: damaged: {error}") from error
