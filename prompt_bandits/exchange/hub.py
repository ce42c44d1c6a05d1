"""Datasets' folders to the Hugging Face Hub and back, as they are: whoever has `datasets` reads them with no script."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from prompt_bandits.datasets.dataset import BanditDataset
from prompt_bandits.datasets.files import INFO
from prompt_bandits.datasets.places import whole_folder
from prompt_bandits.datasets.stored import StoredDataset
from prompt_bandits.exchange.hub_card import dataset_card
from prompt_bandits.exchange.logged import LoggedData, require

_OURS = ("meta/", "tables/", "data/", "oracle/")
_CARD = "README.md"


def push_to_hub(
    data: LoggedData | str | Path,
    repo_id: str,
    *,
    license: str | None = None,
    card: str | None = None,
    private: bool = True,
    revision: str | None = None,
    message: str = "A logged prompt bandit",
    api: Any = None,
) -> Any:
    """Puts a dataset into a repository of the Hub, in one commit, with a dataset card.

    What goes there are the files that the folder vouches for: no lock, no open shard, no rounds that wait for their
    reward. Shards of an earlier push that the dataset no longer has are removed.

    Args:
        data: rounds, or the folder of a dataset.
        repo_id: such as "me/prompts"; made if need be.
        license: a name of the Hub's, such as "cc-by-4.0".
        card: the README; None: the one of `dataset_card`. It replaces what is there.
        private: of a new repository; logs hold what people asked.
        revision: a branch, made if need be; None: the main one.
        message: of the commit.
        api: a `huggingface_hub.HfApi` with a token or an endpoint of its own; None: the one of the user's login.

    Returns:
        What `HfApi.create_commit` says of the commit.

    Raises:
        ImportError: huggingface_hub is not installed.
        ValueError: a writer is at work in the folder, or a file of it is damaged.
        huggingface_hub.errors.HfHubHTTPError: the Hub refuses.
    """
    hub = _hub()
    api = api or hub.HfApi()
    with _folder(data) as folder:
        stored = StoredDataset.open(folder)
        if stored.open_rows is not None:
            n_open = len(stored) - stored.manifest.n_rounds
            raise ValueError(
                f"{folder}: expected a folder that is closed, {n_open:,} rows are in an open shard; close its writer, "
                "or recover it"
            )
        stored.verify()
        names = [INFO, *sorted(stored.manifest.checksums())]
        readme = dataset_card(stored, repo_id, license=license) if card is None else card
        api.create_repo(repo_id, repo_type="dataset", private=private, exist_ok=True)
        if revision is not None:
            api.create_branch(repo_id, branch=revision, repo_type="dataset", exist_ok=True)
        there = api.list_repo_files(repo_id, repo_type="dataset", revision=revision)
        stale = [name for name in there if name.startswith(_OURS) and name not in names]
        operations = [
            hub.CommitOperationAdd(_CARD, readme.encode()),
            *(hub.CommitOperationAdd(name, str(folder / name)) for name in names),
            *(hub.CommitOperationDelete(name) for name in stale),
        ]
        return api.create_commit(repo_id, operations, commit_message=message, repo_type="dataset", revision=revision)


def pull_from_hub(
    repo_id: str, path: str | Path, *, revision: str | None = None, overwrite: bool = False, api: Any = None
) -> StoredDataset:
    """Fetches a dataset that `push_to_hub` put into a repository, whole or not at all, and checks its checksums.

    Args:
        repo_id: such as "me/prompts".
        path: a new folder.
        revision: a branch, tag or commit; a commit's hash gives the same rows for good. None: the main branch.
        overwrite: replace a dataset at `path`.
        api: as in `push_to_hub`.

    Raises:
        ImportError: huggingface_hub is not installed.
        FileExistsError: `path` is taken.
        ValueError: the repository holds no dataset of ours, or a damaged one.
        huggingface_hub.errors.HfHubHTTPError: no such repository or revision, or no access to it.
    """
    hub = _hub()
    api = api or hub.HfApi()
    with whole_folder(Path(path), overwrite=overwrite) as draft:
        api.snapshot_download(
            repo_id,
            repo_type="dataset",
            revision=revision,
            local_dir=draft,
            allow_patterns=[_CARD, *(f"{name}*" for name in _OURS)],
        )
        shutil.rmtree(draft / ".cache", ignore_errors=True)  # what the client notes there
        if not (draft / INFO).is_file():
            raise ValueError(f"{repo_id}: expected a dataset that push_to_hub wrote, with {INFO}, found none")
        StoredDataset.open(draft).verify()
    return StoredDataset.open(path)


def _hub() -> Any:
    return require("huggingface_hub", "hub", "the Hugging Face Hub")


@contextmanager
def _folder(data: LoggedData | str | Path) -> Iterator[Path]:
    """The folder of a dataset; of rounds in memory, one for the time being."""
    if not isinstance(data, BanditDataset):
        yield data.path if isinstance(data, StoredDataset) else Path(data)
        return
    with TemporaryDirectory() as place:
        yield data.save(Path(place) / "dataset")
