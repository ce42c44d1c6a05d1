"""`meta/info.json`: what a dataset's folder holds, with a checksum of every file and of itself."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any

from prompt_bandits.datasets.files import INFO, whole_file
from prompt_bandits.datasets.keys import KeySet
from prompt_bandits.datasets.kinds import Kind

SCHEMA_VERSION = 2
ACTIONS = "tables/actions.parquet"


@cache
def package_versions() -> Mapping[str, str]:
    """The versions in this process of what the rows depend on."""
    return {name: version(name) for name in ("prompt_bandits", "numpy", "gymnasium", "pyarrow")}


def policy_folder(number: int) -> str:
    """Where the files of a logging policy are."""
    return f"meta/policies/{number}"


@dataclass(frozen=True)
class Shard:
    """A sealed part of the rows."""

    groups: tuple[int, ...]  # rows of each row group
    files: Mapping[str, str]  # path in the folder: SHA-256. The rows, and their oracle columns if there are such

    @property
    def rows(self) -> int:
        return sum(self.groups)


@dataclass(frozen=True)
class LoggingPolicy:
    """What a logging policy is known by, and whether its files are there."""

    fingerprint: str
    saved: bool


@dataclass(frozen=True)
class Manifest:
    """A dataset's description. `load` and `store` are the only way to the file; what is loaded is checked."""

    n_actions: int
    id: str = field(default_factory=lambda: secrets.token_hex(8))  # what its streams call it
    columns: Mapping[str, Kind] = field(default_factory=dict)
    keys: KeySet | None = field(default_factory=KeySet)  # of the rows in sealed shards; None: too many runs
    actions: str = ACTIONS  # the file of the prompts
    env_spec: Mapping[str, Any] | None = None
    versions: Mapping[str, str] = field(default_factory=package_versions)
    policies: tuple[LoggingPolicy, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)  # tables and policies: SHA-256
    shards: tuple[Shard, ...] = ()
    next_number: int = 0  # of the shard that comes next; never used twice
    seeds: tuple[int, ...] = ()
    schema_version: int = SCHEMA_VERSION  # of the file that it was read from

    @property
    def n_rounds(self) -> int:
        """Rows in sealed shards."""
        return sum(shard.rows for shard in self.shards)

    def require_current(self, folder: Path) -> None:
        """Raises a ValueError if the folder is of an older schema version."""
        if self.schema_version != SCHEMA_VERSION:
            raise ValueError(
                f"{folder}: expected schema version {SCHEMA_VERSION} to go on with, got {self.schema_version}; "
                "prompt_bandits.datasets.migrate(path) writes it anew"
            )

    def checksums(self) -> dict[str, str]:
        """Every file that it vouches for."""
        return dict(self.files) | {name: sha for shard in self.shards for name, sha in shard.files.items()}

    def with_shards(self, shards: Iterable[Shard], keys: KeySet) -> Manifest:
        """With more shards, whose rows have these keys."""
        known = deepcopy(self.keys)
        if known is not None:
            known.update(keys)
        new = tuple(shards)
        return replace(
            self,
            shards=(*self.shards, *new),
            next_number=self.next_number + len(new),
            seeds=tuple(sorted({*self.seeds, *keys.seeds})),
            keys=known,
        )

    def store(self, folder: Path) -> None:
        """Writes the file whole, or leaves it as it was."""
        values: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "id": self.id,
            "n_rounds": self.n_rounds,
            "n_actions": self.n_actions,
            "propensity": "known" if "propensity" in self.columns else "unknown",
            "columns": {name: str(kind) for name, kind in self.columns.items()},
            "seeds": list(self.seeds),
            "keys": None if self.keys is None else self.keys.to_json(),
            "actions": self.actions,
            "policies": [vars(policy) for policy in self.policies],
            "env_spec": self.env_spec,
            "versions": dict(self.versions),
            "files": dict(self.files),
            "next_number": self.next_number,
            "shards": [{"groups": list(shard.groups), "files": dict(shard.files)} for shard in self.shards],
        }
        with whole_file(folder / INFO) as stream:
            stream.write(json.dumps(values | {"checksum": _checksum(values)}, indent=1).encode())

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Reads a folder's description, of this schema version or an older one.

        Raises:
            FileNotFoundError: no dataset there.
            ValueError: damaged, of a newer version, or naming a file outside the folder.
        """
        file = folder / INFO
        if not file.is_file():
            raise FileNotFoundError(f"{folder}: expected a dataset folder with {INFO}, found none")
        try:
            values = json.loads(file.read_bytes())
            found = values["schema_version"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"{file}: damaged: {error!r}") from error
        if found not in (1, SCHEMA_VERSION):
            raise ValueError(f"{folder}: expected schema version 1 … {SCHEMA_VERSION}, got {found!r}")
        if found == SCHEMA_VERSION and values.pop("checksum", None) != _checksum(values):
            raise ValueError(f"{file}: damaged or edited by hand (it differs from its own checksum)")
        try:
            manifest = _of_version_1(folder, values) if found == 1 else cls._of(values)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{file}: damaged: {error!r}") from error
        _refuse_names(manifest, folder)
        return manifest

    @classmethod
    def _of(cls, values: dict[str, Any]) -> Manifest:
        return cls(
            n_actions=int(values["n_actions"]),
            id=str(values["id"]),
            columns={name: Kind.parse(kind) for name, kind in values["columns"].items()},
            keys=None if values["keys"] is None else KeySet.from_json(values["keys"]),
            actions=str(values["actions"]),
            env_spec=values["env_spec"],
            versions=dict(values["versions"]),
            policies=tuple(LoggingPolicy(str(p["fingerprint"]), bool(p["saved"])) for p in values["policies"]),
            files=dict(values["files"]),
            shards=tuple(Shard(tuple(map(int, shard["groups"])), dict(shard["files"])) for shard in values["shards"]),
            next_number=int(values["next_number"]),
            seeds=tuple(int(seed) for seed in values["seeds"]),
        )


def _of_version_1(folder: Path, values: dict[str, Any]) -> Manifest:
    from prompt_bandits.datasets.version_1 import manifest_of

    return manifest_of(folder, values)


def _checksum(values: Mapping[str, Any]) -> str:
    return sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _refuse_names(manifest: Manifest, folder: Path) -> None:
    """Refuses a description that reaches out of its folder, or names a shard otherwise than shards are."""
    for name in (*manifest.checksums(), manifest.actions):
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not (folder / name).resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"{folder / INFO}: names a file outside its folder: {name}")
    for name in (name for shard in manifest.shards for name in shard.files):
        if not re.fullmatch(r"(data|oracle)/part-\d+\.parquet", name):
            raise ValueError(
                f"{folder / INFO}: damaged: expected names of shards such as data/part-00000.parquet, got {name}"
            )
