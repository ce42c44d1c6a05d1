"""A dataset in memory to a folder, whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from prompt_bandits.datasets.columns import row_columns
from prompt_bandits.datasets.dataset import BanditDataset
from prompt_bandits.datasets.manifest import SCHEMA_VERSION, Manifest
from prompt_bandits.datasets.places import whole_folder
from prompt_bandits.datasets.prompt_table import PromptTable
from prompt_bandits.datasets.stored import StoredDataset
from prompt_bandits.datasets.writer import DatasetWriter


def save_dataset(
    data: BanditDataset, path: Path, *, overwrite: bool = False, versions: Mapping[str, str] | None = None
) -> Path:
    """Writes a dataset's folder beside its place and moves it there whole, so that a crash leaves no half of one.

    Args:
        data: the rows.
        path: of the folder.
        overwrite: replace a dataset at `path`.
        versions: of the packages that drew the rows; None: those of this process.
    """
    with whole_folder(path, overwrite=overwrite) as draft, DatasetWriter(draft) as writer:
        description = writer.begin(PromptTable.first(data.prompts), data.spec, versions)
        numbers = np.array([description.policy_number(policy) for policy in data.policies], np.int64)
        for begin in range(0, max(1, len(data)), writer.flush_rows):
            columns = row_columns(data.take(slice(begin, begin + writer.flush_rows)))
            if len(numbers):
                columns["policy_id"] = numbers[columns["policy_id"]]
            writer.append_columns(columns)
    return path


def migrate(path: str | Path) -> StoredDataset:
    """Writes a dataset of an older schema version anew, in its place.

    Raises:
        FileNotFoundError, ValueError: as `BanditDataset.open`.
        FolderLocked: a writer is at work there.
    """
    folder = Path(path)
    manifest = Manifest.load(folder)
    if manifest.schema_version != SCHEMA_VERSION:
        save_dataset(BanditDataset.load(folder), folder, overwrite=True, versions=manifest.versions)
    return StoredDataset.open(folder)
