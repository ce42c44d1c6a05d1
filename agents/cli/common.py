"""What all commands share: options, and what they answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import tyro

DataArgument: TypeAlias = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]
CONFIG = "config.yaml"
"""In a run's folder: what makes it again, for `--config`."""


@dataclass(frozen=True, kw_only=True)
class CommonArgs:
    """Options of every command; they are of this call, not of the run, and in no config file."""

    config: Path | None = None
    """take options from this YAML or JSON file, such as a run's config.yaml; those given here win"""
    json: bool = False
    """print one JSON object in place of text; all else goes to stderr"""
    debug: bool = False
    """on an error, show where it came from"""


@dataclass(frozen=True)
class Answer:
    """What a command has to say in the end."""

    text: str  # for people
    values: Mapping[str, Any]  # for machines: the JSON object
    status: int = 0
    errors: tuple[str, ...] = field(default=())  # lines for stderr


class Stopped(KeyboardInterrupt):
    """Ctrl-C, with what is there now and how to go on."""


def taken(out: Path, *ways: str) -> FileExistsError:
    """Where something is at --out already; the options that are `ways` on."""
    return FileExistsError(f"out: something is at {out} already; {'; '.join(ways)}")


RESUME, REPLACE = "--resume goes on with a dataset", "--overwrite replaces one"
