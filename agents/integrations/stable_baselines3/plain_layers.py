"""Stacks of linear layers and activations as plain values and arrays, so that they are saved without a pickle."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from torch import nn

from ...batch import to_array, to_tensor

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    kind.__name__: kind for kind in (nn.Tanh, nn.ReLU, nn.ELU, nn.GELU, nn.LeakyReLU, nn.SiLU, nn.Sigmoid, nn.Identity)
}


def copied_layers(layers: Sequence[nn.Module]) -> nn.Sequential | None:
    """The layers as one network of their own; None where there are none, or other than linear ones and activations
    with default settings.
    """
    known = [type(layer) is nn.Linear or repr(layer) == repr(_plain(layer)) for layer in layers]
    return nn.Sequential(*deepcopy(list(layers))).cpu().eval() if layers and all(known) else None


def layers_state(network: nn.Module) -> list[dict[str, Any]]:
    """One dict a layer: `weight` and `bias`, or the activation's name.

    Raises:
        TypeError: a network that `copied_layers` did not give.
    """
    if not isinstance(network, nn.Sequential):
        raise TypeError(
            "SB3Policy: expected the layers of SB3's MlpPolicy or MultiInputPolicy to save, got a policy with layers "
            "of its own; keep it by model.save(...), and have it again by SB3Policy.of(PPO.load(...))"
        )
    return [
        {"weight": to_array(layer.weight).copy(), "bias": None if layer.bias is None else to_array(layer.bias).copy()}
        if isinstance(layer, nn.Linear)
        else {"activation": type(layer).__name__}
        for layer in network
    ]


def layers_from_state(state: Sequence[dict[str, Any]]) -> nn.Sequential:
    """The network again.

    Raises:
        ValueError: an activation that is not known.
    """
    return nn.Sequential(*map(_layer, state)).eval()


def _layer(state: dict[str, Any]) -> nn.Module:
    if "weight" not in state:
        if state.get("activation") not in _ACTIVATIONS:
            raise ValueError(f"activation: expected one of {', '.join(_ACTIVATIONS)}, got {state.get('activation')!r}")
        return _ACTIVATIONS[state["activation"]]()
    out, features = state["weight"].shape
    layer = nn.Linear(features, out, bias=state["bias"] is not None, device="meta").to_empty(device="cpu")  # no draws
    layer.load_state_dict({name: to_tensor(value) for name, value in state.items() if value is not None})
    return layer


def _plain(layer: nn.Module) -> nn.Module | None:
    kind = _ACTIVATIONS.get(type(layer).__name__)
    return None if kind is None or type(layer) is not kind else kind()
