"""What tells the contents of datasets apart."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from prompt_bandits.datasets.columns import Columns, n_rows
from prompt_bandits.datasets.origin import policy_fingerprint

if TYPE_CHECKING:
    from prompt_bandits.datasets.stored import StoredDataset

_MODULUS = 1 << 256


def content_hash(data: StoredDataset) -> str:
    """A SHA-256 of the prompts, the columns and the rows by their keys, each with its logging policy.

    Keys are distinct, so the rows are a set: the sum of the rows' own hashes is that of the rows sorted by key, and
    needs no sorting.
    """
    policies = _fingerprints(data)
    total = 0
    for columns in data.columns_in_batches(data.columns):
        if policies is not None:
            columns["policy_id"] = policies[columns.get("policy_id", np.zeros(n_rows(columns), np.int64))]
        for row in _row_bytes(columns):
            total += int.from_bytes(sha256(row).digest(), "little")
    whole = sha256()
    for name, kind in sorted(data.manifest.columns.items()):
        whole.update(f"{name} {kind}\n".encode())
    prompts = data.prompts
    whole.update(prompts.prompt_id.tobytes() + prompts.embedding.tobytes())
    for text in [] if prompts.text is None else prompts.text:
        whole.update(_with_length(text))
    whole.update((total % _MODULUS).to_bytes(32, "little"))
    return whole.hexdigest()


def _fingerprints(data: StoredDataset) -> NDArray[np.bytes_] | None:
    """What each logging policy is known by; their numbers are the folder's own affair."""
    known = [
        policy.fingerprint or policy_fingerprint(data.policies[k]) for k, policy in enumerate(data.manifest.policies)
    ]
    return np.array(known, dtype="S128") if known else None


def _row_bytes(columns: Columns) -> Iterator[bytes]:
    """Each row's values, numbers first, one after the other in the order of the columns' names."""
    n, names = n_rows(columns), sorted(columns)
    numbers = [np.ascontiguousarray(columns[name]) for name in names if columns[name].dtype != object]
    fixed = np.concatenate([column.view(np.uint8).reshape(n, -1) for column in numbers], axis=1)
    texts = [columns[name] for name in names if columns[name].dtype == object]
    width, content = fixed.shape[1], fixed.tobytes()
    for row in range(n):
        own = content[row * width : (row + 1) * width]
        for column in texts:
            own += _with_length(column[row])
        yield own


def _with_length(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(8, "little") + encoded
