"""The one place where numpy becomes torch, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prompt_bandits.datasets import BanditDataset
from prompt_bandits.rounds import RoundStream
from prompt_bandits.types import Observation


def to_tensor(array: NDArray[Any], device: str | torch.device = "cpu") -> Tensor:
    """float32 for real numbers, int64 for integers, bool for masks."""
    kind = array.dtype.kind
    dtype: Any = np.float32 if kind == "f" else np.int64 if kind in "iu" else np.bool_
    contiguous = np.ascontiguousarray(array, dtype=dtype)
    return torch.from_numpy(contiguous if contiguous.flags.writeable else contiguous.copy()).to(device)


def to_array(tensor: Tensor) -> NDArray[Any]:
    """A tensor as a numpy array."""
    return np.asarray(tensor.detach().cpu().numpy())


@dataclass(frozen=True)
class Batch:
    """Logged rounds as tensors."""

    features: Tensor  # (B, d_x + d_q) context and query
    action: Tensor  # (B,) int64
    reward: Tensor  # (B,)
    propensity: Tensor | None = None  # (B,)
    output: Tensor | None = None  # (B, d_o)
    action_mask: Tensor | None = None  # (B, |A|) bool

    def __len__(self) -> int:
        return len(self.action)

    def take(self, index: Tensor) -> Batch:
        """The rows at `index` (k,)."""
        columns: dict[str, Any] = {
            name: column if column is None else column[index] for name, column in vars(self).items()
        }
        return Batch(**columns)

    @classmethod
    def of(cls, data: BanditDataset, device: str = "cpu") -> Batch:
        """A whole dataset as one batch."""
        output = None if data.output is None else data.output.embedding
        return cls(
            features=to_tensor(data.obs.features(), device),
            action=to_tensor(data.action, device),
            reward=to_tensor(data.reward, device),
            propensity=None if data.propensity is None else to_tensor(data.propensity, device),
            output=None if output is None else to_tensor(output, device),
            action_mask=None if data.obs.action_mask is None else to_tensor(data.obs.action_mask, device),
        )


def features_of(obs: Observation, device: str | torch.device = "cpu") -> Tensor:
    """Context and query side by side, (n, d_x + d_q)."""
    return to_tensor(obs.features(), device)


def draw_rows(stream: RoundStream, n: int, n_rows: int, device: str = "cpu") -> Tensor:
    """(n,) row numbers of a minibatch, with replacement."""
    return to_tensor(stream.next(n).integers("row", n_rows), device)
