"""Several processes that train one model together, each with its share of every minibatch.

Launched by `accelerate launch` on GPUs or `torchrun` on CPUs; accelerate says how they talk to each other:

    with together() as processes:
        policy = learner.fit(data, seed=0)
    if processes.is_main:
        prompt_bandits.save(policy, "runs/policy")

Every process has the same data, the same seed and the same first parameters, takes its own rows of each minibatch, and
steps along the gradients' mean over all. The losses are means over rounds, so that is the gradient of the whole
minibatch: the parameters are those of one process, but for the rounding of sums.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn

from prompt_bandits.rounds import Rounds


class Processes:
    """The processes that train together; here, this one alone.

    Attributes:
        n: how many.
        index: which of them this is.
    """

    n, index = 1, 0

    @property
    def is_main(self) -> bool:
        """Whether it is this one that reports and saves."""
        return self.index == 0

    def rows(self, size: int) -> slice:
        """Which rows of a minibatch are this process's own.

        Raises:
            ValueError: the minibatch cannot be shared evenly.
        """
        if size % self.n:
            raise ValueError(f"batch_size: expected a multiple of {self.n}, the number of processes, got {size}")
        own = size // self.n
        return slice(self.index * own, (self.index + 1) * own)

    def share(self, rounds: Rounds) -> Rounds:
        """Those of a minibatch's rounds that are this process's own, with the draws that the whole has for them."""
        own = self.rows(len(rounds))
        return rounds if self.n == 1 else rounds.part(own.start, own.stop)

    def align(self, module: nn.Module) -> None:
        """Gives every process the parameters of the main one."""

    def average_gradients(self, module: nn.Module) -> None:
        """Gives every process the mean of all gradients."""

    def mean(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """The means over all processes."""
        return dict(metrics)


class _Several(Processes):
    """This process among those that accelerate's state knows of."""

    def __init__(self, state: Any) -> None:
        self.n, self.index, self._device = state.num_processes, state.process_index, state.device

    def align(self, module: nn.Module) -> None:
        from accelerate.utils import broadcast

        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.device.type != self._device.type:
                raise ValueError(
                    f"device: expected {self._device.type!r}, where these processes were launched to train "
                    f"(ACCELERATE_USE_CPU=1 is for 'cpu'), got {tensor.device.type!r}"
                )
            tensor.data.copy_(broadcast(tensor.data))

    def average_gradients(self, module: nn.Module) -> None:
        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        flat, begin = _mean(torch.cat([gradient.reshape(-1) for gradient in gradients])), 0  # one message a step
        for gradient in gradients:
            gradient.copy_(flat[begin : begin + gradient.numel()].view_as(gradient))
            begin += gradient.numel()

    def mean(self, metrics: Mapping[str, float]) -> dict[str, float]:
        if not metrics:
            return {}
        values = _mean(torch.tensor(list(metrics.values()), dtype=torch.float64, device=self._device))
        return dict(zip(metrics, values.tolist(), strict=True))


def _mean(tensor: Tensor) -> Tensor:
    from accelerate.utils import reduce

    mean: Tensor = reduce(tensor, reduction="mean")
    return mean


_current: ContextVar[Processes] = ContextVar("processes", default=Processes())  # noqa: B039  it holds no values


def current() -> Processes:
    """The processes that train together here and now."""
    return _current.get()


@contextmanager
def together() -> Iterator[Processes]:
    """Whatever is fitted inside is fitted by all processes of this launch together; by this one, if it was not launched
    with others.

    Raises:
        ImportError: processes, but no accelerate.
        RuntimeError: processes that accelerate does not connect.
    """
    token = _current.set(_launched())
    try:
        yield current()
    finally:
        _current.reset(token)


def require_one_process(what: str) -> None:
    """Raises a ValueError where several train together; `what` is not a mean over rounds."""
    if current().n > 1:
        raise ValueError(f"{what}: expected one process, since it is of the whole minibatch, got {current().n}")


def _launched() -> Processes:
    launched = int(os.environ.get("WORLD_SIZE", 1))
    if launched == 1:
        return Processes()
    try:
        from accelerate import PartialState
        from accelerate.utils import parse_flag_from_env
    except ImportError as error:
        raise ImportError('training together needs accelerate: pip install "prompt_bandits[train]"') from error
    on_cpu = parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.cuda.is_available()
    state = PartialState(cpu=on_cpu)
    if state.num_processes != launched:
        raise RuntimeError(f"together: expected {launched} processes, as WORLD_SIZE says, got {state.num_processes}")
    return _Several(state)
