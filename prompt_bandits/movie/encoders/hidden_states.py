"""Mean-pooled hidden states of any transformers model."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from prompt_bandits.llms.local_models import ModelSource
from prompt_bandits.movie.rewards.token_table import TokenTable, batches_by_length
from prompt_bandits.types import FloatArray, TextArray

_DTYPES = ("float32", "bfloat16", "float16")


class HiddenStates:
    """The last hidden states of a text's tokens, averaged; padding does not count.

    The model is loaded at the first text. Several encoders may share one.

    Args:
        model: a folder, or an id on the hub; anything that transformers' `AutoModel` loads.
        revision: of an id.
        batch_size: texts read at a time.
        device: of PyTorch; the first GPU if there is one, unless given.
        device_map: as transformers takes it, for a model that is spread.
        dtype: `"float32"`, `"bfloat16"` or `"float16"`; means are taken in float32.
        trust_remote_code: whether code that comes with the model may run.

    Raises:
        FileNotFoundError: a path without a folder, or a folder without a model.
        ValueError: an unknown dtype, or weights that are pickled only.
    """

    def __init__(
        self,
        model: str | Path,
        revision: str | None = None,
        batch_size: int = 64,
        device: str | None = None,
        device_map: Any = None,
        dtype: str = "float32",
        trust_remote_code: bool = False,
    ) -> None:
        if dtype not in _DTYPES:
            raise ValueError(f"dtype: expected one of {', '.join(_DTYPES)}, got {dtype!r}")
        if batch_size < 1:
            raise ValueError(f"batch_size: expected >= 1, got {batch_size}")
        self.source = ModelSource(str(model), revision, trust_remote_code)
        self.batch_size, self.device, self.device_map, self.dtype = batch_size, device, device_map, dtype

    @property
    def tokenizer(self) -> Any:
        """The model's tokenizer."""
        return self._loaded[1]

    def mean_states(self, texts: TextArray) -> FloatArray:
        """(n, D) f32; 0 for a text without a token."""
        import torch

        model, tokenizer = self._loaded
        tokens = TokenTable.of(texts, tokenizer)
        out = np.zeros((len(texts), int(model.config.hidden_size)), dtype=np.float32)
        with torch.inference_mode():
            for rows in batches_by_length(tokens.length, np.flatnonzero(tokens.length), self.batch_size):
                ids, mask = (torch.from_numpy(array).to(model.device) for array in tokens.padded(rows))
                states = model(input_ids=ids, attention_mask=mask.long()).last_hidden_state.float()
                weight = mask.to(states.device)[..., None]
                out[rows] = ((states * weight).sum(dim=1) / weight.sum(dim=1)).cpu().numpy()
        return out

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        import torch
        import transformers
        from transformers import AutoModel, AutoTokenizer

        where = str(self.source.folder) if self.source.is_folder else self.source.name
        options: dict[str, Any] = {"trust_remote_code": self.source.trust_remote_code}
        if self.source.revision is not None:
            options["revision"] = self.source.revision
        name = "dtype" if int(transformers.__version__.split(".")[0]) >= 5 else "torch_dtype"
        model = AutoModel.from_pretrained(
            where, use_safetensors=True, device_map=self.device_map, **{name: getattr(torch, self.dtype)}, **options
        )
        model.config.use_cache = False
        if self.device_map is None:
            model.to(self.device or ("cuda" if torch.cuda.is_available() else "cpu"))
        return model.eval(), AutoTokenizer.from_pretrained(where, **options)


def cut_texts(texts: TextArray, tokenizer: Any, max_length: int | None) -> list[str]:
    """Texts without what goes beyond `max_length` tokens, special tokens not counted."""
    if max_length is None or not len(texts):
        return list(texts)
    if not tokenizer.is_fast:
        rows = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        pairs = zip(texts, rows, strict=True)
        return [text if len(row) <= max_length else tokenizer.decode(row[:max_length]) for text, row in pairs]
    found = tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    pairs = zip(texts, found, strict=True)
    return [text if len(ends) <= max_length else text[: ends[max_length - 1][1]] for text, ends in pairs]
