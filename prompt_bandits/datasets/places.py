"""Where a dataset's folder may go, and how it gets there whole."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from prompt_bandits.datasets.files import INFO
from prompt_bandits.datasets.locking import LOCK, FolderLock

WORKERS = "workers"
"""Where in a folder its workers' own folders are, until they are joined."""


def check_free(path: Path, *, overwrite: bool = False) -> None:
    """Refuses a path that holds something else than a dataset to be replaced.

    Raises:
        FileExistsError: something is there.
    """
    found = {file.name for file in path.iterdir()} if path.is_dir() else {path.name} if path.exists() else set()
    found -= {LOCK}
    if not found or (found <= {"tables", "meta"} and not (path / INFO).is_file()):  # remains of a birth cut short
        return
    if not overwrite:
        raise FileExistsError(
            f"{path}: expected no file or an empty folder, found {', '.join(sorted(found)[:3])} (to replace a dataset, "
            "save and collect take overwrite=True; to go on with one, collect and the recording wrappers take "
            "resume=True)"
        )
    if not (path / INFO).is_file():
        raise FileExistsError(f"{path}: refusing to overwrite what is not a dataset (no {INFO})")


@contextmanager
def whole_folder(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A new folder beside `path` to write to, moved there at the end; on an error nothing is changed.

    Raises:
        FileExistsError: `path` is taken.
        FolderLocked: a writer is at work in what would be replaced.
    """
    check_free(path, overwrite=overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield draft
        (draft / LOCK).unlink(missing_ok=True)  # nobody else knows of the draft
        draft.chmod(0o755)
        _replace(draft, path)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _replace(draft: Path, path: Path) -> None:
    """Moves `draft` to `path`; what was there is deleted only once that has worked, else put back."""
    if not path.exists():
        draft.rename(path)
        return
    lock = FolderLock(path)
    former = draft.with_name(f"{draft.name}.former")
    try:
        path.rename(former)
        try:
            draft.rename(path)
        except BaseException:
            former.rename(path)
            raise
    finally:
        lock.release()
    shutil.rmtree(former)
