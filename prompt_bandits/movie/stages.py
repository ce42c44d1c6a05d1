"""Folders that are there whole or not at all: the stages of a build, and what comes of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

Say = Callable[[str], None]


def make_stage(name: str, folder: Path, parts: Path, make: Callable[[Path], None], say: Say) -> None:
    """Makes `folder / name`, unless it is there, by `make` of a folder in `parts`."""
    made = folder / name
    if made.exists():
        say(f"{name}: done before")
        return
    say(f"{name} …")
    part = parts / f"{made.name}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    make(part)
    os.replace(part, made)


def replace_folder(new: Path, out: Path) -> None:
    """Puts a finished folder in its place; an old one there goes last."""
    old = out.parent / f".{out.name}.old"
    shutil.rmtree(old, ignore_errors=True)
    if out.exists():
        os.replace(out, old)
    os.replace(new, out)
    shutil.rmtree(old, ignore_errors=True)
