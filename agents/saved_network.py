"""Networks as plain values and arrays, for saving."""

from __future__ import annotations

from typing import Any

from torch import nn

from .batch import to_array, to_tensor
from .networks import make_network


def network_state(kind: str, dims: dict[str, int], network: nn.Module) -> dict[str, Any]:
    """What `network_from_state` needs."""
    weights = {name: to_array(value).copy() for name, value in network.state_dict().items()}
    return {"kind": kind, "dims": dims, "weights": weights}


def network_from_state(state: dict[str, Any]) -> tuple[str, dict[str, int], nn.Module]:
    """Kind, sizes and the network with its weights.

    Raises:
        ValueError: weights that do not fit the sizes.
    """
    network = make_network(state["kind"], state["dims"])
    try:
        network.load_state_dict({name: to_tensor(value) for name, value in state["weights"].items()})
    except RuntimeError as error:
        raise ValueError(f"weights: they do not fit a network {state['kind']!r} of {state['dims']}: {error}") from error
    return state["kind"], state["dims"], network
