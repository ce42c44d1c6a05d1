"""What stages leave in the run folder: a folder each, named after all that it depends on, there whole or not at all."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, TypeVar

from .measuring import Measured, measured

_T = TypeVar("_T")
_ABOUT = "artefact.json"
_DRAFT = ".draft-"
WORLDS = "worlds"


@cache
def versions() -> dict[str, str]:
    """Of the packages that numbers depend on, and of Python."""
    packages = {name: version(name) for name in ("prompt_bandits", "torch", "numpy")}
    return {**packages, "python": platform.python_version()}


@dataclass(frozen=True)
class Artefact:
    """Something that a stage makes.

    Args:
        world: whose it is, as a folder's name.
        stage: that makes it.
        label: to know it by; all else that tells it from others is in the recipe.
        recipe: all that it depends on beside other artefacts, as JSON values.
        needs: the artefacts that it is made from, by what its making calls them.
        arguments: what its stage is told beside the experiment.
    """

    world: str
    stage: str
    label: str
    recipe: Mapping[str, Any]
    needs: Mapping[str, Artefact] = field(default_factory=dict)
    arguments: tuple[Any, ...] = ()

    @cached_property
    def name(self) -> str:
        """Its folder within that of the run: equal for equal recipes, in any process."""
        content = json.dumps([self.stage, self.recipe, self.given()], sort_keys=True).encode()
        label = re.sub(r"[^\w.-]+", "_", self.label).strip("_")[:60]
        return f"{WORLDS}/{self.world}/{self.stage}/{label}-{sha256(content).hexdigest()[:10]}"

    def given(self) -> dict[str, str]:
        """The names of what it is made from."""
        return {argument: need.name for argument, need in self.needs.items()}

    def path(self, folder: Path) -> Path:
        return folder / self.name

    def exists(self, folder: Path) -> bool:
        return (self.path(folder) / _ABOUT).is_file()

    def cost(self, folder: Path) -> Measured:
        """What making it took."""
        about = json.loads((self.path(folder) / _ABOUT).read_text())
        return Measured(about["wall_s"], about["peak_mb"])


def ensure(artefact: Artefact, folder: Path, make: Callable[[Path], object], read: Callable[[Path], _T]) -> _T:
    """Reads the artefact, after making it where it is missing.

    Raises:
        ValueError: what is there cannot be read.
    """
    path = artefact.path(folder)
    if not artefact.exists(folder):
        with _whole(path) as draft:
            with measured() as cost:
                make(draft)
            about = {"stage": artefact.stage, "recipe": artefact.recipe, "given": artefact.given()}
            (draft / _ABOUT).write_text(json.dumps({**about, **cost.to_json(), "versions": versions()}, indent=1))
    try:
        return read(path)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{path}: damaged ({error}); delete the folder to have it made again") from error


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A new folder to write to, that becomes `path` at the end, unless another process was sooner."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(mkdtemp(prefix=f"{_DRAFT}{os.getpid()}-", dir=path.parent))
    try:
        yield draft
        draft.chmod(0o755)
        if path.exists() and not (path / _ABOUT).is_file():  # what is left of a former one
            shutil.rmtree(path)
        try:
            os.replace(draft, path)
        except OSError:
            if not (path / _ABOUT).is_file():
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def forget(folder: Path, names: Iterable[str]) -> set[str]:
    """Deletes artefacts and all that was made from them; which there were."""
    given = {
        about.parent.relative_to(folder).as_posix(): set(json.loads(about.read_text())["given"].values())
        for about in folder.glob(f"{WORLDS}/*/*/*/{_ABOUT}")
    }
    gone = given.keys() & set(names)
    while further := {name for name, needs in given.items() if needs & gone} - gone:
        gone |= further
    for name in gone:
        (folder / name / _ABOUT).unlink()
        shutil.rmtree(folder / name)
    return gone


def sweep_drafts(folder: Path) -> None:
    """Deletes what processes that are no more did not finish."""
    for draft in folder.glob(f"{WORLDS}/*/*/{_DRAFT}*"):
        process = draft.name.removeprefix(_DRAFT).partition("-")[0]
        if not (process.isdecimal() and _alive(int(process))):
            shutil.rmtree(draft, ignore_errors=True)


def _alive(process: int) -> bool:
    if os.name != "posix":
        return False  # nobody can be asked
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's
    return True
