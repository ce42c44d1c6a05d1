"""Logged rounds as columns in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from prompt_bandits.acting import dist_chunks
from prompt_bandits.datasets.carrying import CarriesPolicies
from prompt_bandits.datasets.origin import policy_fingerprint
from prompt_bandits.datasets.summary import Summary
from prompt_bandits.protocols import Policy
from prompt_bandits.rounds import named_generator
from prompt_bandits.types import BoolArray, FloatArray, IntArray, Observation, Output, Prompts, RowIndex, text_array

if TYPE_CHECKING:
    from prompt_bandits.datasets.stored import StoredDataset
    from prompt_bandits.logs.schema import LogColumns

OWN_COLUMNS = ("seed", "round_id", "policy_id", "action", "propensity", "reward")
"""The row fields of a dataset beside those of its observations and outputs."""
_SCALARS = (*OWN_COLUMNS, "user_id", "query_id", "query_text")
_VECTORS = ("context", "query", "output.embedding")


@dataclass(frozen=True, eq=False)
class BanditDataset(CarriesPolicies):
    """Rounds that a logging policy played: what was seen, done, written and earned.

    Raises:
        ValueError: columns that differ in length, an action that is unknown or masked, a reward that is not finite,
            a propensity outside (0, 1].
    """

    obs: Observation  # n rounds
    action: IntArray  # (n,) rows of obs.prompts
    reward: FloatArray  # (n,)
    propensity: FloatArray | None = None  # (n,) π0(a_i|x_i), in (0, 1]; None: unknown
    output: Output | None = None  # n rows
    seed: IntArray = field(default_factory=lambda: np.empty(0, np.int64))  # (n,) with round_id the key of a row
    round_id: IntArray = field(default_factory=lambda: np.empty(0, np.int64))  # (n,)
    policy_id: IntArray | None = None  # (n,) index into policies; None: the first
    policies: tuple[Policy, ...] = ()  # logging policies, where known
    extras: Mapping[str, NDArray[Any]] = field(default_factory=dict)  # name: (n, ...) group, session, time, ...
    oracle: Mapping[str, NDArray[Any]] = field(default_factory=dict)  # name: (n, ...) for judging, never for learning
    spec: Mapping[str, Any] | None = None  # the environment's spec as JSON values

    def __post_init__(self) -> None:
        n = len(self.action)
        if len(self.seed) == 0 and len(self.round_id) == 0 and n > 0:
            object.__setattr__(self, "seed", np.zeros(n, np.int64))
            object.__setattr__(self, "round_id", np.arange(n, dtype=np.int64))
        self.check()

    def check(self) -> None:
        """Refuses columns that cannot be learned from; a new dataset is checked, one whose arrays were written to since
        is not.

        Raises:
            ValueError: as for a new dataset; it names column, row and value.
        """
        n = len(self.action)
        self._check_shapes(n)
        if n == 0:
            return
        if not np.issubdtype(self.action.dtype, np.integer):
            raise ValueError(f"action: expected integers, got {self.action.dtype}")
        unknown = (self.action < 0) | (self.action >= self.n_actions)
        _refuse(unknown, "action", f"integers in 0 … {self.n_actions - 1}", self.action)
        if self.obs.action_mask is not None:
            masked = ~self.obs.action_mask[np.arange(n), self.action]
            _refuse(masked, "action", "one that the row's action_mask allows", self.action)
        if self.propensity is not None:
            outside = np.logical_not((self.propensity > 0) & (self.propensity <= 1))
            _refuse(outside, "propensity", "values in (0, 1]", self.propensity)
        output = None if self.output is None else self.output.embedding
        for name, column in (
            ("reward", self.reward),
            ("context", self.obs.context),
            ("query", self.obs.query),
            ("output", output),
        ):
            if column is not None:
                _refuse(~np.isfinite(column.reshape(n, -1)).all(axis=1), name, "finite numbers", column)

    def _check_shapes(self, n: int) -> None:
        for name, column in self._columns().items():
            if len(column) != n:
                raise ValueError(f"{name}: expected {n} rows, one an action, got {len(column)}")
            ndim = 1 if name in _SCALARS else 2 if name in _VECTORS else column.ndim
            if column.ndim != ndim or 0 in column.shape[1:]:
                raise ValueError(f"{name}: expected shape {'(n,)' if ndim == 1 else '(n, d)'}, got {column.shape}")
        ids, known = self.policy_id, len(self.policies)
        if ids is not None and known and n and not 0 <= ids.min() <= ids.max() < known:
            raise ValueError(f"policy_id: expected indices in 0 … {known - 1}, got {ids.min()} … {ids.max()}")

    def _columns(self) -> dict[str, NDArray[Any]]:
        """Every column with a row a round, by the name of its field."""
        columns: dict[str, Any] = {name: getattr(self, name) for name in OWN_COLUMNS}
        columns |= {name: getattr(self.obs, name) for name in Observation.row_fields}
        if self.output is not None:
            columns |= {f"output.{name}": getattr(self.output, name) for name in Output.row_fields}
        columns |= {f"extras[{name!r}]": column for name, column in self.extras.items()}
        columns |= {f"oracle[{name!r}]": column for name, column in self.oracle.items()}
        return {name: column for name, column in columns.items() if column is not None}

    def __len__(self) -> int:
        return len(self.action)

    @property
    def prompts(self) -> Prompts:
        return self.obs.prompts

    @property
    def n_actions(self) -> int:
        return self.obs.n_actions

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {column.shape}" for name, column in self._columns().items())
        return f"BanditDataset({len(self)} rounds, {self.n_actions} actions: {shapes})"

    @classmethod
    def from_arrays(
        cls,
        context: FloatArray,
        action: IntArray,
        reward: FloatArray,
        *,
        prompts: Prompts | int,
        propensity: FloatArray | None = None,
        query: FloatArray | None = None,
        output: FloatArray | None = None,
        sentence: Iterable[str] | None = None,
        action_mask: BoolArray | None = None,
        user_id: IntArray | None = None,
        **columns: Any,
    ) -> BanditDataset:
        """A dataset of one's own from plain arrays.

        Args:
            context: (n, d_x).
            action: (n,) rows of `prompts`.
            reward: (n,).
            prompts: the table of candidates, or their number if nothing is known of them.
            propensity: (n,); leave it out where it is unknown.
            query: (n, d_q).
            output: (n, d_o) embeddings of what the LLM wrote.
            sentence: (n,) its texts.
            action_mask: (n, |A|) True where a prompt could be chosen.
            user_id: (n,).
            columns: further fields of `BanditDataset`, such as `extras`.
        """
        context = np.asarray(context, dtype=np.float32)
        if context.ndim != 2:
            raise ValueError(f"context: expected shape (n, d_x), got {context.shape}")
        obs = Observation(
            context,
            prompts if isinstance(prompts, Prompts) else Prompts.one_hot(int(prompts)),
            None if query is None else np.asarray(query, dtype=np.float32),
            user_id=None if user_id is None else np.asarray(user_id),
            action_mask=None if action_mask is None else np.asarray(action_mask, dtype=bool),
        )
        embedding = None if output is None else np.asarray(output, dtype=np.float32)
        return cls(
            obs,
            np.asarray(action),
            np.asarray(reward, dtype=np.float64),
            propensity=None if propensity is None else np.asarray(propensity, dtype=np.float64),
            output=Output.or_none(embedding, None if sentence is None else text_array(sentence)),
            **columns,
        )

    @classmethod
    def from_dataframe(cls, frame: Any, columns: LogColumns, **options: Any) -> BanditDataset:
        """A log of one's own: a pandas or polars DataFrame, a pyarrow Table or a dict of columns, checked row by row.

        Args, raises: as `prompt_bandits.logs.read_log`.
        """
        from prompt_bandits.logs import read_log

        return read_log(frame, columns, **options)

    @classmethod
    def from_file(cls, file: str | Path, columns: LogColumns, **options: Any) -> BanditDataset:
        """A log of one's own in a file: CSV, JSONL or Parquet by its ending, checked row by row.

        Args, raises: as `prompt_bandits.logs.read_log`; `prompt_bandits.logs.import_log` takes files larger than
        memory.
        """
        from prompt_bandits.logs import read_log

        return read_log(Path(file), columns, **options)

    def take(self, index: RowIndex) -> BanditDataset:
        """The rows at `index` (a slice, positions or a mask), in that order."""
        own = {name: getattr(self, name) for name in OWN_COLUMNS}
        return replace(
            self,
            obs=self.obs.take(index),
            output=None if self.output is None else self.output.take(index),
            extras={name: column[index] for name, column in self.extras.items()},
            oracle={name: column[index] for name, column in self.oracle.items()},
            **{name: column[index] for name, column in own.items() if column is not None},
        )

    def filter(self, keep: Callable[[BanditDataset], NDArray[np.bool_]]) -> BanditDataset:
        """The rows where `keep(dataset)`, a mask (n,), is True."""
        mask = np.asarray(keep(self))
        if mask.shape != (len(self),) or mask.dtype != bool:
            raise ValueError(f"keep: expected a boolean array of shape ({len(self)},), got {mask.dtype} {mask.shape}")
        return self.take(mask)

    def split(self, fraction: float, seed: int = 0) -> tuple[BanditDataset, BanditDataset]:
        """Two parts at random: `fraction` of the rounds and the rest, each at least one round."""
        if not 0 < fraction < 1:
            raise ValueError(f"fraction: expected in (0, 1), got {fraction}")
        if len(self) < 2:
            raise ValueError(f"split: expected at least 2 rounds, got {len(self)}")
        order = named_generator(seed, "split").permutation(len(self))
        cut = min(max(1, round(fraction * len(self))), len(self) - 1)
        return self.take(np.sort(order[:cut])), self.take(np.sort(order[cut:]))

    def split_by_time(
        self, fraction: float | None = None, *, at: float | str | date | None = None, column: str = "time"
    ) -> tuple[BanditDataset, BanditDataset]:
        """The rounds before a time and the others: learn from the past, judge on what came after.

        Args:
            fraction: about this share of the rounds comes before; rounds of one time stay together.
            at: the time itself, in place of a fraction: seconds since 1970, a date or an ISO text.
            column: of the extras, numbers.

        Raises:
            ValueError: no such column of numbers, neither or both of `fraction` and `at`, a time that is none, or a
                part without rounds.
        """
        if column not in self.extras or self.extras[column].dtype == object:
            raise ValueError(f"column: expected numbers among the extras {sorted(self.extras)}, got {column!r}")
        if (fraction is None) == (at is None):
            raise ValueError(f"split_by_time: expected one of fraction and at, got {fraction} and {at}")
        times = self.extras[column]
        if fraction is not None:
            if not 0 < fraction < 1:
                raise ValueError(f"fraction: expected in (0, 1), got {fraction}")
            begin = float(np.sort(times)[round(fraction * len(self)) if len(self) else 0])
        else:
            begin = _time(at)
        before = times < begin
        if not before.any() or before.all():
            raise ValueError(
                f"split_by_time: expected rounds before {begin} and from then on, got {before.sum()} before"
            )
        return self.take(before), self.take(~before)

    @classmethod
    def concat(cls, parts: Sequence[BanditDataset]) -> BanditDataset:
        """The rounds of all parts; each row keeps its logging policy.

        Raises:
            ValueError: other prompts, or a column that only some parts have.
        """
        if not parts:
            raise ValueError("concat: expected at least one dataset, got none")
        first = parts[0]
        for i, part in enumerate(parts):
            if not part.obs.prompts.same_as(first.obs.prompts):
                raise ValueError(f"prompts: expected the same table in all parts, part {i} has another")
            if set(part._columns()) - {"policy_id"} != set(first._columns()) - {"policy_id"}:
                raise ValueError(
                    f"columns: expected {sorted(first._columns())} in all parts, part {i} has {sorted(part._columns())}"
                )
            if bool(part.policies) != bool(first.policies):
                raise ValueError(f"policies: expected in all parts or in none, part {i} differs from part 0")
        policies, policy_id = _merged_policies(parts)
        own: dict[str, Any] = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in OWN_COLUMNS
            if name != "policy_id" and getattr(first, name) is not None
        }
        return replace(
            first,
            obs=Observation.concat([part.obs for part in parts]),
            output=None
            if first.output is None
            else Output.concat([part.output for part in parts if part.output is not None]),
            extras={name: np.concatenate([part.extras[name] for part in parts]) for name in first.extras},
            oracle={name: np.concatenate([part.oracle[name] for part in parts]) for name in first.oracle},
            policies=policies,
            policy_id=policy_id,
            **own,
        )

    def require_columns(self, *names: str) -> None:
        """Raises a ValueError unless there are those of "propensity" and "output" that are named."""
        if "propensity" in names:
            self.require_propensity()
        if "output" in names:
            self.require_output()

    def require_propensity(self) -> FloatArray:
        """The propensities (n,).

        Raises:
            ValueError: they are unknown.
        """
        if self.propensity is None:
            raise ValueError(
                "propensity: unknown in this dataset, but needed here; "
                "record with logging_policy= or annotate(propensity=...)"
            )
        return self.propensity

    def require_output(self) -> FloatArray:
        """The output embeddings (n, d_o).

        Raises:
            ValueError: there are none.
        """
        if self.output is None or self.output.embedding is None:
            raise ValueError("output: no embeddings in this dataset, but needed here")
        return self.output.embedding

    def logging_dist(self, index: RowIndex = slice(None)) -> FloatArray:
        """π0(·|x) of the logging policies that the dataset carries, (k, |A|), for the rows at `index`.

        Raises:
            ValueError: the dataset carries no logging policy.
        """
        policies, rows = self.require_logging_policies(), self.take(index)
        out = np.empty((len(rows), self.n_actions))
        ids = np.zeros(len(rows), np.int64) if rows.policy_id is None else rows.policy_id
        for number, policy in enumerate(policies):
            mine = np.flatnonzero(ids == number)
            for part, dist in dist_chunks(policy, rows.obs.take(mine)):
                out[mine[part]] = dist
        return out

    def summary(self) -> Summary:
        """What is in the dataset, in a few numbers; prints as a table."""
        return Summary.of([self], self.n_actions)

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Writes the dataset to a folder of Parquet and JSON files (see docs/datasets.md)."""
        from prompt_bandits.datasets.whole import save_dataset

        return save_dataset(self, Path(path), overwrite=overwrite)

    @classmethod
    def load(cls, path: str | Path) -> BanditDataset:
        """A dataset's folder, all of it in memory. Raises what `open` raises."""
        return cls.open(path).load()

    @staticmethod
    def open(path: str | Path) -> StoredDataset:
        """A dataset's folder, to be read a part at a time.

        Raises:
            FileNotFoundError: no dataset there.
            ValueError: a newer schema version, or a missing, damaged or foreign file.
        """
        from prompt_bandits.datasets.stored import StoredDataset

        return StoredDataset.open(path)


