"""Prompts that come and go: a table that only grows, with the version that added and that retired each prompt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from prompt_bandits.datasets.columns import EXTRAS, Columns, to_table
from prompt_bandits.datasets.shards import read_parquet, write_parquet
from prompt_bandits.types import BoolArray, IntArray, Prompts

_NEVER = np.iinfo(np.int64).max
VERSION = f"{EXTRAS}prompts_version"
"""The column that names the version of the table that a row was chosen from."""


@dataclass(frozen=True, eq=False)
class PromptTable:
    """All prompts that there ever were. An action stays the same row for good."""

    prompts: Prompts
    since: IntArray  # (|A|,) the version that added it
    until: IntArray  # (|A|,) the version that retired it; the largest integer: none

    @classmethod
    def first(cls, prompts: Prompts) -> PromptTable:
        """Version 0: these prompts."""
        return cls(prompts, np.zeros(len(prompts), np.int64), np.full(len(prompts), _NEVER))

    @property
    def version(self) -> int:
        """0 at first, one more at every change."""
        retired = self.until[self.until < _NEVER]
        return int(max(self.since.max(), retired.max(initial=0)))

    def action_mask(self, version: int | IntArray) -> BoolArray:
        """(|A|,), or (n, |A|) for versions (n,): which prompts could be chosen."""
        at = np.asarray(version)[..., None]
        return np.asarray((self.since <= at) & (at < self.until))

    def add(self, new: Prompts) -> PromptTable:
        """The next version, with more prompts.

        Raises:
            ValueError: features of another width, texts where there are none or the reverse, or an id that is taken.
        """
        old = self.prompts
        if new.embedding.shape[1] != old.embedding.shape[1]:
            raise ValueError(
                f"prompts.embedding: expected width {old.embedding.shape[1]} as before, got {new.embedding.shape[1]}"
            )
        if (new.text is None) != (old.text is None):
            raise ValueError(f"prompts.text: expected {'none' if old.text is None else 'texts'} as before")
        taken = np.intersect1d(old.prompt_id, new.prompt_id)
        if len(taken):
            raise ValueError(f"prompt_id: {taken[0]} is taken; expected ids of their own for new prompts")
        text = None if old.text is None or new.text is None else np.concatenate([old.text, new.text])
        joined = Prompts(
            np.concatenate([old.prompt_id, new.prompt_id]), np.concatenate([old.embedding, new.embedding]), text
        )
        n = len(new)
        return PromptTable(
            joined,
            np.concatenate([self.since, np.full(n, self.version + 1)]),
            np.concatenate([self.until, np.full(n, _NEVER)]),
        )

    def retire(self, prompt_id: IntArray) -> PromptTable:
        """The next version, without these prompts.

        Raises:
            ValueError: an id that is not there or retired already, or no prompt left.
        """
        gone = np.isin(self.prompts.prompt_id, prompt_id)
        active = self.action_mask(self.version)
        absent = np.setdiff1d(prompt_id, self.prompts.prompt_id[gone & active])
        if len(absent):
            raise ValueError(f"prompt_id: {absent[0]} is no prompt that can be chosen now")
        if not (active & ~gone).any():
            raise ValueError("prompt_id: expected at least one prompt to stay, all would be retired")
        return replace(self, until=np.where(gone, self.version + 1, self.until))

    def offers(self, prompts: Prompts) -> bool:
        """Whether these are the prompts of version 0, or those that can be chosen now."""
        return any(_rows(self.prompts, self.action_mask(version)).same_as(prompts) for version in (0, self.version))

    def same_as(self, other: PromptTable) -> bool:
        """Whether both hold the same prompts with the same history."""
        return (
            self.prompts.same_as(other.prompts)
            and np.array_equal(self.since, other.since)
            and np.array_equal(self.until, other.until)
        )

    def write(self, file: Path) -> None:
        """To Parquet; the versions are left out while there is only one."""
        columns: Columns = {"prompt_id": self.prompts.prompt_id, "embedding": self.prompts.embedding}
        if self.prompts.text is not None:
            columns["text"] = self.prompts.text
        if self.version:
            columns |= {"since": self.since, "until": self.until}
        write_parquet(to_table(columns), file)

    @classmethod
    def read(cls, file: Path) -> PromptTable:
        """What `write` wrote.

        Raises:
            ValueError: no readable table of prompts.
        """
        columns = read_parquet(file)
        if not {"prompt_id", "embedding"} <= set(columns):
            raise ValueError(f"{file}: expected columns prompt_id and embedding, got {', '.join(columns)}")
        prompts = Prompts(columns["prompt_id"], columns["embedding"], columns.get("text"))
        if "since" not in columns:
            return cls.first(prompts)
        return cls(prompts, columns["since"], columns["until"])

    def with_action_mask(self, columns: Columns) -> Columns:
        """With an `action_mask` of the prompts that each row could choose from, where prompts came or went."""
        if not self.version or VERSION not in columns:
            return columns
        mask = self.action_mask(columns[VERSION])
        return columns | {"action_mask": mask & columns["action_mask"] if "action_mask" in columns else mask}


def _rows(prompts: Prompts, index: BoolArray) -> Prompts:
    text = None if prompts.text is None else prompts.text[index]
    return Prompts(prompts.prompt_id[index], prompts.embedding[index], text)
