"""What a folder says of its rows: prompts, columns, environment, logging policies. In memory and on disk at once."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from prompt_bandits import saving
from prompt_bandits.datasets.columns import rows_of
from prompt_bandits.datasets.dataset import BanditDataset
from prompt_bandits.datasets.files import digest
from prompt_bandits.datasets.kinds import Kind
from prompt_bandits.datasets.manifest import ACTIONS, LoggingPolicy, Manifest, package_versions, policy_folder
from prompt_bandits.datasets.origin import as_json, policy_fingerprint, refuse_other_environment
from prompt_bandits.datasets.prompt_table import PromptTable
from prompt_bandits.datasets.stored import StoredDataset
from prompt_bandits.protocols import Policy
from prompt_bandits.types import IntArray, Prompts


class Description:
    """The manifest of a folder that is being written, and what changes it.

    Args:
        folder: of the dataset.
        manifest: as it is on disk.
        table: the prompts, likewise.
    """

    def __init__(self, folder: Path, manifest: Manifest, table: PromptTable) -> None:
        self.folder, self.manifest, self.table = folder, manifest, table
        self._numbers: list[tuple[Policy, int]] = []  # of policies that were seen
        self._checked: tuple[Any, Any] = (None, None)  # the last origin that was found to fit

    @classmethod
    def begin(
        cls,
        folder: Path,
        table: PromptTable,
        spec: Mapping[str, Any] | None,
        versions: Mapping[str, str] | None = None,
    ) -> Description:
        """Of a new folder, without columns yet; of rows that were drawn with these versions of packages, or now."""
        for remains in ("tables", "meta"):  # of a writer that died before its first row
            shutil.rmtree(folder / remains, ignore_errors=True)
        table.write(folder / ACTIONS)
        manifest = Manifest(
            n_actions=len(table.prompts),
            env_spec=as_json(spec),
            versions=package_versions() if versions is None else versions,
            files={ACTIONS: digest(folder / ACTIONS)},
        )
        manifest.store(folder)
        return cls(folder, manifest, table)

    def no_rows(self) -> BanditDataset:
        """A dataset without rows, of the columns that rows have here."""
        return rows_of({name: kind.empty() for name, kind in self.manifest.columns.items()}, self.table.prompts)

    def store(self, manifest: Manifest) -> None:
        """Replaces the manifest."""
        manifest.store(self.folder)
        self.manifest = manifest

    def settle(self, kinds: Mapping[str, Kind]) -> None:
        """What columns rows have, while there is none."""
        if kinds != self.manifest.columns:
            self.store(replace(self.manifest, columns=dict(kinds)))

    def change_prompts(self, table: PromptTable) -> None:
        """Replaces the table of prompts by its next version.

        Raises:
            OSError: it could not be written; the table is as it was.
        """
        former, name = self.manifest, f"tables/actions-{table.version:05d}.parquet"
        assert name != former.actions
        table.write(self.folder / name)
        files = {**former.files, name: digest(self.folder / name)}
        del files[former.actions]
        self.store(replace(former, actions=name, n_actions=len(table.prompts), files=files))
        (self.folder / former.actions).unlink(missing_ok=True)
        self.table, self._checked = table, (None, None)

    def check_source(self, prompts: Prompts, spec: Mapping[str, Any] | None) -> None:
        """Raises a ValueError unless rounds of this origin, drawn in this process, may join the others."""
        if self._checked[0] is prompts and self._checked[1] is spec:
            return
        if not prompts.same_as(self.table.prompts):
            raise ValueError(f"prompts: expected the same table as in {self.folder}, got another")
        refuse_other_environment(self.folder, self.manifest, spec, package_versions()["numpy"])
        self._checked = (prompts, spec)

    def check_policy(self, policy: Policy) -> None:
        """Raises a ValueError unless this is the logging policy, if there is one."""
        known = [known.fingerprint for known in self.manifest.policies]
        if known and known != [policy_fingerprint(policy)]:
            raise ValueError(f"policy: expected the logging policy of {self.folder}, got another")

    def check_folder(self, other: StoredDataset) -> None:
        """Raises a ValueError unless the rows of another folder may join the others."""
        if not other.table.same_as(self.table):
            raise ValueError(f"prompts: expected the same table as in {self.folder}, {other.path} has another")
        refuse_other_environment(self.folder, self.manifest, other.spec, other.manifest.versions.get("numpy"))

    def policy_number(self, policy: Policy) -> int:
        """The number of a logging policy in this folder, where it is saved at its first mention."""
        seen = next((number for known, number in self._numbers if known is policy), None)
        if seen is not None:
            return seen
        fingerprint = policy_fingerprint(policy)
        found = self._number_of(fingerprint)
        number = self._add(policy, fingerprint) if found is None else found
        self._numbers.append((policy, number))
        return number

    def policy_numbers(self, other: StoredDataset) -> IntArray:
        """The numbers here of the logging policies of another folder."""
        numbers = []
        for k, policy in enumerate(other.manifest.policies):
            number = self._number_of(policy.fingerprint)
            if number is None and policy.saved:
                number = self.policy_number(saving.load(other.path / policy_folder(k)))
            elif number is None:
                number = len(self.manifest.policies)
                self.store(replace(self.manifest, policies=(*self.manifest.policies, policy)))
            numbers.append(number)
        return np.array(numbers, np.int64)

    def _number_of(self, fingerprint: str) -> int | None:
        known = [policy.fingerprint for policy in self.manifest.policies]
        return known.index(fingerprint) if fingerprint in known else None

    def _add(self, policy: Policy, fingerprint: str) -> int:
        number, files = len(self.manifest.policies), dict(self.manifest.files)
        name = policy_folder(number)
        try:
            folder, saved = saving.save(policy, self.folder / name), True
            files |= {f"{name}/{file.name}": digest(file) for file in sorted(folder.iterdir())}
        except (TypeError, ValueError) as error:
            shutil.rmtree(self.folder / name, ignore_errors=True)
            warnings.warn(
                f"the logging policy is not saved with the dataset, its propensities are: {error}", stacklevel=6
            )
            saved = False
        policies = (*self.manifest.policies, LoggingPolicy(fingerprint, saved))
        self.store(replace(self.manifest, policies=policies, files=files))
        return number
