"""Dataclasses in YAML and JSON files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from .config_values import check_names, from_plain, given_fields, pairs, to_plain

__all__ = [
    "check_names",
    "from_plain",
    "given_fields",
    "pairs",
    "read_config",
    "read_values",
    "to_plain",
    "write_config",
    "write_values",
]

_T = TypeVar("_T")
_YAML = (".yaml", ".yml")


def read_values(file: str | Path) -> dict[str, Any]:
    """What is in a YAML or JSON file, by its ending.

    Raises:
        FileNotFoundError: no such file.
        ValueError: another ending, not YAML or JSON, or no mapping.
    """
    import yaml

    path = Path(file)
    text = path.read_text(encoding="utf-8")
    try:
        values = yaml.safe_load(text) if _is_yaml(path) else json.loads(text)
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"{path}: expected {'YAML' if _is_yaml(path) else 'JSON'}: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path}: expected values by the names of fields, got {values!r}")
    return values


def write_values(values: Mapping[str, Any], file: str | Path) -> None:
    """Writes plain values to a YAML or JSON file, by its ending; the file is whole or as it was before."""
    import yaml

    from prompt_bandits.datasets.files import whole_file

    path, plain = Path(file), to_plain(values)
    text = (
        yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
        if _is_yaml(path)
        else json.dumps(plain, indent=1, ensure_ascii=False) + "\n"
    )
    with whole_file(path) as stream:
        stream.write(text.encode())


def read_config(cls: type[_T], file: str | Path) -> _T:
    """The dataclass in a file. Raises as `read_values` and `from_plain`; errors name the file."""
    values = read_values(file)
    try:
        return from_plain(cls, values)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


def write_config(config: Any, file: str | Path) -> None:
    """Writes a dataclass to a file that `read_config` reads."""
    write_values(to_plain(config), file)


def _is_yaml(path: Path) -> bool:
    if path.suffix.lower() not in (*_YAML, ".json"):
        raise ValueError(f"{path}: expected a file that ends with .yaml, .yml or .json")
    return path.suffix.lower() in _YAML
