"""The only optimisation loop, and the only place that seeds PyTorch."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from prompt_bandits.progress import progress_bar
from prompt_bandits.protocols import Policy
from prompt_bandits.rounds import named_generator

from .processes import current
from .protocols import Callback

_UNFIT = ("Optimizer", "LBFGS", "SparseAdam")  # no optimizer, no single steps, no dense gradients


@dataclass(frozen=True)
class TrainingConfig:
    """How to optimise.

    Raises:
        ValueError: a number out of range, or an optimizer that PyTorch does not have.
    """

    optimizer: str = "Adam"  # any of torch.optim that takes single steps of dense gradients, by name
    lr: float = 5e-4
    weight_decay: float = 0.0
    steps: int = 20_000
    batch_size: int = 32
    log_every: int = 200
    device: str = "cpu"
    validation_fraction: float = 0.0  # of the rounds, held out
    checkpoint: str = "best"  # by the validation score, if there is one; or "last"
    memory_mb: int = 256  # of rounds at a time, where the data is a folder; the process takes a few times that
    patience: int | None = None  # with held-out rounds: stop after so many logs without a better validation score

    def __post_init__(self) -> None:
        if not isinstance(getattr(torch.optim, self.optimizer, None), type) or self.optimizer in _UNFIT:
            raise ValueError(f"optimizer: expected the name of a class in torch.optim, got {self.optimizer!r}")
        for name, low in (("steps", 0), ("batch_size", 1), ("log_every", 1), ("memory_mb", 1)):
            if getattr(self, name) < low:
                raise ValueError(f"{name}: expected >= {low}, got {getattr(self, name)}")
        if not self.lr > 0 or self.weight_decay < 0:
            raise ValueError(f"lr, weight_decay: expected > 0 and >= 0, got {self.lr}, {self.weight_decay}")
        if not 0 <= self.validation_fraction < 1:
            raise ValueError(f"validation_fraction: expected in [0, 1), got {self.validation_fraction}")
        if self.checkpoint not in ("best", "last"):
            raise ValueError(f"checkpoint: expected 'best' or 'last', got {self.checkpoint!r}")
        if self.patience is not None and self.patience < 1:
            raise ValueError(f"patience: expected >= 1 or None, got {self.patience}")


@dataclass(frozen=True)
class Loss:
    """What a step minimises, and numbers to log beside it."""

    value: Tensor  # ()
    metrics: Mapping[str, Tensor] = field(default_factory=dict)  # each ()


@contextmanager
def torch_seed(seed: int, purpose: str) -> Iterator[None]:
    """PyTorch's generator, forked and seeded for `purpose`; outside it stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(named_generator(seed, "torch", purpose).integers(2**63)))
        yield


def make_optimizer(module: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """The optimizer that the config names, fused where PyTorch has it: small networks spend most of their time
    there.
    """
    cls = getattr(torch.optim, config.optimizer)
    accepted = inspect.signature(cls).parameters
    options: dict[str, Any] = {"lr": config.lr}
    if config.weight_decay:
        options["weight_decay"] = config.weight_decay
    if "fused" in accepted:
        options["fused"] = True
    try:
        optimizer: torch.optim.Optimizer = cls(module.parameters(), **options)
    except (TypeError, ValueError) as error:
        raise ValueError(f"optimizer: {config.optimizer} does not take {options} here: {error}") from error
    return optimizer


def optimise(
    module: nn.Module,
    loss: Callable[[int], Loss],
    config: TrainingConfig,
    *,
    label: str,
    validate: Callable[[], float] | None = None,
    callback: Callback | None = None,
    policy: Policy | None = None,
) -> None:
    """Minimises `loss(step)` over the parameters of `module`, in place.

    Every `log_every` steps (and at the end) the means of the loss and its metrics go to `callback`. With `validate`
    (lower is better) the parameters end as they were at its best, untrained ones included, and `patience` may end it
    early. Inside `processes.together()` all processes do this at once, with `loss` over their shares of the rounds;
    the main one shows the bar and calls `callback`.

    Raises:
        FloatingPointError: the loss is not finite; it names the step.
    """
    processes = current()
    processes.align(module)
    optimizer = make_optimizer(module, config)
    best = _Best(module, config.patience)
    if validate is not None:
        with torch.no_grad():
            best.update(_score(validate))
    window = _Window()
    with progress_bar(config.steps, label, processes.is_main) as bar:
        for step in range(1, config.steps + 1):
            now = loss(step)
            optimizer.zero_grad(set_to_none=True)
            now.value.backward()  # type: ignore[no-untyped-call]
            processes.average_gradients(module)
            optimizer.step()
            window.add(now)
            if step % config.log_every and step != config.steps:
                continue
            bar.update(window.n)
            metrics = window.means(label, step)
            window = _Window()
            if validate is not None:
                with torch.no_grad():
                    metrics["validation"] = _score(validate)
            if callback is not None and processes.is_main:
                callback(step, metrics, policy)
            if validate is not None and best.update(metrics["validation"]):
                break
    if config.checkpoint == "best":
        best.restore()


def _score(validate: Callable[[], float]) -> float:
    """The same for all processes, so that they keep and end alike."""
    return current().mean({"validation": validate()})["validation"]


class _Window:
    """Running sums of the loss and its metrics since the last log, kept as tensors: reading one waits for the
    device.
    """

    def __init__(self) -> None:
        self.n, self._sums = 0, dict[str, Tensor]()

    def add(self, loss: Loss) -> None:
        self.n += 1
        for name, value in (("loss", loss.value), *loss.metrics.items()):
            known = self._sums.get(name)
            self._sums[name] = value.detach() if known is None else known + value.detach()

    def means(self, label: str, step: int) -> dict[str, float]:
        means = current().mean({name: float(total) / self.n for name, total in self._sums.items()})
        if not math.isfinite(means["loss"]):
            raise FloatingPointError(
                f"{label}: the loss is {means['loss']} by step {step}; a smaller lr, or data within range, may help"
            )
        return means


class _Best:
    """The parameters at the best validation score."""

    def __init__(self, module: nn.Module, patience: int | None) -> None:
        self._module, self._patience = module, patience
        self._score, self._state, self._waited = float("inf"), dict[str, Tensor](), 0

    def update(self, score: float) -> bool:
        """Keeps the parameters if the score is the best; True when patience is at its end."""
        if score < self._score:
            self._score, self._waited = score, 0
            self._state = {name: value.clone() for name, value in self._module.state_dict().items()}
        else:
            self._waited += 1
        return self._patience is not None and self._waited >= self._patience

    def restore(self) -> None:
        if self._state:
            self._module.load_state_dict(self._state)
