"""Where rows come from, and whether two origins are one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prompt_bandits import saving
from prompt_bandits.datasets.manifest import Manifest
from prompt_bandits.protocols import Policy
from prompt_bandits.specs import part_fingerprint


def refuse_other_environment(
    folder: Path, manifest: Manifest, spec: Mapping[str, Any] | None, numpy: str | None
) -> None:
    """Raises a ValueError unless rounds of the environment `spec`, drawn by this version of NumPy, may join those in
    a folder.
    """
    found, given = manifest.env_spec, as_json(spec)
    if given != found:
        a, b = found or {}, given or {}
        name = next((name for name in {**a, **b} if a.get(name) != b.get(name)), "spec")
        raise ValueError(
            f"environment: expected the one of {folder}, whose {name} is {a.get(name)!r}, got {b.get(name)!r}"
        )
    then = manifest.versions.get("numpy")
    if spec is not None and numpy != then:
        raise ValueError(
            f"numpy: expected version {then} as in {folder}, got {numpy}; NumPy promises no stable random streams"
        )


def as_json(spec: Mapping[str, Any] | None) -> Any:
    """A spec as it comes back from a file."""
    return None if spec is None else json.loads(json.dumps(dict(spec)))


def policy_fingerprint(policy: Policy) -> str:
    """What tells policies apart: their saved content, or what can be seen of it."""
    try:
        return saving.fingerprint(policy)
    except (TypeError, ValueError):
        return part_fingerprint(policy)
