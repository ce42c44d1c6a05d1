"""Features of many sentences by the built encoders, on all cores."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from prompt_bandits.progress import progress_bar
from prompt_bandits.types import FloatArray, TextArray, text_array

_CHUNK = 4096


def features_of(texts: TextArray, encoder: Path, reward: Path) -> tuple[FloatArray, FloatArray]:
    """(N, d_o) embeddings and (N, d_f) reward features; the sentences shared among processes of one thread each."""
    chunks = [texts[begin : begin + _CHUNK].tolist() for begin in range(0, len(texts), _CHUNK)]
    with (
        ProcessPoolExecutor(
            os.cpu_count(), get_context("spawn"), initializer=_start, initargs=(str(encoder), str(reward))
        ) as pool,
        progress_bar(len(chunks), "sentence features") as bar,
    ):
        parts = []
        for part in pool.map(_encode, chunks):
            parts.append(part)
            bar.update(1)
    embedding, features = (np.concatenate([part[i] for part in parts]) for i in range(2))
    return embedding, features


_state: dict[str, Any] = {}  # of a worker


def _start(encoder: str, reward: str) -> None:
    import torch

    from prompt_bandits.movie.encoders import SentenceTransformerEncoder
    from prompt_bandits.movie.rewards.folder import SentenceFeaturizer

    torch.set_num_threads(1)
    _state["encoder"], _state["reward"] = SentenceTransformerEncoder(encoder), SentenceFeaturizer(reward)


def _encode(texts: list[str]) -> tuple[FloatArray, FloatArray]:
    items = text_array(texts)
    return _state["encoder"].encode(items), _state["reward"].encode(items)
