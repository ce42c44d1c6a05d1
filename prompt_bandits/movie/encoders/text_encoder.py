"""What encoders of texts share: the words around a text, its length, fewer dimensions, saving."""

from __future__ import annotations

import copy
import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import Self

from prompt_bandits.movie.encoders.hidden_states import cut_texts
from prompt_bandits.movie.encoders.pca import Reduction
from prompt_bandits.movie.rewards.sentence_table import distinct_texts
from prompt_bandits.types import FloatArray, TextArray, text_array

_SETTINGS, _ARRAYS = "encoder.json", "pca.safetensors"


class TextEncoder(ABC):
    """prefix + text + postfix, read as one text by a model, reduced to `dim` dimensions.

    Attributes:
        prefix, postfix: around every text.
        max_length: tokens of a text; what is beyond is cut, prefix and postfix are not.
        dim: of the features; None keeps all.
        reduction: how they are reduced, once fitted.
    """

    kind: ClassVar[str]

    def __init__(self, prefix: str, postfix: str, max_length: int | None, dim: int | None) -> None:
        for name, value in (("max_length", max_length), ("dim", dim)):
            if value is not None and value < 1:
                raise ValueError(f"{name}: expected >= 1 or None, got {value}")
        self.prefix, self.postfix, self.max_length, self.dim = prefix, postfix, max_length, dim
        self.reduction: Reduction | None = None

    @abstractmethod
    def _read(self, texts: TextArray) -> FloatArray:
        """(n, D) of distinct texts, with prefix and postfix."""

    @property
    @abstractmethod
    def tokenizer(self) -> Any:
        """The model's tokenizer."""

    @abstractmethod
    def _model_settings(self) -> dict[str, Any]:
        """The constructor's arguments that say which model."""

    @abstractmethod
    def _model_identity(self) -> dict[str, str]:
        """Which model it is."""

    def encode(self, texts: TextArray) -> FloatArray:
        """(n, d) f32; equal texts are read once.

        Raises:
            ValueError: dimensions are to be reduced, and nothing was fitted.
        """
        if self.dim is not None and self.reduction is None:
            raise ValueError(f"{type(self).__name__}: expected fit(texts) before encode, to find {self.dim} dimensions")
        states = self.states(texts)
        return states if self.reduction is None else self.reduction(states)

    def states(self, texts: TextArray) -> FloatArray:
        """(n, D) f32, before they are reduced."""
        distinct, place = distinct_texts(texts)
        cut = cut_texts(distinct, self.tokenizer, self.max_length)
        return self._read(text_array(f"{self.prefix}{text}{self.postfix}" for text in cut))[place]

    def fit(self, texts: TextArray) -> Self:
        """This encoder with `dim` principal components of these texts; the model is shared.

        Raises:
            ValueError: no `dim`, or fewer distinct texts.
        """
        if self.dim is None:
            raise ValueError("dim: expected a number of dimensions to fit, got None")
        distinct, _ = distinct_texts(texts)
        return self._with(Reduction.fit(self.states(distinct), self.dim))

    def save(self, folder: str | Path) -> Path:
        """Writes settings and reduction, not the model, to `folder` (made if need be)."""
        from safetensors.numpy import save_file

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        names = ("prefix", "postfix", "max_length", "dim")
        settings = {"kind": self.kind, **self._model_settings(), **{name: getattr(self, name) for name in names}}
        (folder / _SETTINGS).write_text(json.dumps(settings, indent=1))
        arrays = {} if self.reduction is None else vars(self.reduction)
        save_file(dict(arrays), folder / _ARRAYS)
        return folder

    @classmethod
    def load(cls, folder: str | Path, **changed: Any) -> Self:
        """What `save` wrote; `changed` arguments, such as the model's folder or the device, take the place of its own.

        Raises:
            FileNotFoundError: none there.
            ValueError: another kind of encoder.
        """
        from safetensors.numpy import load_file

        folder = Path(folder)
        if not is_saved_encoder(folder):
            raise FileNotFoundError(f"{folder}: expected a saved encoder with a file {_SETTINGS}, found none")
        settings = json.loads((folder / _SETTINGS).read_text())
        if settings.pop("kind") != cls.kind:
            raise ValueError(f"{folder}/{_SETTINGS}: expected an encoder of kind {cls.kind!r}")
        arrays = load_file(folder / _ARRAYS)
        return cls(**{**settings, **changed})._with(Reduction(**arrays) if arrays else None)

    @property
    def identity(self) -> dict[str, str]:
        """What tells this encoder from others."""
        names = ("prefix", "postfix", "max_length", "dim")
        pca = "" if self.reduction is None else self.reduction.fingerprint
        return {**self._model_identity(), **{name: str(getattr(self, name)) for name in names}, "pca": pca}

    def _with(self, reduction: Reduction | None) -> Self:
        made = copy.copy(self)
        made.reduction = reduction
        if reduction is not None:
            made.dim = reduction.dim
        return made


def is_saved_encoder(folder: str | Path) -> bool:
    """Whether `save` of an encoder wrote this folder."""
    return (Path(folder) / _SETTINGS).is_file()


def saved_kind(folder: str | Path) -> str:
    """The kind of encoder that a folder holds."""
    return str(json.loads((Path(folder) / _SETTINGS).read_text()).get("kind"))
