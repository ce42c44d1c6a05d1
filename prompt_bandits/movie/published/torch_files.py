"""Files of `torch.save`, of which only tensors are read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prompt_bandits.types import FloatArray


def load_tensors(file: Path) -> Any:
    """What `torch.save` wrote, on the CPU; only tensors and plain containers are read.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not such a file, or one that would run code.
    """
    import torch

    if not file.is_file():
        raise FileNotFoundError(f"{file}: expected a file of torch.save, found none")
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # of many kinds
        raise ValueError(
            f"{file}: expected tensors of torch.save and no other objects; it does not read as such"
        ) from error


def load_matrix(file: Path) -> FloatArray:
    """A tensor (n, d), as float32.

    Raises:
        FileNotFoundError, ValueError: as `load_tensors`, or something else is in it.
    """
    import torch

    found = load_tensors(file)
    if not isinstance(found, torch.Tensor) or found.ndim != 2:
        shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        raise ValueError(f"{file}: expected a tensor (n, d), got {shape}")
    matrix: FloatArray = found.detach().float().numpy()
    return matrix


def state_dict(file: Path) -> Mapping[str, Any]:
    """Tensors by name, also where they are one part of the file.

    Raises:
        FileNotFoundError, ValueError: as `load_tensors`, or something else is in it.
    """
    import torch

    found = load_tensors(file)
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not all(isinstance(tensor, torch.Tensor) for tensor in found.values()):
        raise ValueError(f"{file}: expected a state dict, tensors by name, got {type(found).__name__}")
    return found
