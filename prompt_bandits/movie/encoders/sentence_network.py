"""A small network on top of another encoder's features of sentences. NumPy; `sentence_network_training` fits it."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from typing_extensions import Self

from prompt_bandits.protocols import SentenceEncoder
from prompt_bandits.types import FloatArray, Observation, TextArray


@dataclass(frozen=True, eq=False)
class Layer:
    """x ↦ W·x + c.

    Raises:
        ValueError: arrays that do not fit.
    """

    weight: FloatArray  # (d_out, d_in) f32
    bias: FloatArray  # (d_out,)

    def __post_init__(self) -> None:
        if self.weight.ndim != 2 or self.bias.shape != self.weight.shape[:1]:
            raise ValueError(f"layer: expected (d_out, d_in) and (d_out,), got {self.weight.shape}, {self.bias.shape}")

    def __call__(self, x: FloatArray, name: str) -> FloatArray:
        """(n, d_out) of (n, d_in)."""
        if x.shape[1] != self.weight.shape[1]:
            raise ValueError(f"{name}: expected {self.weight.shape[1]} dimensions, got {x.shape[1]}")
        return np.asarray(np.einsum("ni,oi->no", x, self.weight, dtype=np.float32) + self.bias)


class _SentenceNetwork:
    """Layers over a base encoder, and how they are saved.

    Args:
        base: gives the features that the network reads; it is not saved.
        layers: by name.

    Raises:
        ValueError: layers of other names.
    """

    layer_names: tuple[str, ...]

    def __init__(self, base: SentenceEncoder, layers: dict[str, Layer]) -> None:
        if set(layers) != set(self.layer_names):
            raise ValueError(f"layers: expected {', '.join(self.layer_names)}, got {', '.join(sorted(layers))}")
        self.base, self.layers = base, layers

    @property
    def dim(self) -> int:
        """d, of the features that it gives."""
        return len(self.layers["last"].bias)

    @property
    def identity(self) -> dict[str, str]:
        """What tells this encoder from others."""
        digest = sha256(b"".join(array.tobytes() for _, array in sorted(self._arrays().items())))
        return {**getattr(self.base, "identity", {}), "network": digest.hexdigest()[:16]}

    def save(self, file: str | Path) -> Path:
        """Writes the layers to a safetensors file."""
        from safetensors.numpy import save_file

        file = Path(file)
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file(self._arrays(), file)
        return file

    @classmethod
    def load(cls, file: str | Path, base: SentenceEncoder) -> Self:
        """What `save` wrote, over a base encoder like the one that it was fitted on.

        Raises:
            FileNotFoundError: none there.
            ValueError: damaged, or a network of the other kind.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        if not Path(file).is_file():
            raise FileNotFoundError(f"{file}: expected a saved sentence network, found none")
        try:
            arrays = load_file(file)
        except (ValueError, OSError, SafetensorError) as error:
            raise ValueError(f"{file}: damaged: {error}") from error
        names = {name.split(".")[0] for name in arrays}
        if names != set(cls.layer_names):
            raise ValueError(f"{file}: expected layers {', '.join(cls.layer_names)}, got {', '.join(sorted(names))}")
        return cls(base, {name: Layer(arrays[f"{name}.weight"], arrays[f"{name}.bias"]) for name in names})

    def _arrays(self) -> dict[str, FloatArray]:
        pairs = ((f"{name}.{part}", getattr(layer, part)) for name, layer in self.layers.items() for part in _PARTS)
        return {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in pairs}

    def _hidden(self, texts: TextArray) -> FloatArray:
        return np.maximum(self.layers["first"](self.base.encode(texts), "base.encode"), 0)


_PARTS = ("weight", "bias")


class NNSentenceEncoder(_SentenceNetwork):
    """φ(s) = l2(ReLU(l1(base(s)))): the same for every user and film."""

    layer_names = ("first", "last")

    def encode(self, texts: TextArray) -> FloatArray:
        """(n, d) f32."""
        return self.layers["last"](self._hidden(texts), "hidden")


class ContextualSentenceEncoder(_SentenceNetwork):
    """φ(x, s) = l3(ReLU(l2([x; q; ReLU(l1(base(s)))]))): what a sentence is to this user, asking this."""

    layer_names = ("first", "last", "mixing")

    def encode_in_context(self, obs: Observation, texts: TextArray) -> FloatArray:
        """(n, d) f32 of the sentences (n,) of these rounds."""
        both = np.concatenate([obs.features(), self._hidden(texts)], axis=1)
        return self.layers["last"](np.maximum(self.layers["mixing"](both, "context, query"), 0), "hidden")
