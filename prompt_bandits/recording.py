"""What both recording wrappers share: the rows so far, the pending one, and how an environment's values become
columns.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from prompt_bandits.acting import act, prob
from prompt_bandits.datasets.dataset import BanditDataset
from prompt_bandits.datasets.storage import check_free
from prompt_bandits.mapping import prompts_of, rounds_of, simulator_of
from prompt_bandits.protocols import Policy
from prompt_bandits.specs import stored_spec
from prompt_bandits.types import FloatArray, IntArray, Observation, Output, Prompts


class RowBuffer:
    """Recorded rows. The newest stays pending, open to `annotate`, until the next one or the end."""

    def __init__(self) -> None:
        self._closed: list[BanditDataset] = []
        self._pending: BanditDataset | None = None
        self._highest: dict[int, int] = {}
        self._n = 0

    def __len__(self) -> int:
        return self._n

    def refuse_doubled(self, seed: IntArray, round_id: IntArray) -> None:
        """Raises a ValueError if a key (seed, round_id) is recorded already; to be called before the round is
        played.
        """
        for one in np.unique(seed):
            ids = round_id[seed == one]
            if len(np.unique(ids)) < len(ids):
                raise ValueError(f"round: seed {one} has a round twice in one step: {ids.tolist()}")
            if ids.min() > self._highest.get(int(one), -1):
                continue
            known = [rows.round_id[rows.seed == one] for rows in self._rows()]
            doubled = np.intersect1d(ids, np.concatenate(known))
            if len(doubled):
                raise ValueError(
                    f"round: seed {one}, round {doubled[0]} is recorded already; reset with another seed or go on"
                )

    def settle(self) -> None:
        """Closes the pending rows.

        Raises:
            ValueError: they lack a propensity or an extra that earlier rows have, or the reverse. They stay pending.
        """
        if self._pending is not None:
            self._check_pending()
            self._closed.append(self._pending)
            self._pending = None

    def _check_pending(self) -> None:
        if self._pending is None or not self._closed:
            return
        first = self._closed[0]
        if (first.propensity is None) != (self._pending.propensity is None):
            had, has = ("unknown", "known") if first.propensity is None else ("known", "unknown")
            raise ValueError(
                f"propensity: {had} so far, {has} in the last row; annotate(propensity=...) every row or none"
            )
        _refuse_other_extras(first.extras, self._pending.extras)

    def put(self, rows: BanditDataset) -> None:
        """New pending rows; the former ones must be settled."""
        assert self._pending is None
        self._pending = rows
        self._n += len(rows)
        for one in np.unique(rows.seed):
            self._highest[int(one)] = max(self._highest.get(int(one), -1), int(rows.round_id[rows.seed == one].max()))

    def annotate(self, propensity: Any = None, **extras: Any) -> None:
        """Adds a propensity and extra columns to the pending rows."""
        if self._pending is None:
            raise ValueError("annotate: no pending round; call it after step and before the next step")
        n = len(self._pending)
        changes: dict[str, Any] = {
            "extras": {**self._pending.extras, **{name: _column(name, value, n) for name, value in extras.items()}}
        }
        if propensity is not None:
            if self._pending.policies:
                raise ValueError("annotate: the propensity comes from logging_policy already; expected none")
            changes["propensity"] = _column("propensity", propensity, n).astype(np.float64)
        self._pending = replace(self._pending, **changes)

    def dataset(self) -> BanditDataset:
        """All rows, the pending ones included; ValueError where those cannot be settled."""
        self._check_pending()
        rows = self._rows()
        if not rows:
            raise ValueError("dataset: no round is recorded yet")
        return BanditDataset.concat(rows)

    def finish(self) -> BanditDataset | None:
        """All rows at the end; pending ones that cannot be settled are left out, with a warning."""
        try:
            self.settle()
        except ValueError as error:
            warnings.warn(f"the last row is left out of the dataset: {error}", stacklevel=3)
            self._n -= 0 if self._pending is None else len(self._pending)
            self._pending = None
        return self.dataset() if self._closed else None

    def _rows(self) -> list[BanditDataset]:
        return self._closed if self._pending is None else [*self._closed, self._pending]


def _refuse_other_extras(first: Mapping[str, NDArray[Any]], last: Mapping[str, NDArray[Any]]) -> None:
    if set(first) != set(last):
        raise ValueError(
            f"extras: expected {sorted(first)} as in the rows so far, the last one has {sorted(last)}; annotate it"
        )
    for name, column in first.items():
        same_kind = (column.dtype == object) == (last[name].dtype == object)
        if not same_kind or column.shape[1:] != last[name].shape[1:]:
            expected = f"{'texts' if column.dtype == object else 'numbers'} of shape {column.shape[1:]}"
            got = f"{'texts' if last[name].dtype == object else 'numbers'} of shape {last[name].shape[1:]}"
            raise ValueError(f"{name}: expected {expected} as in the rows so far, got {got}; annotate it again")


def _column(name: str, value: Any, n: int) -> NDArray[Any]:
    """Numbers or texts, (n,) or (n, d)."""
    try:
        column = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name}: expected numbers or texts of one shape, got {value!r}") from error
    if column.dtype.kind == "U":
        column = column.astype(object)
    is_text = column.dtype == object and column.ndim == 1 and all(isinstance(item, str) for item in column)
    if not is_text and (column.dtype.kind not in "biuf" or column.ndim > 2):
        raise ValueError(f"{name}: expected numbers or texts, got {value!r}")
    if column.ndim == 0 or len(column) != n:
        raise ValueError(f"{name}: expected {n} values, one a row, got {1 if column.ndim == 0 else len(column)}")
    return column


def make_rows(
    obs: Observation,
    action: IntArray,
    reward: Any,
    propensity: Any,
    info: Mapping[str, Any],
    keys: tuple[IntArray, IntArray],
    policy: Policy | None,
    spec: Any,
) -> BanditDataset:
    """Finished rounds as rows; `info` holds batched values."""
    oracle = (
        {"expected_reward": np.asarray(info["expected_reward"], dtype=np.float64)} if "expected_reward" in info else {}
    )
    return BanditDataset(
        obs=obs,
        action=action,
        reward=np.asarray(reward, dtype=np.float64),
        propensity=propensity,
        output=Output.or_none(_info_column(info, "output"), _info_column(info, "sentence")),
        seed=keys[0],
        round_id=keys[1],
        policies=() if policy is None else (policy,),
        oracle=oracle,
        spec=spec,
    )


def _info_column(info: Mapping[str, Any], name: str) -> NDArray[Any] | None:
    if name not in info:
        return None
    column = np.asarray(info[name])
    return column.astype(object) if column.dtype.kind in "US" else column


class ThirdPartyKeys:
    """Keys for environments that number no rounds: the seed of the reset, and a count of recorded rounds."""

    def __init__(self, n: int) -> None:
        self.seed = np.zeros(n, dtype=np.int64)
        self.next_id = np.zeros(n, dtype=np.int64)
        self._started = False

    def reset(self, env: Any, seed: Any, new: NDArray[np.bool_]) -> None:
        """A seeded reset starts the count of the rounds at `new` places anew; the first unseeded one takes the
        environment's own seed. Place i has seed + i, or its own of a list.
        """
        if seed is None and self._started:
            return
        own = env.unwrapped.np_random_seed if seed is None else seed
        if isinstance(own, (list, tuple)):
            inside = env.unwrapped.np_random_seed if None in own else own
            seeds = [int(s if s is not None else inside[i]) for i, s in enumerate(own)]
        else:
            seeds = [int(own) + i for i in range(len(self.seed))]
        self.seed[new] = np.array([s % 2**62 for s in seeds])[new]
        self.next_id[new] = 0
        self._started = True

    def current(self) -> tuple[IntArray, IntArray]:
        return self.seed.copy(), self.next_id.copy()


_DTYPES: dict[str, Any] = {
    "context": np.float32,
    "query": np.float32,
    "user_id": np.int64,
    "query_id": np.int64,
    "query_text": object,
    "action_mask": bool,
}


class Recorder:
    """The recording itself, over batches; a single environment is a batch of one."""

    def __init__(
        self,
        env: Any,
        action_space: spaces.Space[Any],
        n: int,
        path: str | Path | None,
        policy: Policy | None,
        prompts: Prompts | None,
    ) -> None:
        self.env = env
        self.policy = policy
        self.path = None if path is None else Path(path)
        self.simulator = simulator_of(env)
        self.prompts = prompts_of(env, action_space, prompts)
        self.by_embedding = not isinstance(action_space, spaces.Discrete)
        self.rows = RowBuffer()
        self.third_party = ThirdPartyKeys(n)
        self.obs: Observation | None = None
        self.keys: tuple[IntArray, IntArray] = self.third_party.current()
        self.spec = stored_spec(env)
        self._saved = False

    def opened(self, columns: Mapping[str, NDArray[Any]], info: Mapping[str, Any]) -> None:
        """New rounds are open for action."""
        casts = {name: np.asarray(column, dtype=_DTYPES.get(name)) for name, column in columns.items()}
        self.obs = Observation(prompts=self.prompts, **casts)
        if "round_id" in info and "seed" in info:
            self.keys = (
                np.array(info["seed"], dtype=np.int64, ndmin=1),
                np.array(info["round_id"], dtype=np.int64, ndmin=1),
            )
        else:
            self.keys = self.third_party.current()

    def ready(self, open_rows: IntArray) -> Observation:
        """The open rounds, after everything that may refuse to record them."""
        if self._saved:
            raise ValueError("step: this recorder is closed; what it would record now would not be kept")
        if self.obs is None:
            raise ResetNeeded("step: no open round; call reset() first")
        self.rows.settle()
        if self.path is not None and len(self.rows) == 0:
            check_free(self.path)
        if len(open_rows):
            self.rows.refuse_doubled(self.keys[0][open_rows], self.keys[1][open_rows])
        return self.obs.take(open_rows)

    def draw(self, open_rows: IntArray) -> tuple[IntArray, FloatArray]:
        """Actions and propensities of the logging policy for the open rounds."""
        if self.policy is None:
            raise ValueError("act: expected a logging_policy in the wrapper's constructor, got none; use step(action)")
        obs = self.ready(open_rows)
        action, propensity = np.empty(len(open_rows), dtype=np.int64), np.empty(len(open_rows))
        for rows, rounds in rounds_of(self.simulator, self.keys[0][open_rows], self.keys[1][open_rows]):
            action[rows], propensity[rows] = act(self.policy, obs.take(rows), rounds)
        return action, propensity

    def propensity_of(self, open_rows: IntArray, action: IntArray) -> FloatArray | None:
        """π0 of actions chosen by somebody else, None without a logging policy."""
        obs = self.ready(open_rows)
        if self.policy is None:
            return None
        if len(action) and not (action.min() >= 0 and action.max() < len(self.prompts)):
            return np.ones(len(action))  # the environment says what is wrong with it
        propensity = prob(self.policy, obs, action)
        if (propensity <= 0).any():
            raise ValueError(
                f"action: {action[propensity <= 0][0]} has probability 0 under the logging policy; it is not played"
            )
        return propensity

    def index_of(self, open_rows: IntArray, action: Any) -> IntArray:
        """Which prompts are meant by what is about to be handed to the environment for the open rounds."""
        if not self.by_embedding:
            return np.asarray(action)
        point = np.asarray(action, dtype=np.float32)
        if self.obs is None or point.shape != (len(open_rows), self.prompts.embedding.shape[1]):
            return np.zeros(len(open_rows), dtype=np.int64)  # the environment says what is wrong with it
        mask = self.obs.action_mask
        return self.prompts.nearest(point, None if mask is None else mask[open_rows])

    def played(
        self, open_rows: IntArray, action: IntArray, propensity: FloatArray | None, reward: Any, info: Mapping[str, Any]
    ) -> None:
        """The open rounds are finished; `info` holds their values, batched, and the prompts taken if it knows them.

        Raises:
            ValueError: with a logging policy, the environment took other prompts than were meant. Nothing is recorded.
        """
        assert self.obs is not None
        taken = np.asarray(info.get("action", action)).astype(np.int64)
        if self.policy is not None and not np.array_equal(taken, action):
            row = int((taken != action).argmax())
            raise ValueError(
                f"action: {action[row]} was chosen but the environment took {taken[row]}; with a wrapper that changes "
                "actions, or prompts of equal embeddings, record without logging_policy and annotate the propensity"
            )
        keys = self.keys[0][open_rows], self.keys[1][open_rows]
        obs = self.obs.take(open_rows)
        self.rows.put(make_rows(obs, taken, reward, propensity, info, keys, self.policy, self.spec))
        self.third_party.next_id[open_rows] += 1

    def points(self, action: IntArray) -> Any:
        """Actions as the environment wants them."""
        return self.prompts.embedding[action] if self.by_embedding else action

    def close(self) -> None:
        if self._saved:
            return
        data = self.rows.finish()
        if data is not None and self.path is not None:
            data.save(self.path)
        self._saved = True


class RecordingMixin:
    """What users call on either wrapper."""

    _recorder: Recorder

    @property
    def n_recorded(self) -> int:
        """How many rows there are so far."""
        return len(self._recorder.rows)

    def dataset(self) -> BanditDataset:
        """The rows so far.

        Raises:
            ValueError: there are none.
        """
        return self._recorder.rows.dataset()
