"""Features of texts: a sentence-transformers model, or the states of a language model."""

from __future__ import annotations

from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from prompt_bandits.llms.local_models import folder_hash
from prompt_bandits.movie.encoders.hidden_states import HiddenStates
from prompt_bandits.movie.encoders.pca import Reduction
from prompt_bandits.movie.encoders.text_encoder import TextEncoder, is_saved_encoder, saved_kind
from prompt_bandits.types import FloatArray, TextArray, text_array


class LLMStateEncoder(TextEncoder):
    """Mean-pooled last hidden states of a language model, padding not counted, and their principal components.

    Args:
        model: a folder, an id on the hub, or `HiddenStates` that several encoders share.
        prefix, postfix, max_length, dim: as `TextEncoder`; `fit` finds the dimensions.
        options: of `HiddenStates`, where `model` is a name.
    """

    kind = "llm states"

    def __init__(
        self,
        model: str | Path | HiddenStates,
        prefix: str = "",
        postfix: str = "",
        max_length: int | None = None,
        dim: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(prefix, postfix, max_length, dim)
        self.model = model if isinstance(model, HiddenStates) else HiddenStates(model, **options)

    @classmethod
    def from_matrix(
        cls, model: str | Path | HiddenStates, matrix: FloatArray | str | Path, **options: Any
    ) -> LLMStateEncoder:
        """With a bare matrix (D, d), or OfflinePrompts' file of one, which projects without centring.

        Raises:
            FileNotFoundError: no such file.
            ValueError: no matrix.
        """
        return cls(model, **options)._with(Reduction.from_matrix(matrix))

    @property
    def tokenizer(self) -> Any:
        return self.model.tokenizer

    def _read(self, texts: TextArray) -> FloatArray:
        return self.model.mean_states(texts)

    def _model_settings(self) -> dict[str, Any]:
        return {"model": self.model.source.name, "revision": self.model.source.revision, "dtype": self.model.dtype}

    def _model_identity(self) -> dict[str, str]:
        return {"encoder": "mean states", **self.model.source.identity(), "dtype": self.model.dtype}


class SentenceTransformerEncoder(TextEncoder):
    """A sentence-transformers model.

    Args:
        model: a folder, or an id on the hub.
        prefix, postfix, max_length: as `TextEncoder`.
        dim: of the features. `fit` finds so many principal components; `truncated` takes the first.
        batch_size: texts read at a time.
        device: of PyTorch; the first GPU if there is one, unless given.
        revision: of an id.
    """

    kind = "sentence-transformers"

    def __init__(
        self,
        model: str | Path,
        prefix: str = "",
        postfix: str = "",
        max_length: int | None = None,
        dim: int | None = None,
        batch_size: int = 256,
        device: str | None = None,
        revision: str | None = None,
    ) -> None:
        super().__init__(prefix, postfix, max_length, dim)
        self.model, self.revision = str(model), revision
        self.batch_size, self.device = batch_size, device

    def truncated(self, dim: int) -> SentenceTransformerEncoder:
        """This encoder with the first `dim` dimensions only, for models whose first ones say the most.

        Raises:
            ValueError: more than the model has.
        """
        return self._with(Reduction.first(self.states(text_array([""])).shape[1], dim))

    @property
    def tokenizer(self) -> Any:
        return self._loaded.tokenizer

    def _read(self, texts: TextArray) -> FloatArray:
        if not len(texts):
            return self._read(text_array([""]))[:0]
        states = self._loaded.encode(list(texts), batch_size=self.batch_size, show_progress_bar=False)
        return np.asarray(states, dtype=np.float32)

    @cached_property
    def _loaded(self) -> Any:
        from sentence_transformers import SentenceTransformer

        return SentenceTransformer(
            self.model, device=self.device, revision=self.revision, model_kwargs={"use_safetensors": True}
        ).float()

    def _model_settings(self) -> dict[str, Any]:
        return {"model": self.model, "revision": self.revision}

    def _model_identity(self) -> dict[str, str]:
        folder = Path(self.model)
        if not folder.is_dir():
            return {"encoder": self.kind, "model": self.model, "revision": self.revision or "main"}
        parts = sorted(path for path in folder.rglob("*") if path.is_dir())
        hashes = "".join(f"{part.relative_to(folder)} {folder_hash(part)}\n" for part in [folder, *parts])
        return {"encoder": self.kind, "model": f"sha256:{sha256(hashes.encode()).hexdigest()}", "revision": ""}


def load_encoder(model: str | Path, **options: Any) -> TextEncoder:
    """The encoder that a folder holds, if `save` wrote it; else the sentence-transformers model of that name.

    Raises:
        ValueError: an unknown kind of encoder.
    """
    if not is_saved_encoder(model):
        return SentenceTransformerEncoder(model, **options)
    kind = saved_kind(model)
    kinds: dict[str, type[TextEncoder]] = {cls.kind: cls for cls in (LLMStateEncoder, SentenceTransformerEncoder)}
    if kind not in kinds:
        raise ValueError(f"{model}: expected a kind of encoder among {', '.join(kinds)}, got {kind!r}")
    return kinds[kind].load(model, **options)
