"""What both recording wrappers share: which rounds are open, what is drawn for them, and how they become rows."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from prompt_bandits.acting import act, prob
from prompt_bandits.datasets.dataset import BanditDataset
from prompt_bandits.datasets.keys import KeySet
from prompt_bandits.datasets.stored import StoredDataset
from prompt_bandits.datasets.writer import DatasetWriter
from prompt_bandits.mapping import prompts_of, rounds_of, simulator_of
from prompt_bandits.protocols import Policy
from prompt_bandits.row_buffer import RowBuffer
from prompt_bandits.specs import stored_spec
from prompt_bandits.types import ORACLE_COLUMNS, FloatArray, IntArray, Observation, Output, Prompts


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
    oracle = {name: np.asarray(info[name], dtype=np.float64) for name in ORACLE_COLUMNS if name in info}
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
        resume: bool,
    ) -> None:
        if resume and path is None:
            raise ValueError("resume: expected a path to go on at, got none")
        self.env, self.n = env, n
        self.policy = policy
        self.path, self.resume = None if path is None else Path(path), resume
        self.writer: DatasetWriter | None = None
        self.simulator = simulator_of(env)
        self.prompts = prompts_of(env, action_space, prompts)
        self.by_embedding = not isinstance(action_space, spaces.Discrete)
        self.rows = RowBuffer()
        self.third_party = ThirdPartyKeys(n)
        self.obs: Observation | None = None
        self.keys: tuple[IntArray, IntArray] = self.third_party.current()
        self.spec = stored_spec(env)
        self._closed = False
        self._started = False

    def where(self, seed: Any, options: dict[str, Any] | None, single_seed: bool) -> tuple[Any, dict[str, Any] | None]:
        """Seed and options of a reset; with `resume` those by which it goes on where the folder stops.

        Raises:
            ValueError: the environment numbers no rounds, so that it would give those of this seed again.
        """
        first, self._started = not self._started, True
        if not self.resume or isinstance(seed, (list, tuple)) or (options or {}).get("round") is not None:
            return seed, options
        known = self.folder().keys
        if seed is None and first and known.seeds and self.simulator is not None:
            seed = known.seeds[0]
        if seed is None or not known.seeds:
            return seed, options
        if self.simulator is None and seed in known.seeds:
            raise ValueError(f"seed: {seed} is recorded in {self.path} already; expected another to resume with")
        last = max(known.highest(int(seed) + place) for place in range(1 if single_seed else self.n))
        return seed, {**(options or {}), "round": last + 1}

    def folder(self) -> DatasetWriter:
        """The open folder."""
        assert self.path is not None
        if self.writer is None:
            self.writer = DatasetWriter(self.path, resume=self.resume)
            if self.writer.description is not None and self.writer.n_rounds:
                self.writer.description.check_source(self.prompts, self.spec)
                self.rows.go_on(deepcopy(self.writer.keys), self.writer.description.no_rows())
        return self.writer

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
        if self._closed:
            raise ValueError("step: this recorder is closed; what it would record now would not be kept")
        if self.obs is None:
            raise ResetNeeded("step: no open round; call reset() first")
        self.rows.settle()
        self._hand_over()
        if len(open_rows):
            self.rows.keys.refuse(KeySet.of(self.keys[0][open_rows], self.keys[1][open_rows]))
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
            return np.ones(len(action))  # an action for the environment to refuse
        propensity = prob(self.policy, obs, action)
        if (propensity <= 0).any():
            raise ValueError(
                f"action: {action[propensity <= 0][0]} has probability 0 under the logging policy; it is not played"
            )
        return propensity

    def index_of(self, open_rows: IntArray, action: Any) -> IntArray:
        """Which prompts are meant by what is about to be handed to the environment for the open rounds.

        −1 where none is: the environment says what is wrong with such an action.
        """
        n, given = len(open_rows), np.asarray(action)
        if not self.by_embedding and given.dtype.kind in "iu" and given.size == n:
            return given.reshape(n).astype(np.int64)
        if self.by_embedding and self.obs is not None and given.shape == (n, self.prompts.embedding.shape[1]):
            mask = self.obs.action_mask
            return self.prompts.nearest(given.astype(np.float32), None if mask is None else mask[open_rows])
        return np.full(n, -1)

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

    def dataset(self) -> BanditDataset | StoredDataset:
        """The rows so far."""
        if self.path is None:
            return self.rows.dataset()
        if not len(self.rows) and not self.resume:
            raise ValueError("dataset: no round is recorded yet")
        if not self._closed:
            self.rows.settle()
            self._hand_over()
            return self.folder().handle()
        return StoredDataset.open(self.path)

    def close(self) -> None:
        """No more rows."""
        if self._closed:
            return
        self.rows.finish()
        if self.writer is not None:
            self._hand_over()
            self.writer.close()
        self._closed = True

    def drain(self) -> BanditDataset:
        """All rows since the last call, the pending ones included; those must be settled by now."""
        self.rows.settle()
        rows = self.rows.closed()
        assert rows is not None
        self.rows.forget_closed()
        return rows

    def _hand_over(self) -> None:
        """Closed rows go to the folder, where there is one; on an error before it takes them in, they stay here."""
        if self.path is None:
            return
        writer, rows = self.folder(), self.rows.closed()
        if rows is not None:
            before = writer.n_rounds
            try:
                writer.append(rows)
            finally:
                if writer.n_rounds > before:
                    self.rows.forget_closed()


class RecordingMixin:
    """What users call on either wrapper."""

    _recorder: Recorder

    @property
    def n_recorded(self) -> int:
        """How many rows there are so far."""
        return len(self._recorder.rows)

    def dataset(self) -> BanditDataset | StoredDataset:
        """The rows so far; with a path, a handle to them on disk, where the last one can be annotated no more.

        Raises:
            ValueError: there are none.
        """
        return self._recorder.dataset()
