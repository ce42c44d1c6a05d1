"""Features of many sentences by the built encoders, on all cores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from prompt_bandits.movie.building.processes import in_processes
from prompt_bandits.types import FloatArray, TextArray, text_array

_CHUNK = 4096


def features_of(texts: TextArray, encoder: Path, reward: Path) -> tuple[FloatArray, FloatArray]:
    """(N, d_o) embeddings and (N, d_f) reward features; the sentences shared among processes of one thread each."""
    chunks = [texts[begin : begin + _CHUNK].tolist() for begin in range(0, len(texts), _CHUNK)]
    parts = in_processes(_encode, chunks, _start, (str(encoder), str(reward)), "sentence features")
    embedding, features = (np.concatenate([part[i] for part in parts]) for i in range(2))
    return embedding, features


_state: dict[str, Any] = {}  # of a worker


def _start(encoder: str, reward: str) -> None:
    from prompt_bandits.movie.encoders import SentenceTransformerEncoder
    from prompt_bandits.movie.rewards.folder import SentenceFeaturizer

    _state["encoder"], _state["reward"] = SentenceTransformerEncoder(encoder), SentenceFeaturizer(reward)


def _encode(texts: list[str]) -> tuple[FloatArray, FloatArray]:
    items = text_array(texts)
    return _state["encoder"].encode(items), _state["reward"].encode(items)