def _merged_policies(parts: Sequence[BanditDataset]) -> tuple[tuple[Policy, ...], IntArray | None]:
    """All distinct logging policies, and each row's index among them."""
    policies: list[Policy] = []
    known: dict[str, int] = {}
    seen: dict[int, int] = {}  # the same object needs no second look
    ids = []
    for part in parts:
        new = []
        for policy in part.policies:
            if id(policy) not in seen:
                identity = policy_fingerprint(policy)
                if identity not in known:
                    known[identity] = len(policies)
                    policies.append(policy)
                seen[id(policy)] = known[identity]
            new.append(seen[id(policy)])
        local = np.zeros(len(part), np.int64) if part.policy_id is None else part.policy_id
        ids.append(np.asarray(new, np.int64)[local] if new else local)
    return tuple(policies), (np.concatenate(ids) if len(policies) > 1 else None)


def _refuse(bad: Any, name: str, expected: str, column: NDArray[Any]) -> None:
    """Raises a ValueError that shows the first row where the mask `bad` (n,) is True."""
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(f"{name}: expected {expected}, got {column[row]} in row {row}")


def _time(at: object) -> float:
    from prompt_bandits.logs.values import seconds_of

    seconds = seconds_of(at)
    if seconds is None:
        raise ValueError(f"at: expected seconds, a date or an ISO text, got {at!r}")
    return seconds
