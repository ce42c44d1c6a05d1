"""Logged rounds: columns in memory, folders on disk."""

from prompt_bandits.datasets.dataset import BanditDataset
from prompt_bandits.datasets.inspecting import inspect
from prompt_bandits.datasets.locking import FolderLocked
from prompt_bandits.datasets.merging import merge
from prompt_bandits.datasets.recovery import Recovered, recover
from prompt_bandits.datasets.stored import StoredDataset
from prompt_bandits.datasets.summary import Summary
from prompt_bandits.datasets.whole import migrate
from prompt_bandits.datasets.writer import DatasetWriter

__all__ = [
    "BanditDataset",
    "DatasetWriter",
    "FolderLocked",
    "Recovered",
    "StoredDataset",
    "Summary",
    "inspect",
    "merge",
    "migrate",
    "recover",
]
