"""How the movie task's small models are fitted: Adam, epochs, early stopping, the best weights. PyTorch, lazily."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from prompt_bandits.progress import progress_bar
from prompt_bandits.rounds import named_generator

if TYPE_CHECKING:
    from torch import Tensor, nn

B = TypeVar("B")


@dataclass(frozen=True)
class Fitting:
    """How to optimise.

    Raises:
        ValueError: a number out of range.
    """

    lr: float = 1e-3
    weight_decay: float = 0.0
    batch_size: int = 256
    max_epochs: int = 300
    warmup_steps: int = 0  # over which the learning rate rises
    patience: int = 5  # stop after so many epochs without a better held-out loss; the best weights are kept
    device: str = "cpu"

    def __post_init__(self) -> None:
        if not self.lr > 0 or not self.weight_decay >= 0:
            raise ValueError(f"lr, weight_decay: expected > 0 and >= 0, got {self.lr}, {self.weight_decay}")
        for name in ("batch_size", "max_epochs", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected >= 1, got {getattr(self, name)}")
        if self.warmup_steps < 0:
            raise ValueError(f"warmup_steps: expected >= 0, got {self.warmup_steps}")


@dataclass(frozen=True)
class Curve:
    """Losses by epoch."""

    train: tuple[float, ...]
    held_out: tuple[float, ...]

    @property
    def best_epoch(self) -> int:
        """The epoch, counted from 0, whose weights were kept."""
        return self.held_out.index(min(self.held_out))

    def __len__(self) -> int:
        return len(self.held_out)


@contextmanager
def torch_seed(seed: int, purpose: str) -> Iterator[None]:
    """PyTorch's generators, forked and seeded for `purpose`; outside they stay as they were."""
    import torch

    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(int(named_generator(seed, "torch", purpose).integers(2**63)))
        yield


def fit_epochs(
    module: nn.Module,
    batches: Callable[[int], Iterable[B]],
    loss: Callable[[B], Tensor],
    held_out_loss: Callable[[], float],
    settings: Fitting,
    *,
    label: str,
    parameters: Iterable[dict[str, Any]] | None = None,
) -> Curve:
    """Minimises `loss` over `batches(epoch)`, in place; the weights end as they were after the best epoch.

    Args:
        module: what is fitted.
        batches: one epoch's.
        loss: of one batch, ().
        held_out_loss: judged after every epoch, without gradient and in evaluation mode.
        settings: how.
        label: for the bar and in errors.
        parameters: Adam's parameter groups; all of the module's unless given.

    Raises:
        FloatingPointError: a loss is not finite.
    """
    import torch

    groups = parameters if parameters is not None else [{"params": list(module.parameters())}]
    optimizer = torch.optim.Adam(_trained(groups), lr=settings.lr, weight_decay=settings.weight_decay, fused=True)
    rise = max(1, settings.warmup_steps)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / rise))
    train: list[float] = []
    held_out: list[float] = []
    best: dict[str, Tensor] = {}
    with progress_bar(settings.max_epochs, label) as bar:
        for epoch in range(settings.max_epochs):
            module.train()
            train.append(_one_epoch(optimizer, schedule, loss, batches(epoch)))
            module.eval()
            with torch.no_grad():
                held_out.append(held_out_loss())
            if not math.isfinite(train[-1] + held_out[-1]):
                raise FloatingPointError(f"{label}: the loss is {train[-1]} in epoch {epoch}; a smaller lr may help")
            if held_out.index(min(held_out)) == epoch:
                best = {
                    name: value.detach().clone() for name, value in module.named_parameters() if value.requires_grad
                }
            bar.set_postfix(loss=f"{train[-1]:.4f}", held_out=f"{held_out[-1]:.4f}", best=f"{min(held_out):.4f}")
            bar.update()
            if epoch - held_out.index(min(held_out)) >= settings.patience:
                break
    with torch.no_grad():
        for name, value in module.named_parameters():
            if name in best:
                value.copy_(best[name])
    return Curve(tuple(train), tuple(held_out))


def _trained(groups: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The parameter groups, without parameters that are frozen and without groups that are empty."""
    kept = ({**group, "params": [value for value in group["params"] if value.requires_grad]} for group in groups)
    return [group for group in kept if group["params"]]


def _one_epoch(optimizer: Any, schedule: Any, loss: Callable[[B], Tensor], batches: Iterable[B]) -> float:
    """The mean loss; it stays a tensor on the way, as reading one waits for the device."""
    total, n = None, 0
    for batch in batches:
        value = loss(batch)
        optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        total = value.detach() if total is None else total + value.detach()
        n += 1
    if total is None:
        raise ValueError("batches: expected at least one in an epoch, got none")
    return float(total) / n
