"""A command's arguments: from the command line, upon those in a config file."""

from __future__ import annotations

import contextlib
import io
import typing
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from ..configs import given_fields, read_values, to_plain, write_values
from .common import CONFIG, CommonArgs

_COMMAND = "command"
_OF_THE_CALL = frozenset(f.name for f in fields(CommonArgs))


def parse(args: Any, arguments: Sequence[str], command: str, prog: str, about: str | None) -> Any:
    """An object of the dataclass `args`.

    Raises:
        SystemExit: help was asked for, and given.
        WrongArguments: what the parser refuses.
        ValueError, OSError: a config file that cannot be read, or is not one of this command.
    """
    import tyro

    file = _config_file(arguments)
    config: tuple[Any, ...] = (tyro.conf.FlagCreatePairsOff, tyro.conf.DisallowNone)
    options: dict[str, Any] = {}
    if file is not None:  # with --no-… of every flag, since the file may say yes
        config, options = (tyro.conf.DisallowNone,), {"default": _defaults(args, file, command, tyro.MISSING)}
    with _one_line_errors():
        return tyro.cli(args, prog=prog, args=_unnamed(args, arguments), description=about, config=config, **options)


def _unnamed(args: Any, arguments: Sequence[str]) -> list[str]:
    """Without the names of what has a place of its own: `inspect --data log` is `inspect log`."""
    from tyro.conf import Positional

    hints = typing.get_type_hints(args, include_extras=True)
    placed = {f"--{name}" for name, hint in hints.items() if Positional in getattr(hint, "__metadata__", ())}
    return [one for one in arguments if one not in placed]


class WrongArguments(ValueError):
    """What the parser refuses, in a line."""


def _config_file(arguments: Sequence[str]) -> Path | None:
    for i, argument in enumerate(arguments):
        if argument == "--config":
            return Path(arguments[i + 1]) if i + 1 < len(arguments) else None
        if argument.startswith("--config="):
            return Path(argument.partition("=")[2])
    return None


def _defaults(args: Any, file: Path, command: str, missing: Any) -> Any:
    """The arguments in the file; those that are needed and not there are `missing`."""
    values = read_values(file)
    own = values.pop(_COMMAND, command)
    if own != command:
        raise ValueError(f"{file}: command: expected {command}, got {own!r}")
    try:
        given = given_fields(args, values, _OF_THE_CALL)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    needed = [f.name for f in fields(args) if f.default is MISSING and f.default_factory is MISSING]
    return args(**{name: missing for name in needed if name not in given}, **given)


def store_arguments(args: Any, command: str, folder: Path, **changed: Any) -> Path:
    """Writes `config.yaml` to a run's folder, which `--config` reads; `changed` are values that differ."""
    values = {name: value for name, value in to_plain(args).items() if name not in _OF_THE_CALL}
    write_values({_COMMAND: command, **values, **changed}, folder / CONFIG)
    return folder / CONFIG


@contextlib.contextmanager
def _one_line_errors() -> Iterator[None]:
    """What the parser frames in a box becomes one line."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            yield
    except SystemExit as end:
        if not end.code:
            raise
        lines = [line.strip("│ ") for line in said.getvalue().splitlines() if line.startswith("│")]
        text = " ".join(line for line in lines if line.strip("─"))
        raise WrongArguments(text.partition(" For full helptext")[0] or said.getvalue()) from None
