"""A folder of logged rounds as a PyTorch dataset, for training loops of one's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch.utils.data import IterableDataset, get_worker_info

from prompt_bandits.datasets import StoredDataset

from .batch import Batch


class BatchStream(IterableDataset[Batch]):
    """Batches of tensors from a folder, a part of it in memory at a time.

    Hand it to a `DataLoader` with `batch_size=None`; its workers, and processes told apart by `part`, read disjoint
    row groups that together are the whole, so more of them than row groups leaves some idle. Each pass has another
    order; workers that are started anew for each pass are told which it is by `set_epoch`. `state_dict` says how far
    this copy is; every worker has its own, whose states torchdata's `StatefulDataLoader` collects.

    Args:
        data: the folder.
        batch_size: rounds a batch; the last of each worker may be smaller.
        columns: which of `data.columns` to read, beside what every row has; None: those with numbers that a batch
            has a place for.
        seed: shuffle. None: the order in which the rounds were written.
        part: (k, n), this process is the k-th of n.
    """

    def __init__(
        self,
        data: StoredDataset,
        batch_size: int,
        *,
        columns: Sequence[str] | None = None,
        seed: int | None = None,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        data.batches(batch_size, columns=columns, part=part)  # refuses what it would refuse at the first batch
        self.data, self.batch_size, self.seed, self.part = data, batch_size, seed, part
        self.columns = data.learnable_columns() if columns is None else tuple(columns)
        self.epoch, self.batch, self._begin = 0, 0, 0

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        k, n = self.part
        if worker is not None:
            k, n = k * worker.num_workers + worker.id, n * worker.num_workers
        self.batch, self._begin = self._begin, 0  # a pass that was broken off is not gone on with unasked
        rows = self.data.batches(
            self.batch_size, columns=self.columns, seed=self.seed, epoch=self.epoch, skip=self.batch, part=(k, n)
        )
        for part in rows:
            self.batch += 1
            yield Batch.of(part)
        self.epoch, self.batch = self.epoch + 1, 0

    def set_epoch(self, epoch: int) -> None:
        """The next pass is this one, from its beginning."""
        self.epoch, self.batch, self._begin = epoch, 0, 0

    def state_dict(self) -> dict[str, int]:
        """Where it is: the pass, and the batches of it that were given."""
        return {"epoch": self.epoch, "batch": self.batch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Goes on from there at the next iteration."""
        self.epoch = state["epoch"]
        self.batch = self._begin = state["batch"]
