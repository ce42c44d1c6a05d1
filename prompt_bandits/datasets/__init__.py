"""Logged rounds: columns in memory, folders on disk."""

from prompt_bandits.datasets.dataset import BanditDataset
from prompt_bandits.datasets.summary import Summary

__all__ = ["BanditDataset", "Summary"]
